"""Where a service is, and its storages."""

import http.server
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from cybertools.tracking import open_storage
from cybertools.tracking.errors import (
    InvalidRun,
    InvalidValue,
    NotAllowed,
    SchemaError,
    StorageClosed,
    StorageError,
    StorageUnavailable,
)
from cybertools.tracking.opening import storage_names
from cybertools.tracking.testing import Comment
from tests.services import service_of


def item(number: int, **more: Any) -> dict[str, Any]:
    return {"taskId": "a001", "userName": f"u{number % 3}", "data": {"n": number}, **more}


# Addresses


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http:", "names no host"),
        ("http://", "names no host"),
        ("https:///tracks", "names no host"),
        ("http://host:x", "has no valid host and port"),
        ("http://host:99999", "has no valid host and port"),
        ("http://host/?a=1", "ends in a query or a fragment"),
        ("http://host#a", "ends in a query or a fragment"),
        ("http://user:word@host", "has a password; a token stands there alone"),
    ],
)
def test_urls_of_no_service(address: str, words: str) -> None:
    with pytest.raises(InvalidValue) as info:
        open_storage(address)
    assert str(info.value).startswith(f"The URL of the service {words}. It is like https://")


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(StorageUnavailable, match=rf"^{url} cannot be reached: .*refused"):
        open_storage(f"{url}/")


def test_no_host_of_that_name() -> None:
    with pytest.raises(StorageUnavailable, match=r"^http://nowhere.invalid cannot be reached: "):
        open_storage("http://nowhere.invalid")


@contextmanager
def other_server(status: int, kind: str, body: bytes, **headers: str) -> Iterator[str]:
    """A server that is no service."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "kind", "body", "words"),
    [
        (404, "text/html", b"<p>Not here", "is no tracks service: .* with 404 (text/html)"),
        (200, "text/html", b"<p>Welcome", "is no tracks service: .* with 200 (text/html)"),
        (200, "application/json", b"[]", "is no tracks service: it does not name its storages"),
        (200, "application/json", b"{", "answer is no JSON"),
        (404, "application/json", b"{}", "is no tracks service: .* with 404"),
    ],
)
def test_something_else_is_there(status: int, kind: str, body: bytes, words: str) -> None:
    pattern = words.replace("(", r"\(").replace(")", r"\)")
    with other_server(status, kind, body) as url, pytest.raises(SchemaError, match=pattern):
        open_storage(url)


def test_a_proxy_of_others_says_no() -> None:
    with other_server(403, "text/html", b"") as url, pytest.raises(NotAllowed, match="a proxy"):
        open_storage(url)
    with (
        other_server(301, "text/html", b"", location="https://other.example/") as url,
        pytest.raises(StorageError, match=r"to https://other\.example/: use the URL there"),
    ):
        open_storage(url)


def test_a_path_too_much(url: str) -> None:
    with pytest.raises(SchemaError, match=r"nothing at this path\. Is it the address of"):
        open_storage(f"{url}/api")


def test_no_tls_is_there(url: str) -> None:
    with pytest.raises(StorageError, match="cannot be trusted or has no TLS"):
        open_storage(url.replace("http:", "https:"))


# Storages


def test_names_that_are_steps_of_a_path(url: str) -> None:
    for name in (".", "..", "a.b", "%2E", "a?b#c", "tracks"):
        with open_storage(url, name) as tracks:
            assert tracks.saveUserTrack("a001", 0, "u1", {"of": name}) == "0000001"
    assert storage_names(url) == ["%2E", ".", "..", "a.b", "a?b#c", "tracks"]


def test_a_name_that_would_be_two_parts_of_a_path(url: str) -> None:
    with pytest.raises(InvalidValue, match=r"^name must not hold a slash, .*'a/b'"):
        open_storage(url, "a/b")


def test_a_query_too_long_for_a_url(url: str) -> None:
    with open_storage(url, trackFactory=Comment) as tracks:
        tracks.saveUserTracks(item(n, taskId=f"t{n}", data={"state": n % 4}) for n in range(1_500))
        tasks = [f"t{n}" for n in range(0, 1_500, 2)] + ["\n", "ä&=;+ %"]
        assert tracks.countTracks(taskId=tasks) == 750
        assert len(tracks.query(taskId=tasks, state=[0, "x"])) == 375
        assert len([*tracks.iterTracks(taskId=tasks, limit=700)]) == 700


def test_a_stream_that_cannot_begin_says_why(url: str) -> None:
    with open_storage(url) as tracks:
        tracks.saveUserTrack("a001", 0, "u1", {})
        with pytest.raises(InvalidValue, match=r"^after: there is no track '0000009'"):
            next(tracks.iterTracks(after="0000009", order="timeStamp"))
        assert len(tracks) == 1


def test_texts_that_no_track_can_hold(url: str) -> None:
    with open_storage(url, trackFactory=Comment) as tracks:
        tracks.saveUserTrack("a001", 0, "u1", {"state": "new"})
        assert tracks.query(state="\ud800") == []
        assert tracks.countTracks(state=["\ud800", "new"]) == 1


def test_a_body_that_the_service_does_not_take(database: str) -> None:
    with service_of(database, decoded_bytes=200_000) as url, open_storage(url) as tracks:
        many = [item(n, data={"text": "x" * 1_000}) for n in range(1_000)]
        with pytest.raises(InvalidValue, match="A batchSize of saveUserTracks does that"):
            tracks.saveUserTracks(many)
        assert len(tracks) == 0
        assert len(tracks.saveUserTracks(many, batchSize=100)) == 1_000


def test_a_run_that_is_not_there_in_a_later_batch(url: str) -> None:
    with open_storage(url) as tracks:
        items = [item(n, runId=7 if n == 5 else 0) for n in range(8)]
        with pytest.raises(InvalidRun) as info:
            tracks.saveUserTracks(items, batchSize=2)
        assert str(info.value) == "tracks[5]: Invalid run: 7."
        assert info.value.runId == 7
        assert len(tracks) == 4


def test_closing_while_others_work(url: str) -> None:
    tracks = open_storage(url)
    began = threading.Barrier(5)

    def work(_: int) -> None:
        began.wait()
        saving = (tracks.saveUserTrack("a001", 0, "u1", {}) for _ in itertools.count())
        with pytest.raises(StorageClosed):
            deque(saving, maxlen=0)

    with ThreadPoolExecutor(4) as pool:
        working = pool.map(work, range(4))
        began.wait()
        time.sleep(0.2)
        tracks.close()
        assert [*working] == [None] * 4


def test_an_index_that_the_service_has_and_the_type_has_not(url: str) -> None:
    with open_storage(url, trackFactory=Comment), open_storage(url) as tracks:
        with pytest.raises(TypeError, match=r"data\['state'\] is an index attribute"):
            tracks.saveUserTrack("a001", 0, "u1", {"state": "x" * 2_000})
        assert len(tracks) == 0


def test_closing_while_a_stream_is_read(url: str) -> None:
    tracks = open_storage(url)
    tracks.saveUserTracks(item(n, data={"text": "x" * 900}) for n in range(3_000))
    stream = tracks.iterTracks()
    assert next(stream).id == "0000001"
    tracks.close()
    with pytest.raises(StorageClosed):
        deque(stream, maxlen=0)


@pytest.mark.parametrize("package", ["httpx", "greenlet"])
def test_a_package_that_is_not_installed(package: str) -> None:
    program = f"""if True:
        import sys
        sys.modules[{package!r}] = None
        from cybertools.tracking import open_storage
        try:
            open_storage("https://tracks.example.org")
        except NotImplementedError as error:
            print(error)
    """
    said = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert said.stdout.startswith(
        f"https: needs {package}: pip install 'cybertools-tracking[http]'."
    )
