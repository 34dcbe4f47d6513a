"""The tokens of a database, each a track of a storage of their own; so every engine keeps them.

A token's track has the token's id as its ``taskId`` and who it is for as its ``userName``.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from cybertools.tracking.errors import InvalidValue, TrackNotFound
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.service.access.audit import Audit
from cybertools.tracking.service.access.tokens import (
    Kind,
    Token,
    digest_of,
    is_id,
    mint,
    parse_origin,
    parse_rate,
    parse_scopes,
    parse_storages,
    token_from,
)
from cybertools.tracking.values import TimeStamp, check_text, now, parse_time_stamp, track_id

__all__ = ["TOKENS", "Created", "Tokens"]

TOKENS = "service-tokens"
"""The name of the storage."""


class Created(NamedTuple):
    """A new token, and its text: shown once, and kept nowhere."""

    token: Token
    text: str


class Tokens:
    """The tokens of a database. May be shared by threads."""

    def __init__(self, storage: Storage, audit: Audit, clock: Callable[[], float] = now) -> None:
        """The tokens kept in a storage.

        :param storage: the storage named `TOKENS` of the database that is served.
        :param audit: where it is noted who made and revoked them.
        :param clock: seconds since 1970 UTC.
        """
        self.storage = storage
        self.audit = audit
        self.clock = clock

    def create(
        self,
        name: str,
        scopes: Iterable[str],
        by: str,
        storages: Iterable[str] | None = None,
        expires: TimeStamp | None = None,
        origins: Iterable[str] = (),
        rate: float | None = None,
    ) -> Created:
        """Make a token.

        :param name: who it is for.
        :param by: who makes it, for the audit trail.
        :param storages: the storages that it is for; None is all.
        :param expires: when it ends; None is never.
        :param origins: the origins of the web pages that may use it. With them it is a public key:
            it may have the scope ``write`` only, and has to say for which storages.
        :param rate: requests a second; None is no limit of its own.
        :raises InvalidValue: one of these is out of what it may be. Nothing is stored.
        """
        made = self._made(name, scopes, storages, expires, origins, rate)
        return Created(self._kept(made.token, by, None) or made.token, made.text)

    def create_first(self, name: str, scopes: Iterable[str], by: str) -> Created | None:
        """Make the database's first token; None where there is or was one, whoever made it."""
        if next(iter(self.storage), None) is not None:
            return None
        made = self._made(name, scopes, None, None, (), None)
        # Of several processes that come here at once, one has its key stored.
        token = self._kept(made.token, by, "first")
        return None if token is None else Created(token, made.text)

    def _made(
        self,
        name: str,
        scopes: Iterable[str],
        storages: Iterable[str] | None,
        expires: TimeStamp | None,
        origins: Iterable[str],
        rate: float | None,
    ) -> Created:
        moment = self.clock()
        end = None if expires is None else parse_time_stamp(expires, "expires")
        if end is not None and end <= moment:
            raise InvalidValue("expires must be in the future.")
        pages = frozenset(map(parse_origin, origins))
        kind: Kind = "browser" if pages else "secret"
        id, text = mint(kind)
        token = Token(
            id=id,
            name=check_text(name, "name"),
            kind=kind,
            digest=digest_of(text),
            scopes=parse_scopes(scopes),
            storages=parse_storages(storages),
            origins=pages,
            rate=None if rate is None else parse_rate(rate),
            created=moment,
            expires=end,
        )
        if pages and (token.scopes != {"write"} or token.storages is None):
            raise InvalidValue(
                "A token with origins is public, everybody can read it in the page: it may have"
                " the scope write only, and must say for which storages."
            )
        return Created(token, text)

    def _kept(self, token: Token, by: str, key: str | None) -> Token | None:
        """The token as it is stored; None where the key was spent before, and it is not."""
        shape = token.as_dict()
        data = {name: shape[name] for name in _KEPT} | {"hash": token.digest}
        saved = self.storage.save(token.id, 0, token.name, data, timeStamp=token.created, key=key)
        if saved.outcome == "duplicate":
            return None
        self.audit.record("token.create", by, {name: shape[name] for name in _AUDITED})
        return replace(token, track=track_id(saved.number))

    def revoke(self, id: str, by: str) -> Token | None:
        """End a token; return it as it is then, None where there is none of that id.

        A running service refuses it within some seconds: `gate.VALID`. Revoking it again changes
        nothing.

        :param by: who does it, for the audit trail.
        """
        token = self.get(id)
        if token is None or token.revoked is not None:
            return token
        moment = self.clock()
        self.storage.updateTrack(token.track, {"revoked": moment})
        self.audit.record("token.revoke", by, {"id": token.id, "name": token.name})
        return replace(token, revoked=moment)

    def get(self, id: str) -> Token | None:
        """The token of that id."""
        # Other texts might be prefixes, which queries take.
        found = self.storage.query(taskId=id, limit=1) if is_id(id) else []
        return token_from(found[0]) if found else None

    def all(self) -> Iterator[Token]:
        """All tokens, also those that have ended, the oldest first."""
        for track in self.storage.iterTracks():
            token = token_from(track)
            if token is not None:
                yield token

    def note_use(self, token: Token, moment: float) -> None:
        """Keep when a token was last used."""
        try:
            self.storage.updateTrack(token.track, {"lastUsed": moment})
        except TrackNotFound:
            return  # it was removed meanwhile, and can be used no more


_KEPT = ("kind", "scopes", "storages", "origins", "rate", "created", "expires", "revoked")
_AUDITED = ("id", "name", "kind", "scopes", "storages", "origins", "rate", "expires")
