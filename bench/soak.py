"""The service at work for a while, and the memory that it takes: ``python -m bench soak``."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, repeat
from statistics import median, quantiles
from typing import NamedTuple
from urllib.parse import urlencode
from urllib.request import urlopen

import uvloop

from bench.service import BATCH, TRACKS, load, request, serving
from bench.units import figure, time_text

__all__ = ["Sample", "is_flat", "soaked", "table"]

EVERY = 10.0
"""Seconds between two looks at the memory."""

TASKS, USERS = 50, 1_000
SINGLE = 8
"""Saves and questions of one track for each save of many."""

WARM = 0.25
"""The part of the samples that is not asked whether the memory grows: caches fill."""
GROWTH = 0.02
"""By which share it may be higher at the end."""

MIB = 1 << 20


class Sample(NamedTuple):
    """What was seen after so many seconds."""

    at: float
    resident: int
    """Bytes of the process that are in memory."""
    seconds: list[float]
    """How long each request took since the last sample."""


def soaked(
    url: str, seconds: float, connections: int, share: float, tell: Callable[[str], object]
) -> list[Sample]:
    """Keep a service at work; the first sample is of its full rate, the others of a share of it."""
    texts = cycle([*_requests()])
    samples: list[Sample] = []
    pause = 0.0
    with serving("tracks", url) as port:
        everybody = json.dumps([_item(number) for number in range(USERS)]).encode()
        uvloop.run(load(port, repeat(request("POST", TRACKS, everybody)), 1, 0))
        while not samples or samples[-1].at < seconds:
            at = len(samples) * EVERY + EVERY
            tell(f"{at:.0f} s of {seconds:.0f}")
            taken = uvloop.run(load(port, texts, connections, EVERY, pause))
            samples.append(Sample(at, _resident(port), taken))
            pause = pause or connections * EVERY / len(taken) / share
    return samples


def is_flat(samples: Sequence[Sample]) -> bool:
    """Whether the memory is about the same at the end as it was when all was warm."""
    before, after = _ends(samples)
    return after <= before * (1 + GROWTH)


def table(samples: Sequence[Sample]) -> Iterator[str]:
    """The samples as lines of Markdown, and what they say."""
    yield "| s | resident | requests/s | p50 | p99 |"
    yield "|---:|---:|---:|---:|---:|"
    for sample in samples:
        percentiles = quantiles(sample.seconds, n=100, method="inclusive")
        yield (
            f"| {sample.at:.0f} | {sample.resident / MIB:.1f} MiB"
            f" | {figure(len(sample.seconds) / EVERY)}"
            f" | {time_text(percentiles[49])} | {time_text(percentiles[98])} |"
        )
    before, after = _ends(samples)
    yield ""
    yield (
        f"Resident when warm: {before / MIB:.1f} MiB, at the end: {after / MIB:.1f} MiB"
        f" ({after / before - 1:+.1%}): it {'stays the same' if is_flat(samples) else 'grows'}."
    )


def _ends(samples: Sequence[Sample]) -> tuple[float, float]:
    """The median of the first and of the last third, of those that are warm."""
    warm = [sample.resident for sample in samples[int(len(samples) * WARM) :]]
    third = -(-len(warm) // 3)
    return median(warm[:third]), median(warm[-third:])


def _requests() -> Iterator[bytes]:
    """Saves of one and of many tracks, and questions for the last one, of many users."""
    for number in range(USERS):
        item = _item(number)
        asked = {"taskId": item["taskId"], "userName": item["userName"]}
        yield request("POST", TRACKS, json.dumps(item).encode())
        yield request("GET", f"{TRACKS}/last?{urlencode(asked)}")
        if number % SINGLE == 0:
            items = [_item(number + other) for other in range(BATCH)]
            yield request("POST", TRACKS, json.dumps(items).encode())


def _item(number: int) -> dict[str, object]:
    return {
        "taskId": f"algebra/quiz-{number % TASKS:02}",
        "userName": f"user{number % USERS}",
        "data": {"verb": "answered", "score": number % 100},
    }


def _resident(port: int) -> int:
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text: str = answer.read().decode()
    found = re.search(r"^process_resident_memory_bytes (\S+)$", text, re.MULTILINE)
    assert found is not None, "the service does not know its memory: it takes Linux"
    return int(float(found[1]))
