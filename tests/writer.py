"""A process that writes: ``python -m tests.writer URL USER JOB COUNT``.

It waits for a line on standard input, opens the storage, and does the job COUNT times, or without
an end where COUNT is 0. Each time that it is done (and acknowledged by the storage) it says so on
standard output, in a line of JSON.
"""

import json
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from cybertools.tracking import Storage, open_storage

BATCH = 40

Job = Callable[[Storage, str, int], Any]


def save(tracks: Storage, user: str, n: int) -> list[str]:
    """A track of each user in one task."""
    return [tracks.saveUserTrack("a001", 0, user, data_of(n))]


def keyed(tracks: Storage, user: str, n: int) -> list[str]:
    """A track of each user in one task, under a key."""
    return [tracks.saveUserTrack("a001", 0, user, data_of(n), key=f"{user} {n}")]


def bulk(tracks: Storage, user: str, n: int) -> list[str]:
    """A batch in several tasks."""
    return tracks.saveUserTracks(
        {"taskId": f"a{i % 3}", "userName": user, "data": data_of(n), "key": f"{user} {n} {i}"}
        for i in range(BATCH)
    )


def together(tracks: Storage, user: str, n: int) -> list[str]:
    """Several calls in one transaction."""
    with tracks.transaction():
        return [tracks.saveUserTrack("a001", 0, user, data_of(n)) for _ in range(3)]


def replace(tracks: Storage, user: str, n: int) -> list[str]:
    """The user's one track again and again."""
    return [tracks.saveUserTrack("a001", 0, user, data_of(n), replace=True)]


def keys(tracks: Storage, user: str, n: int) -> list[str]:
    """A key that others use as well."""
    item = {"taskId": "a001", "userName": user, "data": {}, "key": f"key {n}"}
    if n % 2:
        return tracks.saveUserTracks([item])
    return [tracks.saveUserTrack("a001", 0, user, {}, key=f"key {n}")]


def keys_of_one(tracks: Storage, _user: str, n: int) -> list[str]:
    """A key that others use as well, for the same user."""
    return keys(tracks, "u", n)


def labels(tracks: Storage, _user: str, n: int) -> list[int]:
    """A label that others use as well."""
    return [tracks.openRun("a001", f"label {n}")]


def merge(tracks: Storage, user: str, n: int) -> list[str]:
    """The data of one track, with others."""
    return [tracks.updateTrack("0000001", {f"{user} {n}": n})]


def runs(tracks: Storage, _user: str, _n: int) -> list[int]:
    """A new run of one task."""
    return [tracks.startRun("a001")]


JOBS: dict[str, Job] = {
    job.__name__: job
    for job in (save, keyed, bulk, together, replace, keys, keys_of_one, labels, merge, runs)
}


def data_of(n: int) -> dict[str, Any]:
    """Data that take more than a page of a file, so that half of them could be written."""
    return {"n": n, "text": f"{n} " * 2_000}


def main(url: str, user: str, job: str, times: str) -> None:
    sys.stdin.readline()
    with open_storage(url) as tracks:
        for n in range(int(times)) if int(times) else count():
            print(json.dumps(JOBS[job](tracks, user, n)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
