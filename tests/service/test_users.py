"""Users with passwords: kept as hashes, checked with limits, and the command `tracks user`."""

import asyncio
import os
import pty
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.service.access.audit import AUDIT, NOBODY, Audit
from cybertools.tracking.service.access.limits import Rate
from cybertools.tracking.service.access.principal import is_reserved
from cybertools.tracking.service.access.signing_in import SignIn
from cybertools.tracking.service.access.users import LONGEST, USERS, User, Users, open_users
from cybertools.tracking.service.gate import Refused
from cybertools.tracking.testing import Opener
from tests.command import folder, run, spawn
from tests.engines import ENGINES, EngineUnderTest

__all__ = ["folder"]

PASSWORD = "four words in a row"  # noqa: S105 - of nobody
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
FAR = "203.0.113.7"


@pytest.fixture(
    params=[each for each in ENGINES if each.name in ("memory", "sqlite", "postgres")], ids=str
)
def engine(request: pytest.FixtureRequest) -> EngineUnderTest:
    """An engine of each kind."""
    engine: EngineUnderTest = request.param
    return engine


@pytest.fixture
def users(open: Opener) -> Users:
    return Users(open(USERS), Audit(open(AUDIT)), hasher=QUICK)


@pytest.fixture
def door(users: Users) -> Iterator[SignIn]:
    door = SignIn(users, monotonic=lambda: 0.0)
    yield door
    door.close()


def sign_in(door: SignIn, name: str, password: str, client: str = FAR) -> User:
    return asyncio.run(door.sign_in(name, password, client))


def refused(door: SignIn, name: str, password: str, client: str = FAR) -> tuple[int, str]:
    with pytest.raises(Refused) as refusal:
        sign_in(door, name, password, client)
    return refusal.value.status, str(refusal.value)


def actions(users: Users) -> list[tuple[str, str]]:
    return [(track.taskId, track.userName) for track in users.audit.storage.values()]


def test_a_user_signs_in(users: Users, door: SignIn) -> None:
    made = users.create("ann", PASSWORD, ["read"], "me", ["tracks"])
    users.create("bob", PASSWORD, ["admin"], "me")
    assert sign_in(door, "ann", PASSWORD) == made
    assert [each.name for each in users.all()] == ["ann", "bob"]
    assert made.principal.has("read")
    assert not made.principal.has("write")
    assert made.principal.reaches("tracks")
    assert not made.principal.reaches("comments")
    assert is_reserved(USERS)
    assert actions(users) == [
        ("user.create", "me"),
        ("user.create", "me"),
        ("user.sign-in", "ann"),
    ]


def test_only_a_hash_of_the_password_is_kept(users: Users, door: SignIn) -> None:
    users.create("ann", PASSWORD, ["read"], "me")
    users.create("bob", PASSWORD, ["read"], "me")
    sign_in(door, "ann", PASSWORD)
    refused(door, "ann", f"{PASSWORD}, nearly")
    refused(door, f"{PASSWORD}, as a name", "x")
    kept = "".join(t.json for s in (users.storage, users.audit.storage) for t in s.values())
    assert PASSWORD not in kept
    assert FAR not in kept
    first, second = users.all()
    assert first.digest.startswith("$argon2id$")
    assert first.digest != second.digest
    assert first.digest not in str(first.as_dict())


def test_the_same_answer_whatever_is_wrong(users: Users, door: SignIn) -> None:
    users.create("ann", PASSWORD, ["read"], "me")
    wrong = (401, "The user name or the password is wrong.")
    for name, password in (
        ("ann", "four words in a raw"),
        ("ann", ""),
        ("Ann", PASSWORD),
        ("", PASSWORD),
        ("\0", PASSWORD),
        ("an*", PASSWORD),
        ("ann", "\ud800" * 20),
        ("ann", PASSWORD * 10_000),
    ):
        assert refused(door, name, password) == wrong
    assert ("refused", NOBODY) in actions(users)


def test_a_password_is_the_same_from_another_keyboard(users: Users, door: SignIn) -> None:
    users.create("ann", "vier Wörter in Reihe", ["read"], "me")
    assert sign_in(door, "ann", "vier Wo\u0308rter in Reihe").name == "ann"


def test_attempts_are_limited(users: Users) -> None:
    users.create("ann", PASSWORD, ["read"], "me")
    users.create("bob", PASSWORD, ["read"], "me")
    door = SignIn(users, Rate(0.1, 3), Rate(0.5, 2), monotonic=lambda: 0.0)
    for _ in range(2):
        sign_in(door, "ann", PASSWORD)
    # Who has the name wait, from wherever; who has the address wait, with whatever name.
    wait = "Too many attempts to sign in: wait"
    assert refused(door, "ann", PASSWORD, "203.0.113.8") == (429, f"{wait} 2 seconds.")
    assert sign_in(door, "bob", PASSWORD).name == "bob"
    assert refused(door, "bob", PASSWORD) == (429, f"{wait} 10 seconds.")
    door.close()


def test_another_password(users: Users, door: SignIn) -> None:
    before = users.create("ann", PASSWORD, ["read"], "me")
    after = users.set_password("ann", "another row of words", "me")
    assert after.changed > before.changed
    assert (after.created, after.scopes) == (before.created, before.scopes)
    assert refused(door, "ann", PASSWORD)[0] == 401
    assert sign_in(door, "ann", "another row of words") == after
    assert ("user.password", "me") in actions(users)


def test_a_hash_of_old_parameters_is_made_anew(users: Users) -> None:
    before = users.create("ann", PASSWORD, ["read"], "me")
    assert users.verified("ann", PASSWORD) == before
    stronger = Users(users.storage, users.audit, hasher=PasswordHasher(2, 16, 1))
    assert not stronger.verified("ann", f"{PASSWORD}, nearly")
    assert stronger.get("ann") == before
    assert stronger.verified("ann", PASSWORD)
    after = stronger.get("ann")
    assert after is not None
    assert "$m=16,t=2,p=1$" in after.digest
    assert after.changed == before.changed
    assert stronger.verified("ann", PASSWORD) == after


def test_a_user_is_removed_and_made_again(users: Users, door: SignIn) -> None:
    users.create("ann", PASSWORD, ["read"], "me")
    users.remove("ann", "me")
    assert users.get("ann") is None
    assert refused(door, "ann", PASSWORD)[0] == 401
    with pytest.raises(InvalidValue, match="no user 'ann'"):
        users.remove("ann", "me")
    users.create("ann", "another row of words", ["read"], "me")
    assert sign_in(door, "ann", "another row of words").name == "ann"


def test_what_cannot_be_a_user(users: Users) -> None:
    users.create("ann", PASSWORD, ["read"], "me")
    with pytest.raises(InvalidValue, match="already"):
        users.create("ann", PASSWORD, ["read"], "me")
    for password in ("", "eleven char", "x" * (LONGEST + 1)):
        with pytest.raises(InvalidValue, match="12 to 1,000 characters") as error:
            users.create("bob", password, ["read"], "me")
        assert not password or password not in str(error.value)
    with pytest.raises(InvalidValue, match="scope"):
        users.create("bob", PASSWORD, [], "me")
    with pytest.raises(InvalidValue, match="name"):
        users.create("", PASSWORD, ["read"], "me")
    assert len(users.storage) == 1


# The command


def test_command() -> None:
    given = f"{PASSWORD}\n".encode()
    run("user", "create", "ann", "--password-stdin", stdin=given)
    run("user", "create", "bob", "--storage-name", "a", "--password-stdin", stdin=given)
    plain = run("user", "list").out
    assert "ann" in plain
    assert "all" in plain
    first, second = run("user", "list", "--json").json
    assert (first["name"], first["scopes"], first["storages"]) == ("ann", ["read"], None)
    assert second["storages"] == ["a"]
    run("user", "password", "ann", "--password-stdin", stdin=b"another row of words\r\n")
    with open_users("sqlite:tracks.db") as users:
        assert users.verified("ann", "another row of words")
        assert not users.verified("ann", PASSWORD)
    run("user", "remove", "ann")
    assert [each["name"] for each in run("user", "list", "--json").json] == ["bob"]


def test_command_says_what_is_wrong() -> None:
    assert "tracks.db" in run("user", "list", status=3).err
    run("save", "a", "u")
    assert "user create" in run("user", "list").err
    assert "12 to 1,000" in run("user", "create", "ann", "--password-stdin", status=2).err
    for command in ("remove", "password"):
        assert "no user ann" in run("user", command, "ann", status=1).err


def test_command_asks_for_the_password_and_does_not_show_it() -> None:
    ours, theirs = pty.openpty()
    process = spawn(
        "user", "create", "ann", stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    seen = b""
    for _ in range(2):
        asked = seen.count(b": ")
        while seen.count(b": ") == asked:
            seen += os.read(ours, 1_000)
        os.write(ours, f"{PASSWORD}\n".encode())
    try:
        while more := os.read(ours, 1_000):
            seen += more
    except OSError:
        pass  # the other end is closed
    os.close(ours)
    assert process.wait(60) == 0, seen
    assert b"ann may sign in" in seen
    assert PASSWORD.encode() not in seen
    with open_users("sqlite:tracks.db") as users:
        assert users.verified("ann", PASSWORD)
