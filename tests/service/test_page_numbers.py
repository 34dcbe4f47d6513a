"""Numbers on pages lead to the tracks behind them, and there are as many as the number says."""

import re
from collections.abc import Iterator
from html import unescape

import httpx
import pytest

from tests.service.paged import filled, paged

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
SAMPLE = 24
"""Links that are followed from a page."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Somebody who looks at tracks of ten days."""
    url = f"sqlite:{tmp_path_factory.mktemp('numbers')}/tracks.db"
    filled(url)
    with paged(url) as site, site.visitor(site.token("read")) as client:
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


ALONE = re.compile(r'<td class="number">\s*[\d,.]+\s*</td>')

NO_CRITERION = {
    "task": "runs of a duration, users of several runs",
    "funnel": "those who were lost",
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
