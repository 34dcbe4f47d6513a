"""From a URL to a storage, or to an error that says what would be right."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from cybertools.tracking import open_storage
from cybertools.tracking.errors import InvalidType, InvalidValue, SchemaError, StorageError
from cybertools.tracking.opening import storage_names
from tests.engines import ENGINES, EngineUnderTest, fresh_url, give_up

FILES = [engine for engine in ENGINES if engine.name in ("sqlite", "zodb")]


@pytest.fixture(params=FILES, ids=str)
def kind(request: pytest.FixtureRequest) -> str:
    """The scheme of each engine in a file."""
    engine: EngineUnderTest = request.param
    if missing := engine.missing():
        give_up(engine, missing)
    return engine.name


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "There is no engine for ''."),
        ("tracks.db", "There is no engine for 'tracks.db'. Did you mean 'sqlite:tracks.db'?"),
        ("mongodb:x", "There is no engine for 'mongodb:x'. There are:"),
        (":", "There is no engine for ':'. There are:"),
        ("memory:x", "memory: takes no path, but was given 'x'."),
    ],
)
def test_urls_that_name_no_database(url: str, words: str) -> None:
    with pytest.raises(InvalidValue) as info:
        open_storage(url)
    assert str(info.value).startswith(words)


@pytest.mark.parametrize("url", [None, 7, b"sqlite:", Path("tracks.db")])
def test_what_is_no_url(url: Any) -> None:
    with pytest.raises(InvalidType, match=r"^url must be text like 'sqlite:tracks\.db', not a?"):
        open_storage(url)


def test_the_engine_may_be_written_in_capitals() -> None:
    with open_storage("Memory:") as tracks:
        assert tracks.saveUserTrack("a001", 0, "u1", {}) == "0000001"


@pytest.mark.parametrize("durability", ["", "FULL", "high", None, True])
def test_durabilities_that_there_are_not(durability: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^durability must be 'full', 'normal' or 'off', not "):
        open_storage("memory:", durability=durability)


@pytest.mark.parametrize("durability", ["full", "normal", "off"])
def test_each_durability_survives_closing(kind: str, durability: Any, tmp_path: Path) -> None:
    url = f"{kind}:{tmp_path}/tracks"
    with open_storage(url, durability=durability) as tracks:
        tracks.saveUserTrack("a001", 0, "u1", {})
    with open_storage(url) as tracks:
        assert len(tracks) == 1


def test_a_path_may_hold_anything_that_a_file_name_may(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "ä 😀 ?x=1 #%41"
    folder.mkdir()
    with open_storage(f"{kind}:{folder}/my tracks:1") as tracks:
        tracks.saveUserTrack("a001", 0, "u1", {})
    assert (folder / "my tracks:1").is_file()


def test_a_path_is_relative_to_where_one_is(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_storage(f"{kind}:tracks") as tracks:
        tracks.saveUserTrack("a001", 0, "u1", {})
        monkeypatch.chdir("/")
        assert len(tracks) == 1
        assert tracks.saveUserTrack("a001", 0, "u1", {}) == "0000002"
    assert (tmp_path / "tracks").is_file()


def test_a_directory_is_no_database(kind: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"^{tmp_path} is a directory, not a "):
        open_storage(f"{kind}:{tmp_path}")


def test_a_directory_that_is_not_there(kind: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"^There is no directory {tmp_path}/none"):
        open_storage(f"{kind}:{tmp_path}/none/tracks")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"This is no database.\n" * 500, bytes(range(256)) * 100, b"a short note", b"FS"],
    ids=len,
)
def test_a_file_of_another_kind_is_left_as_it_is(kind: str, content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_bytes(content)
    for _ in range(2):
        with pytest.raises(SchemaError, match=str(file)):
            open_storage(f"{kind}:{file}")
    assert file.read_bytes() == content


def test_a_file_of_one_engine_is_none_of_the_other(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "tracks"
    (other,) = (engine for engine in FILES if engine.name != kind)
    if missing := other.missing():
        give_up(other, missing)
    with open_storage(f"{kind}:{file}") as tracks:
        tracks.saveUserTrack("a001", 0, "u1", {})
    with pytest.raises(SchemaError, match=str(file)):
        open_storage(f"{other}:{file}")
    with open_storage(f"{kind}:{file}") as tracks:
        assert len(tracks) == 1


def test_an_empty_file_becomes_a_database(kind: str, tmp_path: Path) -> None:
    (tmp_path / "tracks").touch()
    with open_storage(f"{kind}:{tmp_path}/tracks") as tracks:
        assert tracks.saveUserTrack("a001", 0, "u1", {}) == "0000001"


def test_a_url_without_a_path(kind: str) -> None:
    if kind == "zodb":
        with pytest.raises(InvalidValue, match=r"^zodb: needs a path: zodb:tracks\.fs\.$"):
            open_storage("zodb:")
    else:
        with open_storage(f"{kind}:") as tracks:  # in memory
            assert len(tracks) == 0


def test_a_database_of_another_application(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE tracks (a)")
    connection.close()
    with pytest.raises(SchemaError, match=r"other\.db is another application's SQLite database"):
        open_storage(f"sqlite:{file}")


def test_a_database_of_a_newer_version(tmp_path: Path) -> None:
    file = tmp_path / "tracks.db"
    open_storage(f"sqlite:{file}").close()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(SchemaError, match=r"has schema version 99.*pip install -U"):
        open_storage(f"sqlite:{file}")


@pytest.mark.parametrize("engine", [each for each in ENGINES if each.reopens], ids=str)
def test_a_database_tells_its_storages(engine: EngineUnderTest, tmp_path: Path) -> None:
    with fresh_url(engine, tmp_path) as url:
        assert storage_names(url) == []
        for name in ("tracks", "Das Archiv", "access"):
            open_storage(url, name).close()
        assert storage_names(url) == ["Das Archiv", "access", "tracks"]
    assert storage_names("memory:") == storage_names("sqlite:") == []
    with pytest.raises(InvalidValue, match="There is no engine for 'nix:x'"):
        storage_names("nix:x")
