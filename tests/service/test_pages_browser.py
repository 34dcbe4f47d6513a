"""Pages in a real Chromium: nothing in the console, nothing from elsewhere, usable by everybody."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from cybertools.tracking import open_storage
from tests.engines import give_up
from tests.service.paged import EVIL, Paged, filled, paged
from tests.service.test_browser import FLAGS, site

S = "/storages/tracks"

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}

STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS = ["color-contrast", "target-size", "link-in-text-block", "scrollable-region-focusable"]
"""What depends on colours and sizes."""


LONG = "a/rather/long/name/of/something/that/has/no/room/beside/a/chart/on/a/phone"


class Stage:
    """A service with pages, and a browser."""

    def __init__(self, site: Paged, chromium: Any) -> None:
        self.site, self.chromium = site, chromium
        self.token = site.token("admin")
        self.complaints: list[str] = []
        with site.visitor(self.token) as client:
            (self.cookie,) = [c for c in client.cookies.jar if c.name == "tracks-session"]

    @contextmanager
    def page(self, signed_in: bool = True, **options: Any) -> Iterator[Any]:
        """A page of a browser that was never used before."""
        context = self.chromium.new_context(base_url=self.site.base, **{"viewport": WIDE} | options)
        if signed_in:
            value = {"name": self.cookie.name, "value": self.cookie.value, "url": self.site.base}
            context.add_cookies([value])
        page = context.new_page()
        self.complaints = []
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._watch)
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        try:
            yield page
        finally:
            context.close()

    def _listen(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _watch(self, request: Any) -> None:
        if not request.url.startswith((self.site.base, "data:")):
            self.complaints.append(f"asked elsewhere: {request.url}")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The service and the browser."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if not executable:
        give_up("the pages", "Chromium")
    for package in ("playwright", "axe_playwright_python"):
        if not find_spec(package):
            give_up("the pages", f"the package {package}")
    from playwright.sync_api import sync_playwright

    url = f"sqlite:{tmp_path_factory.mktemp('pages')}/tracks.db"
    filled(url)
    with open_storage(url, "long") as storage:
        for number in range(14):
            for name in (LONG, "short"):
                storage.saveUserTrack(f"{name}-{number}.png", 0, f"{LONG}{number}@example.org", {})
    with paged(url) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield Stage(site, browser)
        browser.close()


@pytest.fixture(scope="module")
def axe() -> str:
    """What finds out about accessibility."""
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()


def found_by(axe: str, page: Any, rules: list[str]) -> list[str]:
    """What is in the way of somebody."""
    # The page's policy lets no script in but its own; the inspector is not bound by it.
    page.evaluate(axe + ";0")
    run = f"axe.run({{runOnly: {json.dumps(rules)}}})"
    return [
        f"{each['id']}: {[node['html'][:160] for node in each['nodes']][:3]}"
        for each in page.evaluate(run)["violations"]
    ]


ADDRESSES = [
    f"{S}/overview?period=7d",
    f"{S}/now",
    f"{S}/tasks",
    f"{S}/task?taskId=course/lesson-1",
    f"{S}/user?userName=user-1",
    f"{S}/runs/1",
    f"{S}/tracks/0000001",
    f"{S}/explore?by=state&where=state=failed",
    f"{S}/funnel?step=course/lesson-4&step=course/lesson-3",
    f"{S}/retention?unit=day",
    f"{S}/paths?gap=2h",
    f"{S}/behind?report=paths&source=course/lesson-4&target=course/lesson-3&gap=8h",
    f"{S}/behind?report=paths&source=course/lesson-4&target=nothing",
    f"{S}/find?q=course",
    "/storages",
    "/tokens",
    f"{S}/overview?from=2001-01-01&to=2001-01-02",
    "/storages/nothing/overview",
]


def looked_at(
    stage: Stage, axe: str, page: Any, address: str, rules: list[str] = LOOKS
) -> list[str]:
    """What is wrong with a page."""
    stage.complaints.clear()
    status = page.goto(address).status
    found = found_by(axe, page, rules)
    if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
        found.append("wider than the window")
    if "/nothing/" in address:
        assert status == 404
        return [*found, *(text for text in stage.complaints if "404" not in text)]
    assert status == 200
    return [*found, *stage.complaints]


@pytest.mark.parametrize(
    ("scheme", "size", "rules"),
    [("light", WIDE, STANDARDS), ("dark", NARROW, LOOKS)],
    ids=["light-wide", "dark-narrow"],
)
def test_each_page(
    stage: Stage, axe: str, scheme: str, size: dict[str, int], rules: list[str]
) -> None:
    with stage.page(viewport=size, color_scheme=scheme) as page:
        wrong = {address: looked_at(stage, axe, page, address, rules) for address in ADDRESSES}
        assert {address: found for address, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", NARROW), ("dark", WIDE)], ids=["light-narrow", "dark-wide"]
)
def test_each_page_in_german(stage: Stage, axe: str, scheme: str, size: dict[str, int]) -> None:
    addresses = ADDRESSES if size == NARROW else [ADDRESSES[0], "/tokens", "/storages/long/paths"]
    rules = ["html-has-lang", "html-lang-valid", "valid-lang", "label", "link-name", *LOOKS]
    with stage.page(viewport=size, color_scheme=scheme, locale="de-DE") as page:
        wrong = {address: looked_at(stage, axe, page, address, rules) for address in addresses}
        assert {address: found for address, found in wrong.items() if found} == {}
        assert page.evaluate("document.documentElement.lang") == "de"


@pytest.mark.parametrize(
    ("scheme", "size"), [("dark", WIDE), ("light", NARROW)], ids=["dark-wide", "light-narrow"]
)
def test_the_other_way_round(stage: Stage, axe: str, scheme: str, size: dict[str, int]) -> None:
    with stage.page(viewport=size, color_scheme=scheme) as page:
        for address in (ADDRESSES[0], ADDRESSES[9], "/tokens"):
            assert looked_at(stage, axe, page, address) == []
    with stage.page(signed_in=False, viewport=size, color_scheme=scheme) as page:
        page.goto("/sign-in")
        assert found_by(axe, page, STANDARDS) == []
        assert stage.complaints == []


BOXES = """
() => [...document.querySelectorAll(".chart .label")].map((label) => {
  const box = label.getBoundingClientRect();
  const chart = label.closest("svg.chart").getBoundingClientRect();
  return {
    x: box.x, top: box.top, bottom: box.bottom,
    isInside: box.left >= chart.left - 1 && box.right <= chart.right + 1
      && box.top >= chart.top && box.bottom <= chart.bottom,
    isShortened: label.scrollWidth > label.clientWidth,
    isWhole: label.scrollHeight <= label.clientHeight,
    title: label.firstChild.title, text: label.textContent,
  };
})
"""


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_label_is_cut(stage: Stage, size: dict[str, int]) -> None:
    with stage.page(viewport=size) as page:
        for address in ("/storages/long/paths", "/storages/long/runs/1"):
            assert page.goto(address).ok
            boxes = page.evaluate(BOXES)
            assert boxes
            for each in boxes:
                assert (each["isInside"], each["isWhole"]) == (True, True), each
                assert each["title"] == each["text"]
            for x in {each["x"] for each in boxes}:
                column = sorted((each["top"], each["bottom"]) for each in boxes if each["x"] == x)
                assert all(a[1] <= b[0] + 0.5 for a, b in pairwise(column))
            assert any(each["isShortened"] for each in boxes) or size == WIDE


def test_on_a_phone_nothing_has_to_be_guessed(stage: Stage) -> None:
    with stage.page(viewport=NARROW) as page:
        for address in ("/storages?sizes=1", "/tokens", "/storages/long/now"):
            assert page.goto(address).ok
            hidden = "(element) => element.scrollWidth > element.clientWidth"
            assert not page.locator(".switcher > summary").evaluate(hidden)
            assert not page.locator(".stacked").locator("..").evaluate(hidden)


def test_without_a_script(stage: Stage) -> None:
    with stage.page(signed_in=False, java_script_enabled=False) as page:
        page.goto(f"{S}/tasks")
        page.fill("#token", "nonsense")
        page.click("text=Sign in with the token")
        assert page.locator("[role=alert]").count() == 1
        page.fill("#token", stage.token)
        page.click("text=Sign in with the token")
        page.wait_for_url(f"**{S}/tasks")
        page.fill("input[name=q] >> nth=1", "course/lesson-3")
        page.click(".bar-form button")
        assert page.locator("#results tbody tr").count() == 1
        page.click("#results tbody a >> nth=0")
        assert page.inner_text("h1") == "course/lesson-3"
        page.click("nav.pages >> text=Explore")
        page.fill("#c-userName", "user-2")
        page.click(".criteria button")
        assert "userName=user-2" in page.url
        page.click("details.switcher summary")
        page.click("text=All storages")
        page.click("details.account summary")
        page.click("text=Sign out")
        page.wait_for_url("**/sign-in")


def test_by_keyboard(stage: Stage) -> None:
    with stage.page() as page:
        page.goto(f"{S}/overview")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "find"
        page.keyboard.type("lesson-3")
        page.wait_for_selector(".found a")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url("**/task?taskId=course%2Flesson-3")
        page.focus("details.dates summary")
        page.keyboard.press("Enter")
        assert page.locator("details.dates input[name=zone]").is_visible()
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
        assert not page.locator("details.dates input[name=zone]").is_visible()
        outlines = "getComputedStyle(document.activeElement).outlineStyle"
        for _ in range(25):
            page.keyboard.press("Tab")
            assert page.evaluate(outlines) != "none"
        assert stage.complaints == []


def test_menus_by_keyboard(stage: Stage) -> None:
    text = "document.activeElement.textContent.trim()"
    visible = """
        () => getComputedStyle(document.activeElement).outlineStyle !== "none"
          && document.activeElement.matches(":focus-visible")
    """
    with stage.page() as page:
        page.goto(f"{S}/overview")
        for menu, last in (("switcher", "All storages"), ("account", "Sign out")):
            details = page.locator(f"details.{menu}")
            entries = [name.strip() for name in details.locator("li").all_text_contents()]
            assert entries[-1] == last
            details.locator("summary").focus()
            ways = [
                *(("ArrowDown", name) for name in [*entries, entries[0]]),
                *(("ArrowUp", name) for name in [*entries[::-1], entries[-1]]),
                ("Home", entries[0]),
                ("End", entries[-1]),
            ]
            for key, name in ways:
                page.keyboard.press(key)
                assert (key, page.evaluate(text)) == (key, name)
                assert page.evaluate(visible)
            page.keyboard.press("Escape")
            assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
            assert not details.locator("ul").is_visible()
            page.keyboard.press("ArrowUp")
            assert page.evaluate(text) == entries[-1]
            page.keyboard.press("Tab")
            assert not details.locator("ul").is_visible()
        page.focus("details.dates summary")
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.name") == "from"
        page.keyboard.press("Escape")
        assert not page.locator("details.dates form").is_visible()
        page.focus("details.switcher summary")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url("**/overview*")
        assert stage.complaints == []


def test_lists_follow_what_is_typed(stage: Stage) -> None:
    with stage.page() as page:
        page.goto(f"{S}/users")
        page.locator(".bar-form input[name=q]").press_sequentially("user-3")
        page.locator("#results tbody tr").nth(1).wait_for(state="detached")
        page.wait_for_url("**/users?q=user-3&by=tracks")
        assert stage.complaints == []


def test_what_is_saved_is_seen_at_once(stage: Stage) -> None:
    with stage.page() as page:
        page.goto(f"{S}/now")
        page.wait_for_selector("#pulse:not([hidden])")
        track = {"taskId": f"{EVIL}now", "userName": f"{EVIL}who", "data": {EVIL: EVIL}}
        answer = httpx.post(
            f"{stage.site.base}/api{S}/tracks",
            json=track,
            headers={"Authorization": f"Bearer {stage.token}"},
        )
        assert answer.is_success
        row = page.locator("#live tbody tr.arrived")
        row.wait_for()
        assert f"{EVIL}now" in row.inner_text()
        assert EVIL in row.locator("code").inner_text()
        page.wait_for_selector(f"#present >> text={EVIL}who")
        row.locator("a").nth(2).click()
        page.wait_for_url("**/task?**")
        assert page.inner_text("h1") == f"{EVIL}now"
        assert stage.complaints == []


def test_a_link_on_another_site_finds_the_session(stage: Stage, tmp_path: Path) -> None:
    target = f"{stage.site.base}{S}/tasks?q=course"
    (tmp_path / "index.html").write_text(f'<!doctype html><a href="{target}">Look</a>')
    with site(tmp_path) as host, stage.page() as page:
        page.goto(host.replace("127.0.0.1", "localhost"))
        page.click("a")
        page.locator("#results tbody tr").first.wait_for()
        assert page.url == target


def test_the_zone_is_the_browsers(stage: Stage) -> None:
    with stage.page(signed_in=False, timezone_id="America/New_York") as page:
        page.goto("/sign-in")
        page.fill("#token", stage.token)
        page.press("#token", "Enter")
        page.wait_for_url("**/overview")
        assert "America/New_York" in page.inner_text("footer")
        page.goto(f"{S}/overview?zone=Asia/Kolkata")
        page.goto(f"{S}/tasks")
        assert "Asia/Kolkata" in page.inner_text("footer")


TABLE = """
() => {
  const region = document.querySelector(".scroll:has(.heat)");
  const { left, right } = region.getBoundingClientRect();
  region.scrollLeft = 0;
  const first = region.querySelector("tbody tr");
  const ends = [...first.cells].map((cell) => cell.getBoundingClientRect().right);
  region.scrollLeft = 200;
  return {
    inSight: ends.filter((end) => end <= right).length,
    scrolled: region.scrollLeft,
    head: first.cells[0].getBoundingClientRect().left - left,
  };
}
"""


def test_who_came_first_stays_in_sight_on_a_phone(stage: Stage) -> None:
    with stage.page(viewport=NARROW) as page:
        page.goto(f"{S}/retention?unit=day&period=30d")
        table = page.evaluate(TABLE)
        assert table["inSight"] >= 5  # the day, the users, three shares
        assert table["scrolled"] > 0
        assert abs(table["head"]) < 1


def test_user_names_take_one_line(stage: Stage) -> None:
    with stage.page() as page:
        for address in ("/storages/long/overview?period=all", "/storages/long/now"):
            page.goto(address)
            names = page.locator(".tracks .user a")
            assert names.count() > 3
            assert {box["height"] < 24 for box in (n.bounding_box() for n in names.all())} == {True}
            assert names.first.get_attribute("title") == names.first.text_content()


def test_in_print(stage: Stage) -> None:
    with stage.page() as page:
        page.emulate_media(media="print")
        for address in (ADDRESSES[0], ADDRESSES[7], ADDRESSES[9]):
            page.goto(address)
            for part in ("header.top", "nav.pages"):
                assert not page.locator(part).is_visible()
            assert page.locator("h1").is_visible()
            drawn = "main svg, main table"
            assert page.locator(drawn).first.is_visible()
            assert page.pdf(format="A4").startswith(b"%PDF")
        for address, width in (("/storages/long/paths", 740), (f"{S}/retention?unit=day", 1_016)):
            page.set_viewport_size({"width": width, "height": 1_000})
            page.goto(address)
            assert not page.locator("main form, main nav").filter(visible=True).count()
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert all(each["isInside"] for each in page.evaluate(BOXES))
        assert stage.complaints == []
