"""A service with one key, for some origins: ``python -m tests.service.served URL PORT KEY``."""

import sys

from cybertools.tracking.service.app import make_app
from cybertools.tracking.service.gate import Principal, Refused
from cybertools.tracking.service.serving import listening, serve
from cybertools.tracking.service.settings import Settings
from tests.gates import Asked, DecidingGate


class KeyGate(DecidingGate):
    """Lets those in who have the key, from the origins if there are any.

    The key with ``-other`` behind it is for the storage ``other`` alone.
    """

    def __init__(self, key: str, origins: tuple[str, ...]) -> None:
        self.key, self.origins = key, origins

    def decide(self, asked: Asked) -> Principal:
        """See `DecidingGate.decide`."""
        if asked.credential == f"{self.key}-other":
            return Principal("other", storage="other")
        if asked.credential != self.key:
            raise Refused("This is not the key.")
        if self.origins and asked.origin not in self.origins:
            raise Refused("The key is not for this origin.", 403)
        return Principal("anybody")


def main(url: str, port: str, key: str, *origins: str) -> None:
    app = make_app(Settings(url, names=("tracks", "other")), KeyGate(key, origins))
    with listening("127.0.0.1", int(port)) as sock:
        serve(app, sock)


if __name__ == "__main__":
    main(*sys.argv[1:])
