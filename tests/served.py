"""A service with one key for all: ``python -m tests.served URL PORT KEY``."""

import sys

from cybertools.tracking.service.app import make_app
from cybertools.tracking.service.gate import OpenGate, Principal, Refused, Scope
from cybertools.tracking.service.serving import listening, serve
from cybertools.tracking.service.settings import Settings


class KeyGate(OpenGate):
    """Lets those in who have the key."""

    def __init__(self, key: str) -> None:
        self.key = key

    async def admit(
        self,
        credential: str | None,
        scope: Scope,
        storage: str | None,
        origin: str | None,
        client: str,
    ) -> Principal:
        """See `Gate.admit`."""
        if credential != self.key:
            raise Refused("This is not the key.")
        return await super().admit(credential, scope, storage, origin, client)


def main(url: str, port: str, key: str) -> None:
    app = make_app(Settings(url), KeyGate(key))
    with listening("127.0.0.1", int(port)) as sock:
        serve(app, sock)


if __name__ == "__main__":
    main(*sys.argv[1:])
