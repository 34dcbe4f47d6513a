"""Two storages of any engine, compared."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

from cybertools.tracking.interfaces import Engine, Storage
from cybertools.tracking.track import RunRow
from cybertools.tracking.transfer.contents import Tell, pages, pairs, silent
from cybertools.tracking.transfer.copying import Copied

__all__ = ["Compared", "DifferentTask", "compare_storages"]


class DifferentTask(NamedTuple):
    """A task whose tracks are not the same on both sides, and how many there are of them."""

    taskId: str
    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison has found. The counts are those of the source."""

    tracks: int
    tasks: int
    runs: int
    keys: int
    different_tasks: tuple[DifferentTask, ...]
    different_runs: tuple[int, ...]
    different_keys: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether the target holds just what the source holds."""
        return not (self.different_tasks or self.different_runs or self.different_keys)


def compare_storages(
    source: Storage, target: Storage, since: Copied | None = None, tell: Tell = silent
) -> Compared:
    """Whether the target holds what the source holds: each task's tracks, all runs, all keys.

    A checksum is taken of each task's tracks on both sides. Memory grows with the number of tasks,
    not with that of tracks.

    :param since: the copy that the target has been made by, if the source may have been used since.
        What it has gained then is left out; tracks that were changed or removed then differ.
    """
    ours, theirs = source.engine, target.engine
    highest = ours.highest() if since is None else int(since.up_to)
    whole = 2 * highest
    here = _checksums(ours, highest, lambda number, done: tell(number, whole, done))
    tracks = sum(one.tracks for one in here.values())
    there = _checksums(
        theirs, None, lambda number, done: tell(highest + number, whole, tracks + done)
    )
    tasks = ((task, here.get(task, _NONE), there.get(task, _NONE)) for task in {*here, *there})
    different = (
        DifferentTask(task, one.tracks, other.tracks) for task, one, other in tasks if one != other
    )
    runs, different_runs = _differences(
        ours.run_rows(), theirs.run_rows(), None if since is None else since.runs, _has_gone_on
    )
    keys, different_keys = _differences(
        (each for each in ours.spent_keys() if each[1] <= highest),
        theirs.spent_keys(),
        None if since is None else since.keys,
    )
    return Compared(
        tracks,
        len(here),
        runs,
        keys,
        tuple(sorted(different)),
        tuple(different_runs),
        tuple(different_keys),
    )


class _Checksum(NamedTuple):
    """A task's tracks: how many there are, and the sum of their digests."""

    tracks: int
    total: int


_NONE = _Checksum(0, 0)


def _checksums(
    engine: Engine, upTo: int | None, tell: Callable[[int, int], None]
) -> dict[str, _Checksum]:
    """The checksum of each task's tracks."""
    counts: dict[str, int] = {}
    totals: dict[str, int] = {}
    done = 0
    for page in pages(engine, 0, upTo):
        for number, task, run, user, time, json in page:
            # No part holds a NUL, so that two different tracks are never one text.
            text = f"{number}\0{task}\0{run}\0{user}\0{time!r}\0{json}"
            digest = blake2b(text.encode(), digest_size=16).digest()
            counts[task] = counts.get(task, 0) + 1
            totals[task] = totals.get(task, 0) + int.from_bytes(digest)
        done += len(page)
        tell(page[-1][0], done)
    return {task: _Checksum(count, totals[task]) for task, count in counts.items()}


def _has_gone_on(one: RunRow, other: RunRow) -> bool:
    """Whether a run of the source has been stopped or left since the other was copied from it."""
    return (
        one[:4] == other[:4]
        and other.stoppedAt in (None, one.stoppedAt)
        and other.finished <= one.finished
        and other.isCurrent >= one.isCurrent
    )


def _differences(
    source: Iterator[Any],
    target: Iterator[Any],
    copied: int | None,
    has_gone_on: Callable[[Any, Any], bool] = lambda *_: False,
) -> tuple[int, list[Any]]:
    """How many the source has, and the keys of those that differ.

    :param copied: so many were copied, if the source may have gone on since.
    """
    count = there = 0
    different: list[Any] = []
    gained: list[Any] = []
    for one, other in pairs(source, target):
        count += one is not None
        there += other is not None
        if one is None:
            different.append(other[0])
        elif other is None:
            gained.append(one[0])
        elif one != other and (copied is None or not has_gone_on(one, other)):
            different.append(one[0])
    return count, different if there == copied else sorted(different + gained)
