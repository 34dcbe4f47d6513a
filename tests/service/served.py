"""A service with one key, for some origins: ``python -m tests.service.served URL PORT KEY``."""

import sys

from cybertools.tracking.service.app import make_app
from cybertools.tracking.service.gate import OpenGate, Principal, Refused, Scope
from cybertools.tracking.service.serving import listening, serve
from cybertools.tracking.service.settings import Settings


class KeyGate(OpenGate):
    """Lets those in who have the key, from the origins if there are any.

    The key with ``-other`` behind it is for the storage ``other`` alone.
    """

    def __init__(self, key: str, origins: tuple[str, ...]) -> None:
        self.key, self.origins = key, origins

    async def admit(
        self,
        credential: str | None,
        scope: Scope,
        storage: str | None,
        origin: str | None,
        client: str,
    ) -> Principal:
        """See `Gate.admit`."""
        if credential == f"{self.key}-other":
            return Principal("other", storage="other")
        if credential != self.key:
            raise Refused("This is not the key.")
        if self.origins and origin not in self.origins:
            raise Refused("The key is not for this origin.", 403)
        return await super().admit(credential, scope, storage, origin, client)


def main(url: str, port: str, key: str, *origins: str) -> None:
    app = make_app(Settings(url, names=("tracks", "other")), KeyGate(key, origins))
    with listening("127.0.0.1", int(port)) as sock:
        serve(app, sock)


if __name__ == "__main__":
    main(*sys.argv[1:])
