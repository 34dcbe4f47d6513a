"""What is saved: generated activity of any size, or real activity from a file.

A dataset is a file of JSON lines (taskId, userName, timeStamp, data), so that each contender reads
texts of its own, and the import reads the same. Real runs are left out: each task has one.
"""

import gzip
import json
import os
import random
import subprocess
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from cybertools.tracking import open_storage

__all__ = ["GENERATED", "TASKS", "USERS", "Dataset", "generated", "real", "tracks_command"]

GENERATED = "generated"
TASKS = 200
USERS = 500
START = 1_767_225_600
"""2026-01-01, in seconds since 1970 UTC."""
MEAN_GAP = 20.0
"""Seconds between two tracks."""
ACTIVITIES = ("read", "watch", "quiz", "exercise", "forum")
DEVICES = ("phone", "tablet", "laptop")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A file of JSON lines, of which the first ``size`` are used."""

    name: str
    path: Path
    size: int

    def lines(self) -> Iterator[bytes]:
        """The lines, one after the other."""
        with self.path.open("rb") as file:
            yield from islice(file, self.size)


def generated(directory: Path, sizes: Iterable[int]) -> list[Dataset]:
    """Datasets of those sizes; each is the beginning of the next one."""
    path = directory / "generated.jsonl"
    with path.open("w") as file:
        for track in _activity(max(sizes)):
            file.write(json.dumps(track, separators=(",", ":")) + "\n")
    return [Dataset(GENERATED, path, size) for size in sorted(sizes)]


def real(directory: Path, source: Path, most: int) -> Dataset:
    """The dataset of a file: JSON lines, plain or gzip, or whatever ``tracks import`` reads.

    :param most: so many tracks at most, from its beginning.
    """
    path = directory / f"{source.name}.lines"
    size = 0
    with path.open("w") as file:
        for track in islice(_tracks_of(directory, source), most):
            file.write(json.dumps(track, separators=(",", ":")) + "\n")
            size += 1
    return Dataset(source.name, path, size)


def tracks_command(storage: str, *arguments: str) -> None:
    """Run ``tracks`` with that storage, as a user does.

    :raises RuntimeError: it ended with an error; the message is what it said.
    """
    command = [str(Path(sysconfig.get_path("scripts"), "tracks")), *arguments]
    # With a salt of its own it makes none to keep among the user's settings.
    environment = os.environ | {"TRACKS_STORAGE": storage, "TRACKS_SALT": "bench"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"tracks {' '.join(arguments)}: {done.stderr or done.stdout}")


def _activity(size: int) -> Iterator[dict[str, Any]]:
    chance = random.Random(1)
    tasks = [f"course-{1 + n // 20:02d}/lesson-{1 + n % 20:02d}" for n in range(TASKS)]
    users = [f"user{n:03d}" for n in range(1, USERS + 1)]
    moment = float(START)
    for _ in range(size):
        moment += chance.expovariate(1 / MEAN_GAP)
        activity = chance.choice(ACTIVITIES)
        data: dict[str, Any] = {"activity": activity, "device": chance.choice(DEVICES)}
        data["seconds"] = round(chance.expovariate(1 / 90), 1)
        if activity == "quiz":
            data["score"] = chance.randrange(101)
            data["answers"] = [chance.choice("abcd") for _ in range(5)]
        yield {
            "taskId": chance.choice(tasks),
            "userName": chance.choice(users),
            "timeStamp": round(moment, 6),
            "data": data,
        }


def _tracks_of(directory: Path, source: Path) -> Iterator[dict[str, Any]]:
    if ".jsonl" in source.suffixes:
        with gzip.open(source) if source.suffix == ".gz" else source.open("rb") as lines:
            for line in lines:
                track = json.loads(line)
                track.pop("runId", None)
                yield track
        return
    storage = f"sqlite:{directory / source.name}.db"
    tracks_command(storage, "import", str(source))
    with open_storage(storage) as tracks:
        for track in tracks.iterTracks():
            found = track.as_dict()
            yield {name: found[name] for name in ("taskId", "userName", "timeStamp", "data")}
