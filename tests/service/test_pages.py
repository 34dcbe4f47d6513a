"""Pages: who may see them, what they say, and what of it is text."""

import csv
import gzip
import io
import json
import re
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import httpx
import pytest
from babel.messages.extract import extract_from_dir
from hypothesis import given
from hypothesis import strategies as st

from cybertools.tracking import open_storage
from cybertools.tracking.errors import StorageError
from cybertools.tracking.service import web
from cybertools.tracking.service.web.charts import Bar, scale, time_chart
from cybertools.tracking.service.web.periods import chosen_period
from cybertools.tracking.service.web.refusals import REFUSALS, refusal
from cybertools.tracking.service.web.words import translations
from tests.engines import give_up
from tests.servers import missing_postgres, postgres_database
from tests.service.paged import EVIL, PASSWORD, Paged, filled, form_token, paged, sign_in

S = "/storages/tracks"
POLICY = {
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "font-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
}
FIRST_VIEW = 150_000
"""Bytes that a browser gets for the first page that it shows."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with tracks in two storages."""
    url = f"sqlite:{tmp_path_factory.mktemp('pages')}/tracks.db"
    filled(url)
    with open_storage(url, "other") as other:
        other.saveUserTrack("hidden", 0, "somebody else", {})
    return url


@pytest.fixture(scope="module")
def site(url: str) -> Iterator[Paged]:
    """A service of that database."""
    with paged(url, names=("tracks", "other")) as service:
        yield service


@pytest.fixture(scope="module")
def reader(site: Paged) -> Iterator[httpx.Client]:
    """Who may look."""
    with site.visitor(site.token("read")) as client:
        yield client


@pytest.fixture(scope="module")
def admin(site: Paged) -> Iterator[httpx.Client]:
    """Who may do everything."""
    with site.visitor(site.token("admin")) as client:
        yield client


def links(page: str) -> list[str]:
    """The addresses that a page links to."""
    return [found.replace("&amp;", "&") for found in re.findall(r'href="(/[^"]*)"', page)]


# Signing in


def test_nobody_sees_anything_before_signing_in(site: Paged) -> None:
    with site.visitor() as client:
        for path in ("/", f"{S}/overview", f"{S}/explore?by=userName", "/tokens", f"{S}/live"):
            answer = client.get(path)
            assert answer.status_code == 303
            target = urlsplit(answer.headers["location"])
            assert (target.path, parse_qs(target.query)["next"]) == ("/sign-in", [path])
        assert client.get(f"{S}/nothing").status_code == 404


def test_a_token_opens_the_page_that_was_asked_for(site: Paged) -> None:
    with site.visitor() as client:
        answer = sign_in(client, f"{S}/tasks?q=course", token=site.token("read"))
        assert (answer.status_code, answer.headers["location"]) == (303, f"{S}/tasks?q=course")
        (cookie,) = [c for c in answer.headers.get_list("set-cookie") if "session" in c]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {*cookie.split("; ")}
        assert "trk_" not in cookie
        assert client.get(f"{S}/tasks?q=course").status_code == 200


@pytest.mark.parametrize("target", ["https://example.org", "//example.org", "/\\example.org", "x"])
def test_nobody_is_sent_to_another_site(site: Paged, target: str) -> None:
    with site.visitor() as client:
        answer = sign_in(client, target, token=site.token("read"))
        assert answer.headers["location"] == "/"


def test_who_may_not_look_does_not_get_in(site: Paged) -> None:
    revoked = site.tokens.create("gone", ["read"], "test")
    site.tokens.revoke(revoked.token.id, "test")
    with site.visitor() as client:
        for token, status in (
            ("", 422),
            ("nonsense", 401),
            (revoked.text, 401),
            (site.token("read")[:-3] + "???", 401),
            (site.token("write"), 403),
        ):
            answer = sign_in(client, token=token)
            assert answer.status_code == status
            assert 'role="alert"' in answer.text
            assert not [c for c in client.cookies if "session" in c]
            assert not token or token not in answer.text


def test_a_name_and_a_password(site: Paged) -> None:
    site.users.create("ann", PASSWORD, ["read"], "test")
    with site.visitor() as client:
        wrong = sign_in(client, name="ann", password=PASSWORD[::-1])
        nobody = sign_in(client, name="nobody", password=PASSWORD)
        assert wrong.status_code == nobody.status_code == 401
        assert "The user name or the password is wrong." in wrong.text
        assert sign_in(client, name="ann", password=PASSWORD).status_code == 303
        assert client.get(f"{S}/overview").status_code == 200
        assert client.get("/tokens").status_code == 403
        site.users.set_password("ann", "seven horses on a hill", "test")
        site.later(10)
        assert client.get(f"{S}/overview").status_code == 303
    site.users.remove("ann", "test")


def test_guessing_a_password_is_slow(site: Paged) -> None:
    with site.visitor() as client:
        answers = [sign_in(client, name="eve", password="x" * 12) for _ in range(25)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert int(refused[0].headers["retry-after"]) > 0
    site.later(3_600)


def test_a_revoked_token_ends_its_sessions(site: Paged) -> None:
    made = site.tokens.create("guest", ["read"], "test")
    with site.visitor(made.text) as client:
        assert client.get(f"{S}/overview").status_code == 200
        site.tokens.revoke(made.token.id, "test")
        site.later(10)
        assert client.get(f"{S}/overview").status_code == 303


def test_a_changed_cookie_is_none(site: Paged) -> None:
    with site.visitor(site.token("read")) as client:
        value = client.cookies["tracks-session"]
    for changed in (value[:-2] + "xx", "e30." + value.partition(".")[2], "\xff", ""):
        answer = httpx.get(
            f"{site.base}{S}/overview",
            headers=[(b"cookie", f"tracks-session={changed}".encode("latin-1"))],
        )
        assert answer.status_code == 303


def test_signing_out(site: Paged) -> None:
    with site.visitor(site.token("read")) as client:
        token = form_token(client.get(f"{S}/overview").text)
        assert client.post("/sign-out", data={"form": token}).status_code == 303
        assert client.get(f"{S}/overview").status_code == 303


def test_with_https_the_cookie_is_for_https_only(url: str) -> None:
    with paged(url, proxies=("127.0.0.1",)) as site, site.visitor() as client:
        client.headers["x-forwarded-proto"] = "https"
        answer = sign_in(client, token=site.token("read"))
        assert answer.status_code == 403  # a cookie for https does not come back over http
        cookies = client.get("/sign-in").headers.get_list("set-cookie")
        assert all("Secure" in cookie for cookie in cookies)


def test_a_link_on_another_site_leads_to_the_page(site: Paged) -> None:
    # A browser keeps the session to itself on the way from elsewhere, and sends it along from here.
    with site.visitor(**{"sec-fetch-site": "cross-site"}) as client:
        answer = client.get(f"{S}/tasks?q=a")
        assert answer.status_code == 200
        assert f'content="0; url={S}/tasks?q=a"' in answer.text


# Forms


def test_a_form_of_another_page_is_refused(site: Paged, admin: httpx.Client) -> None:
    values = {"name": "made by nobody", "scope-read": "on"}
    with site.visitor(site.token("admin")) as other:
        foreign = form_token(other.get("/tokens").text)
    for token in ("", "x", "\u2028.x", foreign):
        answer = admin.post("/tokens", data={"form": token, **values})
        assert answer.status_code == 403
    own = form_token(admin.get("/tokens").text)
    elsewhere = {"sec-fetch-site": "cross-site"}
    answer = admin.post("/tokens", data={"form": own, **values}, headers=elsewhere)
    assert answer.status_code == 403
    assert "made by nobody" not in [token.name for token in site.tokens.all()]


def test_signing_in_takes_the_form_as_well(site: Paged) -> None:
    with site.visitor() as client:
        answer = client.post("/sign-in", data={"token": site.token("read")})
        assert answer.status_code == 403
        assert not client.cookies


def test_an_admin_makes_and_revokes_a_token(site: Paged, admin: httpx.Client) -> None:
    form = {"form": form_token(admin.get("/tokens").text)}
    answer = admin.post(
        "/tokens",
        data={**form, "name": EVIL, "scope-read": "on", "storages": "other", "expires": "1d"},
    )
    assert answer.status_code == 201
    (text,) = set(re.findall(r"trk_\w{60,}", answer.text))
    assert EVIL not in answer.text
    assert text not in admin.get("/tokens").text
    (token,) = [token for token in site.tokens.all() if token.name == EVIL]
    assert (token.scopes, token.storages) == (frozenset({"read"}), frozenset({"other"}))
    api = f"{site.base}/api/storages/other/info"
    bearer = {"Authorization": f"Bearer {text}"}
    assert httpx.get(api, headers=bearer).json()["tracks"] == 1
    answer = admin.post("/tokens/revoke", data={**form, "id": token.id})
    assert answer.status_code == 303
    site.later(10)
    assert httpx.get(api, headers=bearer).status_code == 401
    for wrong in ({"name": ""}, {"name": "x"}, {"name": "x", "scope-read": "on", "expires": "?"}):
        answer = admin.post("/tokens", data={**form, **wrong})
        assert (answer.status_code, 'role="alert"' in answer.text) == (422, True)


def test_only_what_one_may_see_is_there(site: Paged, reader: httpx.Client) -> None:
    assert reader.get("/tokens").status_code == 403
    assert "/tokens" not in links(reader.get(f"{S}/overview").text)
    listed = reader.get("/storages").text
    assert "other" in listed
    assert "service-" not in listed
    for name in ("service-tokens", "service-users", "service-audit"):
        assert reader.get(f"/storages/{name}/overview").status_code == 403
    with site.visitor(site.token("read", storages=["tracks"])) as client:
        assert client.get(f"{S}/overview").status_code == 200
        assert client.get("/storages/other/overview").status_code == 403
        assert "other" not in client.get("/storages").text


def test_a_name_that_no_address_can_have_is_no_link(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/tracks.db"
    for name in ("..", "a/b", "c d?e"):
        with open_storage(url, name) as storage:
            storage.saveUserTrack("a", 0, "ann", {})
    with paged(url) as site, site.visitor(site.token("read")) as client:
        front = client.get("/").headers["location"]
        pages = [
            client.get("/storages"),
            client.get("/storages?sizes=1&lang=de"),
            client.get(front),
        ]
        assert [page.status_code for page in pages] == [200] * 3
        assert ["<code>a/b</code>" in page.text for page in pages] == [True, True, False]
        assert "cannot be part of an address" in pages[0].text
        for address in {address for page in pages for address in links(page.text)} - {"/docs"}:
            assert client.get(address, follow_redirects=True).is_success, address


# Pages


PAGES = [
    "/storages",
    f"{S}/overview",
    f"{S}/overview?period=7d&zone=Europe/Berlin",
    f"{S}/overview?period=today",
    f"{S}/overview?period=all",
    f"{S}/now",
    f"{S}/tasks",
    f"{S}/tasks?q=course&by=users",
    f"{S}/task?taskId=course/lesson-1",
    f"{S}/users",
    f"{S}/user?userName=user-1",
    f"{S}/explore",
    f"{S}/explore?by=state&taskId=course/*",
    f"{S}/explore?where=state=failed&userName=user-1&userName=user-2&by=score",
    f"{S}/funnel",
    f"{S}/funnel?step=course/lesson-4&step=course/lesson-3&window=2h",
    f"{S}/retention?unit=day",
    f"{S}/paths?gap=2h",
    f"{S}/paths?per=runId",
    f"{S}/behind?report=funnel&steps=course/lesson-4&steps=course/lesson-3&window=2h",
    f"{S}/behind?report=funnel&steps=course/lesson-4&steps=course/lesson-3&what=lost&per=runId",
    f"{S}/behind?report=retention&cohort=2001-01-01&unit=day&later=3",
    f"{S}/behind?report=paths&source=course/lesson-4&gap=2h",
    f"{S}/runs/1",
    f"{S}/tracks/0000001",
    f"{S}/find?q=user",
    "/storages/other/overview",
]

SCRIPT = re.compile(r"<script(?![^>]* src=)|\sstyle=|<style|\son\w+=|javascript:")


@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_there_and_strict(reader: httpx.Client, path: str) -> None:
    answer = reader.get(path)
    assert answer.status_code == 200, answer.text
    assert {*answer.headers["content-security-policy"].split("; ")} == POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert not SCRIPT.search(answer.text)
    assert answer.text.count("<h1") == 1


def test_each_page_on_postgresql() -> None:
    if why := missing_postgres():
        give_up("the pages on PostgreSQL", why)
    with postgres_database() as url:
        filled(url)
        with (
            open_storage(url, "other"),
            paged(url, names=("tracks", "other")) as site,
            site.visitor(site.token("read")) as client,
        ):
            found = {path: client.get(path).status_code for path in PAGES}
            assert found == dict.fromkeys(PAGES, 200)


def test_markup_stays_text_on_every_page(reader: httpx.Client) -> None:
    evil = {"taskId": f"{EVIL}/task", "userName": f"{EVIL}user"}
    run = reader.get(f"{S}/task", params={"taskId": evil["taskId"]})
    (number,) = set(re.findall(rf"{S}/runs/(\d+)", run.text))
    (track,) = set(re.findall(rf"{S}/tracks/(\d+)", run.text))
    pages = [
        run,
        reader.get(f"{S}/user", params={"userName": evil["userName"]}),
        reader.get(f"{S}/explore", params={**evil, "where": f"state={EVIL}", "by": "state"}),
        reader.get(f"{S}/funnel", params={"step": [EVIL, evil["taskId"]]}),
        reader.get(f"{S}/behind", params={"report": "funnel", "steps": [EVIL, evil["taskId"]]}),
        reader.get(f"{S}/behind", params={"report": "paths", "source": evil["taskId"]}),
        reader.get(f"{S}/find", params={"q": EVIL}),
        reader.get(f"{S}/runs/{number}"),
        reader.get(f"{S}/tracks/{track}"),
        reader.get(f"{S}/tasks", params={"q": EVIL}),
        *map(reader.get, (f"{S}/overview", f"{S}/now", f"{S}/tasks", f"{S}/users", f"{S}/paths")),
    ]
    for page in pages:
        assert page.status_code == 200, page.text
        assert "alert(1)" in page.text
        assert EVIL not in page.text
        assert not SCRIPT.search(page.text)


def test_what_is_wrong_is_said(reader: httpx.Client) -> None:
    for path, status, said in (
        (f"{S}/overview?period=yesterday", 422, "today, 7d, 30d, 90d, all, custom"),
        (f"{S}/overview?from=soon", 422, "2026-03-01"),
        (f"{S}/overview?from=2026-03-02&to=2026-03-01", 422, "from must not be after to"),
        (f"{S}/overview?zone=Mars", 422, "Europe/Berlin"),
        (f"{S}/explore?runId=x", 422, "runId must be a whole number"),
        (f"{S}/explore?where=state", 422, "state=open"),
        (f"{S}/explore?order=upwards", 422, "order must be one of"),
        (f"{S}/task?taskId=nothing", 404, "There is no task"),
        (f"{S}/runs/9999", 404, "There is no run"),
        (f"{S}/tracks/9999999", 404, "There is no track"),
        (f"{S}/funnel?step=a&window=soon", 422, "window"),
        (f"{S}/explore?by=a..b", 422, "by must be one of"),
        (f"{S}/behind?report=retention&cohort=2026", 422, "A week is named like 2026-W13"),
        ("/storages/nothing/overview", 404, "There is no storage"),
    ):
        answer = reader.get(path)
        assert (answer.status_code, said in answer.text) == (status, True), answer.text
        assert 'role="alert"' in answer.text


def test_empty_pages_say_what_to_do(tmp_path: Path) -> None:
    with paged(f"sqlite:{tmp_path}/tracks.db") as site, site.visitor(site.token("read")) as client:
        for page in ("overview", "now", "tasks", "explore", "funnel", "retention", "paths"):
            text = client.get(f"{S}/{page}").text
            assert f"curl {site.base}/api/storages/tracks/tracks" in text
            assert "import access.log" in text
        answer = client.get(f"{S}/overview?period=today")
        assert answer.status_code == 200


def test_a_quiet_period_says_when_there_was_something(reader: httpx.Client) -> None:
    text = reader.get(f"{S}/overview?from=2001-01-01&to=2001-01-31").text
    assert "Nothing in this period" in text
    assert "period=all" in text


# Numbers


def number_of(page: str, label: str) -> int:
    """The large number with that label."""
    found = re.search(rf"<dt>{label}</dt>\s*<dd[^>]*>(?:<a[^>]*>)?([\d,]+)", page)
    assert found, page
    return int(found[1].replace(",", ""))


def test_the_numbers_are_those_of_the_tracks(url: str, reader: httpx.Client) -> None:
    page = reader.get(f"{S}/overview?period=all").text
    with open_storage(url) as storage:
        tracks = storage.query()
    assert number_of(page, "Tracks") == len(tracks)
    assert number_of(page, "Active users") == len({track.userName for track in tracks})
    assert number_of(page, "Tasks") == len({track.taskId for track in tracks})


def test_a_number_leads_to_the_tracks_behind_it(reader: httpx.Client) -> None:
    page = reader.get(f"{S}/tasks?period=all").text
    rows = re.findall(
        r'href="([^"]*explore[^"]*lesson-2[^"]*)">([\d,]+)</a>', page.replace("&amp;", "&")
    )
    address, number = rows[0]
    found = reader.get(address).text
    assert f"<strong>{number}</strong>" in found
    bars = re.findall(r'<td class="number"><a href="([^"]*)">([\d,]+)</a>', found)
    assert bars
    for address, number in bars[:3]:
        assert f"<strong>{number}</strong>" in reader.get(address.replace("&amp;", "&")).text


@pytest.mark.parametrize("page", ["task?taskId=course/lesson-2", "user?userName=user-2"])
def test_so_does_a_number_about_a_user_in_a_task(reader: httpx.Client, page: str) -> None:
    text = reader.get(f"{S}/{page}&period=all").text
    ranked = text.partition('<table class="ranked">')[2].partition("</table>")[0]
    numbers = re.findall(r'href="([^"]*explore[^"]*)">([\d,]+)</a>', ranked)
    assert len(numbers) > 3
    for address, number in numbers[:3]:
        found = reader.get(address.replace("&amp;", "&")).text
        assert f"<strong>{number}</strong>" in found


def test_criteria_are_the_contracts(url: str, reader: httpx.Client) -> None:
    page = reader.get(f"{S}/explore?where=state=failed&userName=user-1&period=all").text
    with open_storage(url) as storage:
        count = sum(1 for t in storage.query(userName="user-1") if t.data["state"] == "failed")
    assert f"<strong>{count}</strong>" in page
    assert "--where state=failed" in page
    assert "data.state=failed" in page


def test_pages_of_tracks_follow_each_other(url: str, reader: httpx.Client) -> None:
    seen: list[str] = []
    address: str | None = f"{S}/explore?period=all&order=timeStamp"
    while address:
        text = reader.get(address).text
        rows = text.partition('<table class="tracks">')[2].partition("</table>")[0]
        seen += re.findall(r"/tracks/(\d+)", rows)
        following = re.search(r'rel="next" href="([^"]*)"', text)
        address = following[1].replace("&amp;", "&") if following else None
    with open_storage(url) as storage:
        assert seen == [track.id for track in storage.query(order="timeStamp")]


def test_what_is_not_over_yet_is_said_where_users_come_back(tmp_path: Path) -> None:
    url, week = f"sqlite:{tmp_path}/tracks.db", 7 * 86_400
    for name, latest in (("now", time.time()), ("then", 1.4e9)):
        with open_storage(url, name) as storage:
            for ago in (3, 2, 0):
                when = latest - ago * week
                storage.saveUserTrack("a", 0, "ann", {}, timeStamp=when)
                storage.saveUserTrack("a", 0, f"{ago}", {}, timeStamp=when)
    with paged(url) as site, site.visitor(site.token("read")) as client:
        path = "/storages/now/retention?unit=week&period=all"
        rows = re.findall("<tr>(.*?)</tr>", client.get(path).text, re.DOTALL)[1:]
        open_cells = [
            ["not over yet" in cell for cell in re.findall(r"<td class=.shade.*?</td>", row)]
            for row in rows
        ]
        assert open_cells == [[False, False, False, True], [False, False, True], [True]]
        assert "noch nicht zu Ende" in client.get(f"{path}&lang=de").text
        assert "noch nicht zu Ende" not in client.get(path.replace("now", "then")).text


def test_downloads(url: str, reader: httpx.Client) -> None:
    with open_storage(url) as storage:
        wanted = storage.query(taskId="course/*", userName="user-3")
    asked = {"taskId": "course/*", "userName": "user-3", "period": "all"}
    lines = reader.get(f"{S}/download", params={**asked, "format": "jsonl"})
    assert [json.loads(line)["id"] for line in lines.text.splitlines()] == [t.id for t in wanted]
    assert "attachment" in lines.headers["content-disposition"]
    table = reader.get(f"{S}/download", params={**asked, "format": "csv"})
    rows = [*csv.DictReader(io.StringIO(table.text))]
    assert [json.loads(row["data"]) for row in rows] == [t.data for t in wanted]


def test_the_first_view_is_small(reader: httpx.Client) -> None:
    reader.headers["accept-encoding"] = "gzip"
    page = reader.get(f"{S}/overview")
    own = re.findall(r'(?:href|src)="(/static/[^"]*)"', page.text)
    files = [reader.get(address) for address in own]
    assert len(files) == 3
    assert all("immutable" in file.headers["cache-control"] for file in files)
    answers = [page, *files]
    assert all(answer.headers["content-encoding"] == "gzip" for answer in answers)
    assert sum(len(gzip.compress(answer.content)) for answer in answers) < FIRST_VIEW / 4


# Languages


def test_german(site: Paged) -> None:
    accepts = {"accept-language": "fr;q=0.9, de-AT, en;q=0.5"}
    with site.visitor(site.token("read"), **accepts) as client:
        page = client.get(f"{S}/overview?period=all").text
        assert '<html lang="de"' in page
        assert "Übersicht" in page
        assert '<html lang="en"' in client.get(f"{S}/overview?lang=en").text
        assert '<html lang="en"' in client.get(f"{S}/tasks").text


LONG = "x" * 1_100

WRONG = [
    *(
        f"{S}/{page}?{wrong}"
        for page in ("overview", "tasks", "explore", "funnel", "retention", "paths")
        for wrong in (
            "period=yesterday",
            "zone=Mars",
            "from=soon",
            "to=9999-12-31",
            "from=2026-03-02&to=2026-03-01",
            "lang=de&q=%ff",
        )
    ),
    *(
        f"{S}/explore?{wrong}"
        for wrong in (
            "runId=x",
            "order=upwards",
            "after=x",
            "where=state",
            "where=state=null",
            "data.a.b=1",
            "taskId=%00",
            f"userName={LONG}",
            "by=timeStamp",
            "by=a..b",
            "from=99999999999999",
            "from=9999999999999999999999999",
        )
    ),
    f"{S}/download?format=xml",
    f"{S}/tasks?rows=0",
    f"{S}/users?by=x",
    f"{S}/task",
    f"{S}/user",
    f"{S}/task?taskId=nothing",
    f"{S}/runs/9999",
    f"{S}/tracks/9999999",
    f"{S}/find?q=%00",
    f"{S}/funnel?step=a&window=soon",
    f"{S}/funnel?step=a&per=x",
    f"{S}/funnel?step=%00",
    f"{S}/funnel?{'step=a&' * 40}",
    f"{S}/retention?unit=hour",
    f"{S}/paths?gap=0m",
    f"{S}/behind",
    f"{S}/behind?report=paths",
    f"{S}/behind?report=paths&source=a&after=x",
    f"{S}/behind?report=paths&source=a&after=9999999",
    f"{S}/behind?report=funnel&steps=a&step=x",
    f"{S}/behind?report=funnel&steps=a&step=2",
    f"{S}/behind?report=funnel&steps=a&what=lost",
    f"{S}/behind?report=retention&cohort=2026",
    f"{S}/behind/download?report=retention&cohort=2026&unit=month&format=csv",
    f"{S}/behind/download?report=paths&source=a&format=xml",
    "/storages/nothing/overview",
]

ENGLISH = re.compile(r"\b(must|not|there|is|the|or|of|like|with|and|this|to be)\b", re.IGNORECASE)


def alert_of(page: httpx.Response) -> str:
    """What is wrong, as the page says it."""
    found = re.search(r'role="alert">(.*?)</', page.text, re.DOTALL)
    assert found, (page.url, page.text)
    return found[1]


def test_what_is_wrong_is_said_in_german(site: Paged) -> None:
    german = {"accept-language": "de"}
    with site.visitor(site.token("admin"), **german) as admin, site.visitor(**german) as nobody:
        alerts = {path: alert_of(admin.get(path)) for path in WRONG}
        form = {"form": form_token(admin.get("/tokens").text)}
        name = {"name": "x", "scope-read": "on"}
        for wrong in (
            {},
            {"name": "x"},
            {**name, "name": LONG},
            {**name, "expires": "?"},
            {**name, "expires": "99999999d"},
            {**name, "storages": "service-tokens"},
            {**name, "origins": "https://example.org"},
            {**name, "origins": "example"},
        ):
            alerts[f"/tokens {wrong}"] = alert_of(admin.post("/tokens", data=form | wrong))
        alerts["no form"] = alert_of(admin.post("/tokens", data=name))
        elsewhere = {"sec-fetch-site": "cross-site"}
        alerts["elsewhere"] = alert_of(admin.post("/tokens", data=form | name, headers=elsewhere))
        for given in ({}, {"token": "x"}, {"name": "eva", "password": "x" * 12}):
            alerts[f"/sign-in {given}"] = alert_of(sign_in(nobody, **given))
        with site.visitor(site.token("read", storages=["tracks"]), **german) as reader:
            for path in ("/tokens", "/storages/other/overview"):
                alerts[f"reader {path}"] = alert_of(reader.get(path))
    assert {path: text for path, text in alerts.items() if ENGLISH.search(text)} == {}
    assert "höchstens 1.000 Bytes" in alerts[f"{S}/explore?userName={LONG}"]


def database_error(url: str) -> str:
    """What is said where that cannot be opened."""
    with pytest.raises(StorageError) as error, open_storage(url):
        pass
    return str(error.value)


def test_what_is_wrong_with_a_database_is_said_in_german(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 100)
    said = [
        database_error(f"sqlite:{tmp_path}/text"),
        database_error(f"sqlite:{tmp_path}/no/tracks.db"),
        "tracks.db is locked: another process has been writing for 30 s.",
        "tracks.db cannot be opened: is there a right to read and write it?",
        "PostgreSQL refuses the connection: FATAL.",
        "The connection broke, and nothing was stored: SSL SYSCALL error.",
        (
            "The storage 'tracks' has schema version 9, made by a newer cybertools-tracking;"
            " this one knows up to 3. Upgrade it: pip install -U cybertools-tracking."
        ),
    ]
    german = [refusal(StorageError(text), "de", str) for text in said]
    assert all(str(tmp_path) in text for text in german[:2])
    words = [text.replace(str(tmp_path), "") for text in german]
    assert [text for text in words if ENGLISH.search(text)] == []


@given(
    st.lists(st.sampled_from([*REFUSALS, ": ", "'x'", "7", "1,000", " "]), max_size=2_000).map(
        "".join
    )
)
def test_what_a_reader_makes_up_is_no_trap(text: str) -> None:
    # Of many pieces of known errors: neither an endless search nor an endless depth.
    assert refusal(ValueError(text), "en", str) == text
    assert isinstance(refusal(ValueError(text), "de", str), str)


def test_each_text_has_a_german_one() -> None:
    folder = Path(web.__file__).parent
    methods = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
    options = {"templates/**.html": {"trimmed": "true"}}
    keywords = {"_": None, "say": None, "ngettext": (1, 2)}
    german = translations("de")
    found = {
        message if isinstance(message, str) else message[0]
        for _, _, message, _, _ in extract_from_dir(folder, methods, options, keywords)
    } | {*REFUSALS}
    same = {"live", "Name", "Token", "Tokens", "Track", "Tracks", "Track %(id)s", "track"}
    assert len(found) > 150
    assert {text for text in found - same if german.gettext(text) == text} == set()


# Periods and charts


def test_a_day_of_summer_time_has_23_hours() -> None:
    asked = {"from": "2026-03-29", "to": "2026-03-29"}
    period = chosen_period(asked, "Europe/Berlin", 1.8e9, None)
    assert period.start is not None
    assert period.end is not None
    assert period.end - period.start == 23 * 3_600
    before = period.before(1.8e9)
    assert before is not None
    assert (before[0].first, before[0].last) == (date(2026, 3, 28), date(2026, 3, 28))


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)),
    st.sampled_from(["today", "7d", "30d", "90d"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
)
def test_periods_end_with_today_and_follow_each_other(
    moment: datetime, name: str, zone: str
) -> None:
    present = moment.replace(tzinfo=ZoneInfo(zone)).timestamp()
    period = chosen_period({"period": name}, zone, present, None)
    assert period.start is not None
    assert period.end is not None
    assert period.start <= present < period.end
    before = period.before(present)
    assert before is not None
    earlier, same = before
    assert earlier.end == period.start
    assert earlier.start == same.start
    assert earlier.first is not None
    assert period.first is not None
    length = {"today": 1, "7d": 7, "30d": 30, "90d": 90}[name]
    assert period.first - earlier.first == timedelta(length)
    assert same.start is not None
    assert same.end is not None
    assert same.end - same.start <= present - period.start + 1e-3


@given(st.one_of(st.integers(1, 10**12), st.floats(1e-3, 1e12)))
def test_axes_begin_at_0_and_reach_the_highest(most: float) -> None:
    ticks = scale(most)
    assert ticks[0] == 0
    assert ticks[-1] >= most * 0.999
    assert len(ticks) < 12
    steps = {round((b - a) / ticks[1], 6) for a, b in pairwise(ticks)}
    assert steps == {1.0}
    assert isinstance(most, float) or all(float(tick).is_integer() for tick in ticks)


def test_a_chart_is_as_high_as_its_numbers() -> None:
    bars = [Bar(f"<{n}>", "t", n, None, "/x") for n in (0, 50, 100)]
    text = time_chart(bars, lambda each: each.label, str)
    heights = [float(h) for h in re.findall(r'class="bar"[^>]* height="([\d.]+)"', text)]
    assert len(heights) == 2
    assert heights[1] == pytest.approx(2 * heights[0])
    assert "<50>" not in text
    assert "&lt;50&gt;" in text


def test_the_usual_period_of_a_page_that_reads_all_tracks_of_it() -> None:
    """It is a week, which ends today or with the last track."""
    present = datetime(2026, 5, 20, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    for days, name, end in ((0, "7d", date(2026, 5, 20)), (30, "custom", date(2026, 4, 20))):
        last = present - days * 86_400
        period = chosen_period({}, "Europe/Berlin", present, last, short=True)
        assert (period.name, period.last) == (name, end)
        assert period.first == end - timedelta(6)
        assert period.start is not None
        assert period.end is not None
        assert period.start <= last < period.end


def test_a_page_that_takes_long(url: str) -> None:
    """A browser shows at once that it comes, and asks for it again."""
    with paged(url, page_seconds=0.0) as site, site.visitor(site.token("read")) as client:
        address = f"{S}/tasks?rows=3&period=7d"
        html = {"accept": "text/html,*/*;q=0.8"}
        first = client.get(address, headers=html)
        assert first.status_code == 200
        assert "The page comes by itself." in first.text
        (target,) = re.findall(r'http-equiv="refresh" content="0; url=([^"]*)"', first.text)
        assert target.replace("&amp;", "&") == address
        second = client.get(address, headers=html)
        assert "course/lesson-1" in second.text
        assert "http-equiv" not in second.text
        # Programs, and what is no page, get what they have asked for.
        assert "course/lesson-1" in client.get(address).text
        assert client.get(f"{S}/download?format=csv", headers=html).text.startswith("id,taskId")


def test_a_page_that_takes_long_and_fails(url: str) -> None:
    """Says why when it is asked for again; and another's is not shown."""
    with paged(url, page_seconds=0.0) as site:
        html = {"accept": "text/html"}
        with site.visitor(site.token("read")) as client, site.visitor(site.token("read")) as other:
            for _ in range(2):
                answers = [client.get(f"{S}/tasks?rows=0", headers=html) for _ in range(2)]
                assert [answer.status_code for answer in answers] == [200, 422]
            assert other.get(f"{S}/tasks?rows=0", headers=html).status_code == 200
