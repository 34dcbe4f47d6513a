"""A process of many clients: ``python -m tests.crowd URL FIRST END``.

Each client is a thread with a number. For each line on standard input, which names a job, they all
do it at once, in the storage of that name; what each was given is told on standard output, in a
line of JSON.
"""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from cybertools.tracking import Storage, open_storage

TIMES = 3

Job = Callable[[Storage, int], Any]


def first(tracks: Storage, n: int) -> list[str]:
    """The first tracks of a task, and some more."""
    return [tracks.saveUserTrack("a001", 0, f"u{n}", {"i": i}) for i in range(TIMES)]


def batch(tracks: Storage, n: int) -> list[str]:
    """The first tracks of several tasks."""
    return tracks.saveUserTracks(
        {"taskId": f"a{(n + i) % TIMES}", "userName": f"u{n}", "data": {"i": i}}
        for i in range(TIMES)
    )


def key(tracks: Storage, n: int) -> str:
    """A track under the key of all; of one user, since an engine may have keys for each."""
    return tracks.saveUserTrack("a001", 0, "u", {"n": n}, key="k")


def replace(tracks: Storage, n: int) -> str:
    """The one track of all."""
    return tracks.saveUserTrack("a001", 0, "u", {"n": n, "text": str(n) * 1_000}, replace=True)


def update(tracks: Storage, n: int) -> str:
    """A datum of one's own in the one track of all."""
    return tracks.saveUserTrack("a001", 0, "u", {f"k{n}": n}, update=True)


def label(tracks: Storage, _: int) -> int:
    """The run of all."""
    return tracks.openRun("a001", "session")


def stop(tracks: Storage, n: int) -> int | str:
    """End the task's current run, or save to it."""
    if n % 4 == 0:
        return tracks.stopRun("a001")
    return tracks.saveUserTrack("a001", 0, f"u{n}", {"n": n})


JOBS: dict[str, Job] = {
    job.__name__: job for job in (first, batch, key, replace, update, label, stop)
}


def main(url: str, first: str, end: str) -> None:
    numbers = range(int(first), int(end))
    barrier = Barrier(len(numbers))
    with ThreadPoolExecutor(len(numbers)) as pool:
        for line in sys.stdin:
            job = JOBS[line.strip()]
            with open_storage(url, line.strip()) as tracks:

                def client(number: int, job: Job = job, tracks: Storage = tracks) -> Any:
                    barrier.wait()
                    return job(tracks, number)

                print(json.dumps(list(pool.map(client, numbers))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
