"""Who may do what: tokens, the gate, limits, the audit trail, and the command `tracks token`."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cybertools.tracking import Storage
from cybertools.tracking.errors import InvalidValue, StorageError, TrackingError
from cybertools.tracking.service.access.audit import AUDIT, NOBODY, REFUSALS, Audit
from cybertools.tracking.service.access.gate import NEW, USED, VALID, Gate
from cybertools.tracking.service.access.keeping import TOKENS, Tokens
from cybertools.tracking.service.access.limits import (
    Buckets,
    Limits,
    Rate,
    is_loopback,
    network_of,
)
from cybertools.tracking.service.access.principal import Principal, is_reserved
from cybertools.tracking.service.access.starting import (
    first_token,
    open_tokens,
    require_tokens,
)
from cybertools.tracking.service.access.tokens import id_in, is_mistyped, mint, parse_origin
from cybertools.tracking.service.gate import Refused, Scope
from cybertools.tracking.testing import Opener
from tests.command import folder, run, spawn
from tests.engines import ENGINES, EngineUnderTest

__all__ = ["folder"]

ROOT = Path(__file__).parent.parent.parent
START = 1_800_000_000.0
FAR = "203.0.113.7"
ANYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound
PAGE = "https://shop.example.org"


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time

    def go(self, seconds: float) -> None:
        self.time += seconds


@pytest.fixture(
    params=[each for each in ENGINES if each.name in ("memory", "sqlite", "postgres")], ids=str
)
def engine(request: pytest.FixtureRequest) -> EngineUnderTest:
    """An engine of each kind: all of them keep tokens by the same calls."""
    engine: EngineUnderTest = request.param
    return engine


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(open: Opener, clock: Clock) -> Tokens:
    return Tokens(open(TOKENS), Audit(open(AUDIT), clock, clock), clock)


@pytest.fixture
def gate(tokens: Tokens, clock: Clock) -> Iterator[Gate]:
    gate = Gate(tokens, clock=clock, monotonic=clock)
    yield gate
    gate.close()


def admit(
    gate: Gate,
    credential: str | None,
    scope: Scope = "read",
    storage: str | None = "tracks",
    origin: str | None = None,
    client: str = FAR,
) -> Principal:
    return asyncio.run(gate.admit(credential, scope, storage, origin, client))


def refusal(gate: Gate, credential: str | None, *arguments: Any, **named: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        admit(gate, credential, *arguments, **named)
    return refused.value


def answer(refused: Refused) -> tuple[int, str]:
    return refused.status, str(refused)


def entries(tokens: Tokens, action: str) -> list[dict[str, Any]]:
    return [{"by": t.userName, **t.data} for t in tokens.audit.storage.query(taskId=action)]


def everything(storage: Storage) -> str:
    return "".join(json.dumps(track.as_dict()) for track in storage.values())


# A token


def test_only_a_hash_of_a_token_is_kept(tokens: Tokens) -> None:
    made = tokens.create("importer", ["write"], "ann")
    assert re.fullmatch(r"trk_[0-9a-z]{10}_[0-9A-Za-z]{49}", made.text)
    secret = made.text.rpartition("_")[2]
    for storage in (tokens.storage, tokens.audit.storage):
        assert secret not in everything(storage)
    assert made.token.digest not in everything(tokens.audit.storage)
    assert made.token.digest not in json.dumps(made.token.as_dict())


def test_a_key_for_pages_shows_that_it_is_one(tokens: Tokens) -> None:
    made = tokens.create("shop", ["write"], "ann", ["tracks"], origins=[PAGE])
    assert made.text.startswith("trkw_")
    assert made.token.kind == "browser"


def test_tokens_are_what_they_were_made_as(tokens: Tokens) -> None:
    made = [
        tokens.create("a", ["write", "read"], "me", ["s1", "s2"], START + 60, rate=5),
        tokens.create("b", ["admin"], "me"),
        tokens.create("c", ["write"], "me", ["s1"], origins=[PAGE]),
    ]
    assert [*tokens.all()] == [each.token for each in made]
    assert [tokens.get(each.token.id) for each in made] == [each.token for each in made]
    assert made[0].token.as_dict() == {
        "id": made[0].token.id,
        "name": "a",
        "kind": "secret",
        "scopes": ["read", "write"],
        "storages": ["s1", "s2"],
        "origins": [],
        "rate": 5,
        "created": int(START),
        "expires": int(START) + 60,
        "revoked": None,
        "lastUsed": None,
    }
    assert len({each.text for each in made}) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"scopes": []},
        {"scopes": ["write", "delete"]},
        {"scopes": "write"},
        {"storages": []},
        {"storages": ["tracks", "service-tokens"]},
        {"storages": ["Service-Audit"]},
        {"storages": "tracks"},
        {"expires": START},
        {"expires": "soon"},
        {"rate": 0},
        {"rate": True},
        {"origins": ["*"]},
        {"origins": [PAGE]},
        {"origins": [PAGE], "storages": ["tracks"], "scopes": ["read", "write"]},
    ],
    ids=str,
)
def test_nothing_is_stored_of_a_token_that_cannot_be(tokens: Tokens, wrong: dict[str, Any]) -> None:
    with pytest.raises(TrackingError):
        tokens.create(**{"name": "x", "scopes": ["write"], "by": "me", **wrong})
    assert len(tokens.storage) == len(tokens.audit.storage) == 0


def test_what_is_no_token_of_ours_in_the_storage_lets_nobody_in(tokens: Tokens, gate: Gate) -> None:
    made = tokens.create("x", ["read"], "me")
    for change in ({"scopes": ["all"]}, {"hash": 7}, {"origins": "x"}, {"kind": None}):
        tokens.storage.updateTrack(made.token.track, change)
        assert [*tokens.all()] == []
    assert refusal(gate, made.text).status == 401


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://example.org", "https://example.org"),
        ("https://Example.ORG:443/", "https://example.org"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_origin(text: str, origin: str) -> None:
    assert parse_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "null",
        "example.org",
        "https://*.example.org",
        "https://example.org/shop",
        "https://example.org?x",
        "https://me@example.org",
        "https://bücher.example",
        "https://example.org:http",
        "ftp://example.org",
        "https://",
        "",
    ],
)
def test_no_origin(text: str) -> None:
    with pytest.raises(InvalidValue, match=r"https://example\.org"):
        parse_origin(text)


def test_a_mistyped_token_is_told_from_others() -> None:
    minted = mint("secret")
    assert id_in(minted.text) == minted.id
    assert not is_mistyped(minted.text)
    for position in range(len(minted.text)):
        other = "A" if minted.text[position] != "A" else "B"
        assert is_mistyped(minted.text[:position] + other + minted.text[position + 1 :])


@pytest.mark.parametrize("text", ["", "trk_*", "trk_", "é", "trk_0123456789_" + "A" * 49 + "\n"])
def test_what_is_no_token_has_no_id(text: str) -> None:
    assert id_in(text) is None


# Who is let in


@pytest.mark.parametrize(
    ("own", "allowed"),
    [
        (["read"], ["read"]),
        (["write"], ["write"]),
        (["read", "write"], ["read", "write"]),
        (["admin"], ["read", "write", "admin"]),
    ],
    ids=str,
)
def test_scopes(tokens: Tokens, gate: Gate, own: list[str], allowed: list[str]) -> None:
    made = tokens.create("ann", own, "me")
    scope: Scope
    for scope in ("read", "write", "admin"):
        if scope in allowed:
            principal = admit(gate, made.text, scope)
            assert (principal.name, principal.token) == ("ann", made.token.id)
        else:
            refused = refusal(gate, made.text, scope)
            assert answer(refused) == (403, f"This needs a token with the scope {scope}.")


def test_the_same_answer_whatever_is_wrong_with_a_token(tokens: Tokens, gate: Gate) -> None:
    revoked = tokens.create("ann", ["read"], "me")
    tokens.revoke(revoked.token.id, "me")
    active = tokens.create("bob", ["read"], "me")
    admit(gate, active.text)
    forged = _with_secret_of(mint("secret").text, active.text)
    assert id_in(forged) == active.token.id
    assert forged != active.text
    wrong = [
        mint("secret").text,
        forged,
        revoked.text,
        active.text[:-1],
        active.text[:-1] + "_",
        "trk_",
        "Ж",
        "\ud800",
        "x" * 100_000,
    ]
    answers = [answer(refusal(gate, each, client=f"203.0.113.{n}")) for n, each in enumerate(wrong)]
    unknown = (401, "This token is unknown, or no longer valid.")
    assert answers == [unknown] * len(wrong)


def _with_secret_of(other: str, text: str) -> str:
    """The token, with the secret of another one and the checksum that belongs to that."""
    from cybertools.tracking.service.access.tokens import _checksum

    body = f"{text.rpartition('_')[0]}_{other.rpartition('_')[2][:-6]}"
    return body + _checksum(body)


def test_no_token(gate: Gate) -> None:
    for nothing in (None, ""):
        status, text = answer(refusal(gate, nothing))
        assert status == 401
        assert "Authorization: Bearer" in text


def test_a_token_ends(tokens: Tokens, gate: Gate, clock: Clock) -> None:
    made = tokens.create("ann", ["read"], "me", expires=START + 60)
    clock.go(59)
    admit(gate, made.text)
    clock.go(1)
    assert answer(refusal(gate, made.text)) == (401, "This token has expired.")


def test_only_its_storages(tokens: Tokens, gate: Gate, open: Opener) -> None:
    open("there").saveUserTrack("t", 0, "u", {})
    made = tokens.create("ann", ["read", "write"], "me", ["tracks", "comments"])
    for storage in ("tracks", "comments"):
        admit(gate, made.text, "write", storage)
    answers = [
        answer(refusal(gate, made.text, "read", each))
        for each in ("there", "not there", "Tracks", TOKENS, AUDIT)
    ]
    assert answers == [(403, "This token is not for this storage.")] * 5


def test_the_own_storages_are_for_admins_of_all(tokens: Tokens, gate: Gate) -> None:
    reader = tokens.create("ann", ["read", "write"], "me").text
    some = tokens.create("bob", ["admin"], "me", ["tracks"]).text
    admin = tokens.create("carl", ["admin"], "me").text
    for own in (TOKENS, AUDIT, "Service-Tokens", "service-later"):
        assert is_reserved(own)
        assert refusal(gate, reader, "read", own).status == 403
        assert refusal(gate, some, "read", own).status == 403
        admit(gate, admin, "read", own)
    assert not is_reserved("tracks")
    assert not is_reserved("services")


def test_requests_that_name_no_storage(tokens: Tokens, gate: Gate) -> None:
    some, one, every = (
        tokens.create("ann", ["admin"], "me", storages).text
        for storages in (["tracks", "comments"], ["tracks"], None)
    )
    scope: Scope
    for scope in ("read", "write", "admin"):
        assert admit(gate, every, scope, None).storage is None
    for scope in ("read", "write"):
        assert admit(gate, one, scope, None).storage == "tracks"
    assert admit(gate, some, "read", None).storage is None
    refused = "This token is for several storages: the request has to name one."
    assert answer(refusal(gate, some, "write", None)) == (403, refused)
    for text in (some, one):
        refused = "This needs a token for all storages."
        assert answer(refusal(gate, text, "admin", None)) == (403, refused)


def test_which_storages_are_shown(tokens: Tokens, gate: Gate) -> None:
    names = ("tracks", "comments", TOKENS)
    for scopes, storages, shown in (
        (["read"], ["tracks"], ["tracks"]),
        (["read"], None, ["tracks", "comments"]),
        (["admin"], None, [*names]),
        (["write"], None, []),
    ):
        principal = tokens.create("ann", scopes, "me", storages).token.principal
        assert [each for each in names if asyncio.run(gate.may_read(principal, each))] == shown


def test_a_public_key_writes_from_its_pages_only(tokens: Tokens, gate: Gate) -> None:
    made = tokens.create("shop", ["write"], "me", ["tracks"], origins=[PAGE])
    admit(gate, made.text, "write", origin=PAGE)
    for origin in (None, "null", "https://example.org", f"{PAGE}:8443", f"{PAGE}.evil.example"):
        refused = refusal(gate, made.text, "write", origin=origin)
        assert answer(refused) == (403, "This key is not for pages of this origin.")
    assert refusal(gate, made.text, "read", origin=PAGE).status == 403
    assert refusal(gate, made.text, "write", "comments", origin=PAGE).status == 403
    assert admit(gate, made.text, "write", None, origin=PAGE).storage == "tracks"
    assert refusal(gate, made.text, "write", None).status == 403


def test_the_origins_of_keys(tokens: Tokens, gate: Gate, clock: Clock) -> None:
    def known(origin: str) -> bool:
        return asyncio.run(gate.has_key_for(origin))

    assert not known(PAGE)
    made = tokens.create("shop", ["write"], "me", ["tracks"], origins=[PAGE])
    assert known(PAGE)
    tokens.create("old", ["write"], "me", ["tracks"], START + 1, origins=["https://old.example"])
    assert known("https://old.example")
    tokens.revoke(made.token.id, "me")
    clock.go(VALID)
    assert not known(PAGE)
    assert not known("https://old.example")
    tokens.storage.close()
    clock.go(VALID)
    assert not known(PAGE)


def test_a_refusal_tells_nothing(tokens: Tokens, gate: Gate) -> None:
    made = tokens.create("secret-name", ["write"], "me", ["secret-storage"])
    key = tokens.create("key", ["write"], "me", ["secret-storage"], origins=["https://secret.org"])
    texts = [
        str(refusal(gate, made.text, "read", "secret-storage")),
        str(refusal(gate, made.text, "write", "other-storage")),
        str(refusal(gate, key.text, "write", "secret-storage", origin=PAGE)),
        str(refusal(gate, made.text + "x")),
    ]
    for text in texts:
        for told in ("secret", "other-storage", PAGE, made.token.id, made.text, key.token.id):
            assert told not in text


def test_nobody_is_let_in_where_the_tokens_cannot_be_read(
    tokens: Tokens, gate: Gate, clock: Clock
) -> None:
    made = tokens.create("ann", ["read"], "me")
    admit(gate, made.text)
    tokens.storage.close()
    clock.go(VALID)
    with pytest.raises(StorageError):
        admit(gate, made.text)


def test_a_request_that_is_broken_off_takes_no_other_along(tokens: Tokens, gate: Gate) -> None:
    made = tokens.create("ann", ["read"], "me")

    async def several() -> list[Principal | BaseException]:
        asked = [
            asyncio.create_task(gate.admit(made.text, "read", "tracks", None, FAR))
            for _ in range(5)
        ]
        await asyncio.sleep(0)
        asked[0].cancel()
        return await asyncio.gather(*asked, return_exceptions=True)

    first, *others = asyncio.run(several())
    assert isinstance(first, asyncio.CancelledError)
    assert all(isinstance(each, Principal) for each in others)


# When it takes effect


def test_a_revoked_token_is_refused_soon(tokens: Tokens, gate: Gate, clock: Clock) -> None:
    made = tokens.create("ann", ["read"], "me")
    admit(gate, made.text)
    revoked = tokens.revoke(made.token.id, "me")
    assert revoked is not None
    assert revoked.revoked == START
    assert revoked.state(clock()) == "revoked"
    clock.go(VALID)
    assert refusal(gate, made.text).status == 401
    again = tokens.revoke(made.token.id, "me")
    assert again is not None
    assert again.revoked == START
    assert tokens.revoke("0123456789", "me") is tokens.revoke("*", "me") is None


def test_a_new_token_can_be_used_soon(tokens: Tokens, gate: Gate, clock: Clock) -> None:
    admit(gate, tokens.create("ann", ["read"], "me").text)
    later = tokens.create("bob", ["read"], "me")
    assert admit(gate, later.text).name == "bob"
    for _ in range(20):
        refusal(gate, mint("secret").text)
    later = tokens.create("carl", ["read"], "me")
    clock.go(NEW)
    assert admit(gate, later.text).name == "carl"


def test_what_another_process_does_takes_effect(
    engine: EngineUnderTest, url: str, tokens: Tokens, gate: Gate, clock: Clock
) -> None:
    if not engine.shared:
        pytest.skip("one process has it for itself")
    made = tokens.create("ann", ["read"], "me")
    admit(gate, made.text)
    later = _command("--storage", url, "token", "create", "bob", "--scope", "read").strip()
    _command("--storage", url, "token", "revoke", made.token.id)
    assert admit(gate, later).name == "bob"
    clock.go(VALID)
    assert refusal(gate, made.text).status == 401


def test_last_use_is_kept_now_and_then(tokens: Tokens, gate: Gate, clock: Clock) -> None:
    made = tokens.create("ann", ["read"], "me")
    idle = tokens.create("bob", ["read"], "me")

    def last_used() -> float | None:
        asyncio.run(gate.note(made.token.principal, "flush", {}))
        token = tokens.get(made.token.id)
        assert token is not None
        return token.lastUsed

    seen = []
    for _ in range(5):
        admit(gate, made.text)
        seen.append(last_used())
        clock.go(USED / 4)
    assert seen == [START] * 4 + [START + USED]
    assert tokens.get(idle.token.id) == idle.token
    refusal(gate, made.text, "admin")
    assert last_used() == START + USED


def test_a_use_that_is_kept_does_not_undo_a_revocation(tokens: Tokens, clock: Clock) -> None:
    made = tokens.create("ann", ["read"], "me")
    tokens.revoke(made.token.id, "me")
    tokens.note_use(made.token, clock())
    kept = tokens.get(made.token.id)
    assert kept is not None
    assert kept.state(clock()) == "revoked"
    tokens.storage.removeTrack(made.token.track)
    tokens.note_use(made.token, clock())
    assert tokens.get(made.token.id) is None


# Limits


def tries(times: int, ask: Callable[[], Any]) -> list[int]:
    """How each of so many attempts ended: 200 or the status of the refusal."""
    ended, waits, texts = [], [], []
    for _ in range(times):
        try:
            ask()
            ended.append(200)
        except Refused as refused:
            ended.append(refused.status)
            if refused.status == 429:
                waits.append(refused.retry_after)
                texts.append(str(refused))
    assert all(wait and f" {wait} " in text for wait, text in zip(waits, texts, strict=True))
    return ended


def test_the_rate_of_a_token(tokens: Tokens, gate: Gate, clock: Clock) -> None:
    made = tokens.create("ann", ["read"], "me", rate=2)
    other = tokens.create("bob", ["read"], "me", rate=2)
    assert tries(6, lambda: admit(gate, made.text)) == [200] * 4 + [429] * 2
    assert tries(1, lambda: admit(gate, other.text)) == [200]
    clock.go(1)
    assert tries(3, lambda: admit(gate, made.text)) == [200, 200, 429]


def test_the_limit_of_an_address(tokens: Tokens, clock: Clock) -> None:
    gate = Gate(tokens, Limits(client=Rate(1, 3)), clock, clock)
    made = tokens.create("ann", ["read"], "me")
    assert tries(4, lambda: admit(gate, made.text)) == [200] * 3 + [429]
    assert tries(4, lambda: admit(gate, made.text, client="127.0.0.1")) == [200] * 4
    assert tries(1, lambda: admit(gate, made.text, client="203.0.113.8")) == [200]
    clock.go(1)
    assert tries(2, lambda: admit(gate, made.text)) == [200, 429]
    gate.close()


def test_the_limit_of_an_address_with_a_public_key(tokens: Tokens, clock: Clock) -> None:
    gate = Gate(tokens, Limits(browser=Rate(1, 2)), clock, clock)
    key = tokens.create("shop", ["write"], "me", ["tracks"], origins=[PAGE])
    made = tokens.create("ann", ["write"], "me")
    assert tries(3, lambda: admit(gate, key.text, "write", origin=PAGE)) == [200, 200, 429]
    assert tries(3, lambda: admit(gate, made.text, "write", origin=PAGE)) == [200] * 3
    gate.close()


def test_failed_attempts_are_limited_and_who_has_a_token_is_not(
    tokens: Tokens, clock: Clock
) -> None:
    gate = Gate(tokens, Limits(failures=Rate(0.1, 3)), clock, clock)
    made = tokens.create("ann", ["read"], "me")
    guess = mint("secret").text
    assert tries(5, lambda: admit(gate, guess)) == [401] * 3 + [429] * 2
    assert refusal(gate, guess).retry_after == 10
    assert tries(2, lambda: admit(gate, made.text)) == [200] * 2
    assert tries(1, lambda: admit(gate, guess, client="203.0.113.8")) == [401]
    clock.go(10)
    assert tries(2, lambda: admit(gate, None)) == [401, 429]
    gate.close()


def test_buckets_take_bounded_memory(clock: Clock) -> None:
    buckets = Buckets(clock, size=100)
    rate = Rate(1, 1)
    for n in range(1_000):
        assert buckets.take(n, rate) == 0
        assert buckets.take("kept", rate) == (0 if n == 0 else 1)
    assert len(buckets) == 100


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_what_stands_for_a_client(client: str, network: str) -> None:
    assert network_of(client) == network


# The audit trail


def test_who_made_and_revoked_tokens_is_kept(tokens: Tokens) -> None:
    made = tokens.create("importer", ["write"], "ann", ["tracks"], START + 60)
    tokens.revoke(made.token.id, "bob")
    tokens.revoke(made.token.id, "carl")
    assert entries(tokens, "token.create") == [
        {
            "by": "ann",
            "id": made.token.id,
            "name": "importer",
            "kind": "secret",
            "scopes": ["write"],
            "storages": ["tracks"],
            "origins": [],
            "rate": None,
            "expires": START + 60,
        }
    ]
    assert entries(tokens, "token.revoke") == [
        {"by": "bob", "id": made.token.id, "name": "importer"}
    ]


def test_what_admins_do_is_kept_before_it_is_done(tokens: Tokens, gate: Gate) -> None:
    made = tokens.create("root", ["admin"], "me")
    principal = admit(gate, made.text, "admin", "tracks")
    admit(gate, made.text, "read", "tracks")
    (entry,) = entries(tokens, "admin")
    assert (entry["by"], entry["token"], entry["storage"]) == ("root", made.token.id, "tracks")
    asyncio.run(gate.note(principal, "reindex", {"storage": "tracks"}))
    (entry,) = entries(tokens, "reindex")
    assert entry == {"by": "root", "storage": "tracks", "token": made.token.id}


def test_refusals_are_kept_without_secrets_and_addresses(
    tokens: Tokens, gate: Gate, clock: Clock
) -> None:
    made = tokens.create("ann", ["read"], "me", ["tracks"], START + 60)
    other = mint("secret").text
    refusal(gate, made.text, "write")
    refusal(gate, made.text, "read", "hidden")
    refusal(gate, other)
    refusal(gate, _with_secret_of(other, made.text))
    refusal(gate, None, client="203.0.113.8")
    clock.go(60)
    refusal(gate, made.text)
    gate.close()
    kept = entries(tokens, "refused")
    assert [(each["by"], each["reason"], each["token"]) for each in kept] == [
        ("ann", "scope write", made.token.id),
        ("ann", "storage", made.token.id),
        (NOBODY, "unknown token", None),
        (NOBODY, "wrong secret", made.token.id),
        (NOBODY, "no token", None),
        (NOBODY, "expired", made.token.id),
    ]
    clients = [each["client"] for each in kept]
    assert len({*clients}) == 2
    assert clients[4] != clients[0] == clients[5]
    text = everything(tokens.audit.storage)
    for secret in ("203.0.113", made.text[15:], other[15:], made.token.digest):
        assert secret not in text


def test_an_attack_does_not_fill_the_disk(tokens: Tokens, gate: Gate, clock: Clock) -> None:
    times = int(REFUSALS.burst) + 50
    for n in range(times):
        refusal(gate, "guess", client=f"203.0.{n // 250}.{n % 250}")
    clock.go(1 / REFUSALS.per_second)
    refusal(gate, "guess")
    gate.close()
    kept = entries(tokens, "refused")
    assert len(kept) == REFUSALS.burst + 1
    assert [each["leftOut"] for each in kept if "leftOut" in each] == [50]


# Starting


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.8.9.10", "::1", "[::1]", "localhost", "LOCALHOST", "::ffff:127.0.0.1"],
)
def test_a_host_on_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        ANYWHERE,
        "::",
        "[::]",
        "",
        "192.168.0.1",
        "10.0.0.1",
        "example.org",
        "127.1",
        "::ffff:0.0.0.0",
    ],
)
def test_a_host_beyond_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_the_first_token_is_made_once(tokens: Tokens, gate: Gate) -> None:
    assert first_token(ANYWHERE, tokens) is None
    text = first_token("127.0.0.1", tokens)
    assert admit(gate, text, "admin", None).name == "first"
    assert first_token("127.0.0.1", tokens) is None
    (token,) = tokens.all()
    tokens.revoke(token.id, "me")
    assert first_token("127.0.0.1", tokens) is None
    tokens.storage.removeTrack(token.track)
    assert first_token("127.0.0.1", tokens) is None
    assert len(entries(tokens, "token.create")) == 1


def test_no_first_token_where_there_is_another(tokens: Tokens) -> None:
    tokens.create("ann", ["read"], "me")
    assert first_token("::1", tokens) is None


FIRST = """
import sys
from cybertools.tracking.service.access.starting import first_token, open_tokens
with open_tokens(sys.argv[1]) as tokens:
    print("ready", flush=True)
    sys.stdin.readline()
    print(first_token("localhost", tokens))
"""


def test_processes_that_start_together_make_one_first_token(
    engine: EngineUnderTest, url: str, tokens: Tokens, gate: Gate
) -> None:
    if not engine.shared:
        pytest.skip("one process has it for itself")
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST, url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in starting:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    said = [process.communicate("go\n")[0].strip() for process in starting]
    made = [each for each in said if each != "None"]
    assert len(made) == len([*tokens.all()]) == 1
    admit(gate, made[0], "admin")


def test_beyond_loopback_there_has_to_be_a_token(tokens: Tokens, clock: Clock) -> None:
    require_tokens("127.0.0.1", tokens)
    ended = tokens.create("ann", ["read"], "me", expires=START + 60)
    revoked = tokens.create("bob", ["read"], "me")
    require_tokens(ANYWHERE, tokens)
    tokens.revoke(revoked.token.id, "me")
    require_tokens(ANYWHERE, tokens)
    assert ended.token.expires is not None
    clock.go(60)
    for host in (ANYWHERE, "::", "192.168.0.1", ""):
        with pytest.raises(InvalidValue, match="tracks token create"):
            require_tokens(host, tokens)


# The command


def _command(*arguments: str) -> str:
    process = spawn(*arguments)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.decode()


def test_command_create_prints_the_token_alone() -> None:
    text = _command("token", "create", "ann", "--scope", "read", "--scope", "write").strip()
    with open_tokens("sqlite:tracks.db") as tokens:
        gate = Gate(tokens)
        assert admit(gate, text).name == "ann"
        gate.close()
        assert [each["by"] for each in entries(tokens, "token.create")] != [NOBODY]


def test_command_create_as_json() -> None:
    (made,) = run(
        *(
            "token",
            "create",
            "shop",
            "--origin",
            PAGE,
            "--storage-name",
            "a",
            "--storage-name",
            "b",
        ),
        *("--expires", "90d", "--rate", "5", "--json"),
    ).json
    assert made["token"].startswith(f"trkw_{made['id']}_")
    assert made["scopes"] == ["write"]
    assert made["storages"] == ["a", "b"]
    assert made["origins"] == [PAGE]
    assert made["expires"] - made["created"] == pytest.approx(90 * 86_400, abs=60)
    assert made["state"] == "active"


@pytest.mark.parametrize(
    ("given", "expires"),
    [
        ("2100-01-01", 4_102_444_800 + 86_400),
        ("2100-01-01T12:00:00+02:00", 4_102_444_800 + 10 * 3600),
    ],
)
def test_command_create_with_a_date(given: str, expires: int) -> None:
    (made,) = run("token", "create", "a", "--scope", "read", "--expires", given, "--json").json
    assert made["expires"] == expires


def test_command_list_shows_no_secret() -> None:
    said = run("token", "create", "ann", "--scope", "read", "--expires", "1d")
    text = said.out.strip()
    assert "only now" in said.err
    run("token", "create", "bob", "--scope", "write", "--storage-name", "tracks")
    with open_tokens("sqlite:tracks.db") as tokens:
        first, second = tokens.all()
    run("token", "revoke", second.id)
    plain, csv, lines = (run("token", "list", *how).out for how in ([], ["--csv"], ["--json"]))
    for out in (plain, csv, lines):
        assert first.id in out
        assert second.id in out
        assert "revoked" in out
        assert text[15:] not in out
        assert first.digest not in out
    assert "all" in plain
    assert "never" in plain
    listed = [json.loads(line) for line in lines.splitlines()]
    assert [each["state"] for each in listed] == ["active", "revoked"]


def test_command_list_of_none() -> None:
    assert "tracks.db" in run("token", "list", status=3).err
    run("save", "a", "u")
    said = run("token", "list")
    assert said.out == ""
    assert "tracks token create" in said.err


def test_command_revoke_takes_the_token_as_well() -> None:
    text = run("token", "create", "ann", "--scope", "read").out.strip()
    run("token", "revoke", text)
    run("token", "revoke", text)
    assert run("token", "list", "--json").json[0]["state"] == "revoked"
    for unknown in ("0123456789", "*", "ann"):
        assert "token list" in run("token", "revoke", unknown, status=1).err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--scope"),
        (["--scope", "all"], "read"),
        (["--scope", "read", "--expires", "soon"], "90d"),
        (["--scope", "read", "--expires", "2020-01-01"], "future"),
        (["--scope", "read", "--rate", "0"], "rate"),
        (["--scope", "read", "--storage-name", TOKENS], "service's own"),
        (["--origin", "example.org", "--storage-name", "tracks"], "https://example.org"),
        (["--origin", PAGE], "which storages"),
        (["--scope", "read", "--name", "tracks"], "--name"),
    ],
    ids=str,
)
def test_command_create_says_what_is_wrong(arguments: list[str], said: str) -> None:
    run("save", "a", "u")
    assert said in run("token", "create", "ann", *arguments, status=2).err
    assert run("token", "list").out == ""
