"""Who asks: tokens, and what each may do."""

import traceback
from collections.abc import Iterator

import pytest

from cybertools.tracking import open_storage
from cybertools.tracking.errors import (
    InvalidValue,
    NotAllowed,
    StorageError,
    StorageNotFound,
)
from cybertools.tracking.opening import storage_names
from cybertools.tracking.service.gate import Principal, Refused
from tests.gates import Asked, DecidingGate
from tests.services import service_of

# Tokens

TOKEN = "s3cret-T0ken_of.ours~"  # noqa: S105


class Tokens(DecidingGate):
    """A gate that knows what each token may do."""

    def __init__(self, **scopes: str) -> None:
        self.scopes = {name.replace("_", "-"): scope.split() for name, scope in scopes.items()}

    def decide(self, asked: Asked) -> Principal:
        if asked.credential == TOKEN:
            return Principal("admin")
        if asked.credential not in self.scopes:
            raise Refused("A token is needed.")
        if asked.scope not in self.scopes[asked.credential]:
            raise Refused(f"The token has not the scope {asked.scope}.", 403)
        return Principal(asked.credential)


@pytest.fixture
def guarded(database: str) -> Iterator[str]:
    """The URL of a service that knows tokens."""
    with service_of(database, Tokens(writes="write", reads="read", both="read write")) as url:
        yield url


def with_token(url: str, token: str) -> str:
    return url.replace("://", f"://{token}@")


def test_a_token_in_the_url(guarded: str) -> None:
    with open_storage(with_token(guarded, TOKEN)) as tracks:
        assert tracks.saveUserTrack("a001", 0, "u1", {}) == "0000001"
        assert TOKEN not in repr(tracks) + repr(tracks.engine)


def test_a_token_in_the_environment(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKS_TOKEN", TOKEN)
    with open_storage(guarded) as tracks:
        assert tracks.saveUserTrack("a001", 0, "u1", {}) == "0000001"
    assert storage_names(guarded) == ["tracks"]
    with pytest.raises(NotAllowed):  # that of the URL comes first
        open_storage(with_token(guarded, "other"))


def test_without_a_token(guarded: str) -> None:
    with pytest.raises(NotAllowed, match=r"^A token is needed\. It is taken from TRACKS_TOKEN"):
        open_storage(guarded)


def test_what_a_token_may_not_do(guarded: str) -> None:
    for token in ("both", "reads"):
        with pytest.raises(StorageNotFound, match="There is no storage 'tracks' that the token"):
            open_storage(with_token(guarded, token))
    with (
        open_storage(with_token(guarded, "writes")) as tracks,  # it cannot ask
        pytest.raises(StorageNotFound, match="There is no storage 'tracks'"),
    ):
        tracks.saveUserTrack("a001", 0, "u1", {})
    open_storage(with_token(guarded, TOKEN)).close()
    with open_storage(with_token(guarded, "both")) as tracks:
        assert tracks.saveUserTrack("a001", 0, "u1", {}) == "0000001"
        with pytest.raises(NotAllowed, match=r"^The token has not the scope admin\.$"):
            tracks.removeTrack("0000001")
    with open_storage(with_token(guarded, "writes")) as tracks:
        assert tracks.saveUserTrack("a001", 0, "u1", {}) == "0000002"
        with pytest.raises(NotAllowed, match=r"^The token has not the scope read\.$"):
            len(tracks)
    with open_storage(with_token(guarded, "reads")) as tracks:
        assert len(tracks) == 2
        with pytest.raises(NotAllowed, match=r"^The token has not the scope write\.$"):
            tracks.saveUserTrack("a001", 0, "u1", {})


@pytest.mark.parametrize("how", ["url", "environment"])
@pytest.mark.parametrize(
    "address", ["http://{}127.0.0.1:1", "http://{}127.0.0.1:x", "https://{}[::1", "htps://{}host"]
)
def test_a_token_is_never_shown(address: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "environment":
        monkeypatch.setenv("TRACKS_TOKEN", TOKEN)
    with pytest.raises((StorageError, InvalidValue)) as info:
        open_storage(address.format(f"{TOKEN}@" if how == "url" else ""))
    shown = "".join(traceback.format_exception(info.value)) + repr(info.value)
    assert TOKEN not in shown


@pytest.mark.parametrize("token", ["two words", "line\nend", "tökén", "nul\0"])
def test_what_no_token_can_be(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "\0" not in token:
        monkeypatch.setenv("TRACKS_TOKEN", token)
        with pytest.raises(InvalidValue, match=r"^The token holds") as info:
            open_storage("http://127.0.0.1:1")
        assert token not in str(info.value)
