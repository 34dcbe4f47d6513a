"""The browser script, from pages of another origin in a real Chromium."""

import gzip
import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cybertools.tracking import Storage, Track, open_storage
from cybertools.tracking.errors import InvalidType, InvalidValue
from cybertools.tracking.service.browser import read_beacon, script
from tests.engines import give_up
from tests.test_docs import blocks_of
from tests.web import free_port, server

SCRIPT_LIMIT = 2_000
"""Bytes of the script as it is sent."""

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

DOCUMENTATION = Path(__file__).parent.parent.parent / "docs" / "how-to" / "browser.md"
KEY = "trkw_public"
PATIENCE = 20.0

PAGE = """<!doctype html>
<title>{title}</title>
<script defer src="{service}/track.js" data-key="{key}"{more}></script>
<p><button data-track="buy" data-track-item="7" data-track-in-stock="yes">Buy <b>it</b></button>
<button id="plain">Nothing</button>
<a href="next.html?secret=1">Next</a></p>
"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """The files of a folder, on an origin of their own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as pages:
        thread = threading.Thread(target=pages.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{pages.server_port}"
        pages.shutdown()
        thread.join()


class Stage:
    """A service, a site whose pages have the script, and a browser that looks at them."""

    def __init__(self, service: str, host: str, folder: Path, tracks: Storage, chromium: Any):
        self.service, self.host, self.folder, self.tracks = service, host, folder, tracks
        self.chromium = chromium
        self.scenes = 0

    def begin(self) -> None:
        """Pages that no other test has: what closes later than its test sends its last track."""
        self.scenes += 1
        self.path = f"/{self.scenes}"
        self.pages = self.host + self.path
        self.sent: list[str] = []
        (self.folder / str(self.scenes)).mkdir()
        for name in ("index", "next"):
            self.write(f"{name}.html")

    def write(self, file: str, more: str = "") -> None:
        """A page with attributes of the script."""
        text = PAGE.format(title=file, service=self.service, key=KEY, more=more)
        (self.folder / str(self.scenes) / file).write_text(text)

    @contextmanager
    def visitor(self, script: str = "") -> Iterator[Any]:
        """A browser that was never used before, in which that script runs before a page's own."""
        context = self.chromium.new_context()
        if script:
            context.add_init_script(script)
        context.on("request", lambda request: self.sent.append(request.url))
        try:
            yield context
        finally:
            context.close()

    def arrived(self, count: int) -> list[Track]:
        """So many tracks, waited for."""
        end = time.monotonic() + PATIENCE
        while len(found := self.new()) < count and time.monotonic() < end:
            time.sleep(0.05)
        assert len(found) == count, found
        return found

    def new(self) -> list[Track]:
        """The tracks of this test."""
        return self.tracks.query(taskId=f"{self.path}/*")


def chromium() -> str:
    """Where Chromium is."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        give_up("the browser script", "Chromium")
    return found


def origins(pages: str) -> list[str]:
    """The names that the site is reached by."""
    return [pages, pages.replace("127.0.0.1", "localhost")]


@pytest.fixture(scope="module")
def open_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A service on one origin, and pages on another."""
    executable = chromium()
    if not find_spec("playwright"):
        give_up("the browser script", "the package playwright")
    from playwright.sync_api import sync_playwright

    folder = tmp_path_factory.mktemp("stage")
    url, port = f"sqlite:{folder}/tracks.db", free_port()
    (folder / "site").mkdir()
    with (
        site(folder / "site") as pages,
        server("-m", "tests.service.served", url, str(port), KEY, *origins(pages), port=port),
        open_storage(url) as tracks,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield Stage(f"http://127.0.0.1:{port}", pages, folder / "site", tracks, browser)
        browser.close()


@pytest.fixture
def stage(open_stage: Stage) -> Stage:
    """The stage, for one test."""
    open_stage.begin()
    return open_stage


def test_views_clicks_and_time_arrive(stage: Stage) -> None:
    with stage.visitor() as browser:
        page = browser.new_page()
        page.goto(f"{stage.pages}/index.html?mail=ann@example.org#top")
        page.click("b")
        page.click("#plain")
        page.wait_for_timeout(300)
        page.click("a")
        page.wait_for_url("**/next.html*")
        page.wait_for_timeout(200)
        page.evaluate("history.pushState({}, '', 'cart?secret=2')")
        page.evaluate("history.replaceState({}, '', 'cart?secret=3')")
        page.wait_for_timeout(200)
        page.go_back()
        found = stage.arrived(8)
        assert browser.cookies() == []
    seen = Counter((each.taskId, each.data["type"]) for each in found)
    assert seen == {
        (f"{stage.path}/index.html", "view"): 1,
        (f"{stage.path}/index.html", "click"): 1,
        (f"{stage.path}/index.html", "time"): 1,
        (f"{stage.path}/next.html", "view"): 2,
        (f"{stage.path}/next.html", "time"): 1,
        (f"{stage.path}/cart", "view"): 1,
        (f"{stage.path}/cart", "time"): 1,
    }
    (clicked,) = (each.data for each in found if each.data["type"] == "click")
    assert clicked == {"type": "click", "name": "buy", "item": "7", "inStock": "yes"}
    times = {each.taskId: each.data["seconds"] for each in found if each.data["type"] == "time"}
    assert 0.3 <= times[f"{stage.path}/index.html"] < 20
    assert len({each.userName for each in found}) == 1
    assert found[0].userName.startswith("visitor-")
    session = found[0].userName.removeprefix("visitor-")
    assert {stage.tracks.runs[each.runId].label for each in found} == {session}
    everything = repr([(each.taskId, each.userName, each.data) for each in found])
    assert "ann" not in everything
    assert "secret" not in everything


def test_the_end_of_a_tab_is_seen(stage: Stage) -> None:
    with stage.visitor() as browser:
        page = browser.new_page()
        page.goto(f"{stage.pages}/index.html")
        stage.arrived(1)
        page.wait_for_timeout(500)
        page.close()
        view, spent = stage.arrived(2)
        assert (view.data, spent.data["type"]) == ({"type": "view"}, "time")
        assert 0.5 <= spent.data["seconds"] < 20
        assert view.timeStamp < spent.timeStamp


def test_each_tab_is_a_session(stage: Stage) -> None:
    with stage.visitor() as browser:
        for _ in range(2):
            browser.new_page().goto(f"{stage.pages}/index.html")
        found = stage.arrived(2)
        assert len({each.userName for each in found}) == 2
        assert len({each.runId for each in found}) == 2


def test_what_the_page_says(stage: Stage) -> None:
    stage.write("ann.html", ' data-user="ann"')
    with stage.visitor() as browser:
        page = browser.new_page()
        # The page before is one of another host, and so is worth a word.
        page.goto(stage.pages.replace("127.0.0.1", "localhost") + "/next.html")
        page.wait_for_timeout(200)
        page.evaluate(f"location.href = '{stage.pages}/ann.html'")
        (found,) = (each for each in stage.arrived(3) if each.userName == "ann")
        assert found.taskId.endswith("/ann.html")
        host = stage.host.removeprefix("http://").replace("127.0.0.1", "localhost")
        assert found.data == {"type": "view", "referrer": host}


def test_the_example_of_the_documentation(stage: Stage) -> None:
    (text,) = (block.text for block in blocks_of(DOCUMENTATION) if block.file == "page.html")
    text = text.replace("https://tracks.example.org", stage.service).replace("trkw_…", KEY)
    (stage.folder / str(stage.scenes) / "page.html").write_text(text)
    with stage.visitor() as browser:
        page = browser.new_page()
        page.goto(f"{stage.pages}/page.html")
        page.click("button")
        found = [each.data for each in stage.arrived(2)]
        assert {"type": "click", "name": "buy", "item": "7"} in found


def test_a_page_that_tells_others_no_referrer(stage: Stage) -> None:
    file = stage.folder / str(stage.scenes) / "index.html"
    hidden = '<meta name="referrer" content="no-referrer">'
    file.write_text(file.read_text().replace("<title>", f"{hidden}<title>"))
    with stage.visitor() as browser:
        browser.new_page().goto(f"{stage.pages}/index.html")
        stage.arrived(1)


def test_a_browser_without_beacons(stage: Stage) -> None:
    with stage.visitor("navigator.sendBeacon = undefined") as browser:
        page = browser.new_page()
        page.goto(f"{stage.pages}/index.html")
        page.click("b")
        page.wait_for_timeout(200)
        page.close()
        assert [each.data["type"] for each in stage.arrived(3)] == ["view", "click", "time"]


def test_a_page_without_storage(stage: Stage) -> None:
    no_storage = "Object.defineProperty(window, 'sessionStorage', {get() { throw Error('no'); }})"
    with stage.visitor(no_storage) as browser:
        browser.new_page().goto(f"{stage.pages}/index.html")
        assert stage.arrived(1)[0].userName.startswith("visitor-")


def test_do_not_track(stage: Stage) -> None:
    signal = "Object.defineProperty(Navigator.prototype, 'doNotTrack', {value: '1'})"
    with stage.visitor(signal) as browser:
        page = browser.new_page()
        page.goto(f"{stage.pages}/index.html")
        untouched(stage, page)


def test_do_not_track_as_chromium_says_it(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "Default").mkdir()
    preferences = {"enable_do_not_track": True}
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(preferences))
    browser = stage.chromium.browser_type.launch_persistent_context(
        tmp_path, executable_path=chromium(), args=FLAGS
    )
    browser.on("request", lambda request: stage.sent.append(request.url))
    page = browser.new_page()
    page.goto(f"{stage.pages}/index.html")
    assert page.evaluate("navigator.doNotTrack") == "1"
    untouched(stage, page)
    browser.close()


def test_global_privacy_control(stage: Stage) -> None:
    # What the extensions do that give Chromium this signal.
    signal = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {value: true})"
    with stage.visitor(signal) as browser:
        page = browser.new_page()
        page.goto(f"{stage.pages}/index.html")
        untouched(stage, page)


def untouched(stage: Stage, page: Any) -> None:
    """Nothing is sent or kept, although the script is there."""
    page.click("b")
    page.wait_for_timeout(300)
    assert page.evaluate("sessionStorage.length") == 0
    page.close()
    assert f"{stage.service}/track.js" in stage.sent
    assert not [url for url in stage.sent if "/b?" in url]
    assert not stage.new()


# What needs no browser


def test_the_script_is_small() -> None:
    assert len(gzip.compress(script(), mtime=0)) <= SCRIPT_LIMIT


def test_what_a_beacon_may_be() -> None:
    good = {"taskId": "/", "runId": "s1", "userName": "visitor-1", "key": "k", "data": {"a": 1}}
    item = read_beacon(good, 7.0)
    assert (item.record.timeStamp, item.record.key, item.label) == (7.0, "k", "s1")
    for name in ("replace", "update", "timeStamp", "other"):
        with pytest.raises(InvalidType, match=f"A beacon has no '{name}'"):
            read_beacon({**good, name: True}, 7.0)
    with pytest.raises(InvalidType, match="must be an object"):
        read_beacon([good], 7.0)
    with pytest.raises(InvalidValue, match="userName must not be empty"):
        read_beacon({**good, "userName": ""}, 7.0)
