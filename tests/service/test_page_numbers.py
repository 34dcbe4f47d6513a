"""Numbers on pages lead to the tracks behind them, and there are as many as the number says."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.paged import Paged, filled, paged

S = "/storages/tracks"

PAGES = [
    f"{S}/overview?period=7d",
    f"{S}/overview?period=all",
    f"{S}/now",
    f"{S}/tasks?period=7d",
    f"{S}/tasks?q=course/lesson-2",
    f"{S}/users?period=all",
    f"{S}/task?taskId=course/lesson-1&period=7d",
    f"{S}/user?userName=user-1&period=all",
    f"{S}/runs/1",
    f"{S}/explore?period=7d&by=userName",
    f"{S}/explore?where=state=failed&by=taskId&period=all",
    f"{S}/explore?userName=user-1&by=score&period=all",
    "/storages",
]

LINKED = re.compile(r'<a href="([^"]*/(?:explore|tasks|users)\b[^"]*)"[^>]*>([\d,]+)</a>')
COUNT = re.compile(r'<p class="count">.*?</p>', re.DOTALL)
NUMBERED = re.compile(
    r'<a href="([^"]*/behind\b[^"]*)"[^>]*?(?: title="([\d,]+)">|>([\d,]+)</a>'
    r"|><path[^>]*><title>[^<]*: ([\d,]+)</title>)"
)
"""The numbers of how users go: in a cell, in the tool tip of a share, or of a band."""
SAMPLE = 24
"""Links that are followed from a page."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paged]:
    """A service with tracks of ten days."""
    url = f"sqlite:{tmp_path_factory.mktemp('numbers')}/tracks.db"
    filled(url)
    with paged(url) as service:
        yield service


@pytest.fixture(scope="module")
def reader(site: Paged) -> Iterator[httpx.Client]:
    """Somebody who looks at them."""
    with site.visitor(site.token("read")) as client:
        yield client


@pytest.mark.parametrize("path", PAGES)
def test_numbers_lead_to_what_they_count(reader: httpx.Client, path: str) -> None:
    links = sorted({*LINKED.findall(reader.get(path).text)})
    assert len(links) >= 2
    for address, number in links[:: -(-len(links) // SAMPLE)]:
        target = reader.get(unescape(address))
        assert target.status_code == 200
        if number == "0" and not COUNT.search(target.text):
            continue
        numbers = re.findall(r"<strong[^>]*>([\d,]+)</strong>", COUNT.findall(target.text)[0])
        # With the tracks, those that they are split by are counted: users, say.
        assert numbers[-1] == number, (address, numbers)


FLOWS = [
    f"{S}/funnel?" + "&".join(f"step=course/lesson-{n}" for n in (4, 3, 2, 0)),
    f"{S}/funnel?step=course/*&step=course/lesson-3&window=2h&period=all",
    f"{S}/funnel?step=course/lesson-1&step=course/lesson-4&step=nothing&per=runId&period=7d",
    f"{S}/retention?unit=day&zone=America/New_York",
    f"{S}/retention?unit=week&period=all&zone=UTC",
    f"{S}/retention?unit=day&period=7d&zone=Asia/Kolkata",
    f"{S}/paths?gap=2h",
    f"{S}/paths?period=all&gap=8h&zone=Asia/Kolkata",
    f"{S}/paths?per=runId&period=30d",
]


@pytest.mark.parametrize("path", FLOWS)
def test_all_numbers_of_how_users_go_lead_to_what_they_count(
    reader: httpx.Client, path: str
) -> None:
    links = {
        (address, "".join(number)) for address, *number in NUMBERED.findall(reader.get(path).text)
    }
    assert len(links) >= 3
    for address, number in sorted(links):
        target = reader.get(unescape(address))
        assert target.status_code == 200, target.text
        (counted,) = COUNT.findall(target.text)
        tracks, *others = re.findall(r"<strong[^>]*>([\d,]+)</strong>", counted)
        assert (others or [tracks])[-1] == number, (address, counted)
        (file,) = re.findall(r'href="([^"]+format=jsonl)"', target.text)
        found = reader.get(unescape(file)).text.splitlines()
        assert len(found) == int(tracks.replace(",", ""))
        if "/paths" not in path:
            per = "runId" if "per=runId" in path else "userName"
            names = {json.loads(line)[per] for line in found}
            assert len(names) == int(number.replace(",", ""))


def test_pages_of_what_is_behind_a_number_follow_each_other(reader: httpx.Client) -> None:
    address = f"{S}/behind?report=retention&unit=month&later=0&period=all&cohort="
    months = re.findall(r"cohort=([\d-]+)", reader.get(f"{S}/retention?unit=month&period=all").text)
    page = reader.get(address + months[0])
    (file,) = re.findall(r'href="([^"]+format=csv)"', page.text)
    wanted = [line.partition(",")[0] for line in reader.get(unescape(file)).text.splitlines()[1:]]
    found: list[str] = []
    while True:
        found += re.findall(r'class="time"><a href="/storages/tracks/tracks/(\d+)', page.text)
        following = re.search(r'<a rel="next" href="([^"]+)"', page.text)
        if following is None:
            break
        page = reader.get(unescape(following[1]))
    assert len(wanted) > 100
    assert found == wanted


@pytest.mark.parametrize(
    "number",
    [
        "report=funnel&steps=course/lesson-4&steps=course/*&step=2&what=reached&window=8h&period=7d",
        "report=retention&cohort={week}&later=0&period=all&zone=Asia/Kolkata",
        "report=paths&source=course/lesson-4&target=course/lesson-2&gap=8h&per=userName",
    ],
)
def test_the_same_elsewhere(
    site: Paged, reader: httpx.Client, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    weeks = re.findall(r"cohort=([\w-]+)", reader.get(f"{S}/retention?period=all").text)
    page = reader.get(f"{S}/behind?{number.format(week=weeks[0])}").text
    ids = re.findall(r'class="time"><a href="/storages/tracks/tracks/(\d+)', page)
    assert len(ids) > 3
    token = site.token("read")
    monkeypatch.setenv("TRACKS_TOKEN", token)
    command, python, curl = map(unescape, re.findall(r"data-copy><code>(.*?)</code>", page, re.S))
    words = [*shlex.split(command.replace("\\\n", ""))[1:], "--json"]
    done = subprocess.run(
        [Path(sys.executable).parent / "tracks", *words], check=True, capture_output=True
    )
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ids
    made: dict[str, Any] = {}
    exec(python, made)  # noqa: S102  # as somebody would who has copied it
    made["storage"].close()
    assert made["table"].column("id") == ids
    headers = {"Authorization": f"Bearer {token}"}
    table = httpx.get(shlex.split(curl.replace("\\\n", ""))[-1], headers=headers).json()
    assert [row[0] for row in table["rows"]] == ids


ALONE = re.compile(r'<td class="number">\s*[\d,.]+\s*</td>')

NO_CRITERION = {
    "task": "runs of a duration, users of several runs",
}
"""Pages with numbers of what no criterion tells from the rest."""


@pytest.mark.parametrize(
    "path",
    [
        *PAGES,
        f"{S}/funnel?step=course/lesson-4&step=course/lesson-3",
        f"{S}/retention?unit=day",
        f"{S}/paths?gap=2h",
    ],
)
def test_no_number_stands_alone(reader: httpx.Client, path: str) -> None:
    page = path.partition("?")[0].rpartition("/")[2]
    alone = ALONE.findall(reader.get(path).text)
    assert bool(alone) == (page in NO_CRITERION)
