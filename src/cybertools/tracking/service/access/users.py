"""Users who sign in with a password, kept as tracks as tokens are.

Of a password there is only its argon2id hash, with its own salt and parameters. A user's track has
`TASK` as its ``taskId`` and the user's name as its ``userName``.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cybertools.tracking.errors import InvalidType, InvalidValue
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.opening import open_storage
from cybertools.tracking.service.access.audit import AUDIT, Audit
from cybertools.tracking.service.access.principal import SCOPES, Principal, principal_of
from cybertools.tracking.service.access.tokens import parse_scopes, parse_storages
from cybertools.tracking.service.gate import Scope
from cybertools.tracking.track import Track
from cybertools.tracking.values import check_text, json_time, now, parse_time_stamp, shown

__all__ = ["LONGEST", "SHORTEST", "USERS", "User", "Users", "check_password", "open_users"]

USERS = "service-users"
"""The name of the storage."""

TASK = "user"

SHORTEST = 12
"""Characters of a password at least. Nothing else is asked of it: length is what counts."""

LONGEST = 1_000
"""Characters at most: nobody has the service hash a novel."""


@dataclass(frozen=True, slots=True)
class User:
    """A user as kept. Times are seconds since 1970 UTC."""

    name: str
    digest: str
    """The argon2id hash of the password, with its parameters."""
    scopes: frozenset[Scope]
    storages: frozenset[str] | None
    """The storages that the user may see; None is all."""
    created: float
    changed: float
    """When the password was set; who signed in before that has to do it again."""
    track: str
    """The id of the track that it is kept as."""

    @property
    def principal(self) -> Principal:
        """Who it is, once signed in."""
        return principal_of(self.name, "", self.scopes, self.storages)

    def as_dict(self) -> dict[str, Any]:
        """The user as JSON has it; nothing in it is secret."""
        return {
            "name": self.name,
            "scopes": [scope for scope in SCOPES if scope in self.scopes],
            "storages": None if self.storages is None else sorted(self.storages),
            "created": json_time(self.created),
            "changed": json_time(self.changed),
        }


@contextmanager
def open_users(url: str) -> Iterator["Users"]:
    """The users of the database of that URL.

    :raises StorageError: the database cannot be opened.
    """
    with open_storage(url, USERS) as storage, open_storage(url, AUDIT) as trail:
        yield Users(storage, Audit(trail))


class Users:
    """The users of a database. May be shared by threads."""

    def __init__(
        self,
        storage: Storage,
        audit: Audit,
        clock: Callable[[], float] = now,
        hasher: PasswordHasher | None = None,
    ) -> None:
        """The users kept in a storage.

        :param storage: the storage named `USERS` of the database that is served.
        :param audit: where it is noted who made and removed them.
        :param clock: seconds since 1970 UTC.
        :param hasher: with argon2-cffi's defaults if not given. A hash that was made with other
            parameters is made anew when its user signs in.
        """
        self.storage = storage
        self.audit = audit
        self.clock = clock
        self._hasher = hasher or PasswordHasher()
        self._nobody = ""

    def create(
        self,
        name: str,
        password: str,
        scopes: Iterable[str],
        by: str,
        storages: Iterable[str] | None = None,
    ) -> User:
        """Make a user.

        :param by: who makes it, for the audit trail.
        :param storages: the storages that the user may see; None is all.
        :raises InvalidValue: there is one of that name, or one of these is out of what it may be.
        """
        if self.get(check_text(name, "name")) is not None:
            raise InvalidValue(f"There is a user {shown(name)} already.")
        moment = self.clock()
        chosen, reached = parse_scopes(scopes), parse_storages(storages)
        data = {
            "hash": self._hasher.hash(check_password(password)),
            "scopes": [scope for scope in SCOPES if scope in chosen],
            "storages": None if reached is None else sorted(reached),
            "created": moment,
            "changed": moment,
        }
        # In the place of another of that name that came meanwhile: there is one of a name.
        self.storage.saveUserTrack(TASK, 0, name, data, replace=True, timeStamp=moment)
        rest = {k: data[k] for k in ("scopes", "storages")}
        self.audit.record("user.create", by, {"name": name, **rest})
        return self._known(name)

    def set_password(self, name: str, password: str, by: str) -> User:
        """Give a user another password.

        :raises InvalidValue: there is no such user, or it cannot be a password.
        """
        user = self._known(name)
        digest = self._hasher.hash(check_password(password))
        self.storage.updateTrack(user.track, {"hash": digest, "changed": self.clock()})
        self.audit.record("user.password", by, {"name": name})
        return self._known(name)

    def remove(self, name: str, by: str) -> None:
        """Remove a user.

        :raises InvalidValue: there is no such user.
        """
        self.storage.removeTrack(self._known(name).track)
        self.audit.record("user.remove", by, {"name": name})

    def get(self, name: str) -> User | None:
        """The user of that name."""
        track = self.storage.getLastUserTrack(TASK, 0, name)
        return None if track is None else _user_from(track)

    def all(self) -> Iterator[User]:
        """All users, the oldest first."""
        for track in self.storage.iterTracks(taskId=TASK):
            user = _user_from(track)
            if user is not None:
                yield user

    def verified(self, name: str, password: str) -> User | None:
        """The user of that name, if it is the password.

        Takes some 0.1 s and 64 MiB, whether there is such a user or not: call it from a thread, and
        let few do so at once.
        """
        try:
            user = self.get(name)
        except (InvalidType, InvalidValue):
            user = None
        if not self._nobody:
            self._nobody = self._hasher.hash(secrets.token_hex())
        digest = self._nobody if user is None else user.digest
        try:
            self._hasher.verify(digest, _normal(password))
        except (VerificationError, InvalidHashError):
            return None
        if user is not None and self._hasher.check_needs_rehash(digest):
            self.storage.updateTrack(user.track, {"hash": self._hasher.hash(_normal(password))})
        return user

    def _known(self, name: str) -> User:
        user = self.get(name)
        if user is None:
            raise InvalidValue(f"There is no user {shown(name)}.")
        return user


def check_password(password: str) -> str:
    """The password as it is hashed, if it can be one.

    :raises InvalidValue: it is too short or too long. The message does not repeat it.
    """
    text = _normal(password)
    if not SHORTEST <= len(text) <= LONGEST:
        raise InvalidValue(
            f"A password has {SHORTEST} to {LONGEST:,} characters, this one {len(text):,}: a few"
            " words in a row are easy to remember."
        )
    return text


def _normal(password: str) -> str:
    # The same password from another keyboard; and no more of it than could be one.
    text = normalize("NFKC", password[: LONGEST + 1])
    return text.encode("utf-8", "replace").decode()


def _user_from(track: Track) -> User | None:
    data = track.data
    try:
        return User(
            name=track.userName,
            digest=check_text(data["hash"], "hash"),
            scopes=parse_scopes(data["scopes"]),
            storages=parse_storages(data["storages"]),
            created=parse_time_stamp(data["created"]),
            changed=parse_time_stamp(data["changed"]),
            track=track.id,
        )
    except (KeyError, TypeError, ValueError):
        return None
