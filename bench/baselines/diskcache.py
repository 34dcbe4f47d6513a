"""diskcache: a persistent mapping, with the indexes kept by hand as further keys.

Each task has a list of the numbers of its tracks, in blocks, so that a save rewrites a short list.
It has no way to find keys within a range, so there is no query by time.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diskcache import Cache

from bench.contenders import Data, JsonTrack

__all__ = ["DiskCache"]

BLOCK = 100
"""Numbers of tracks in one value."""

FULL = 2
"""SQLite's synchronous=FULL: what was saved survives power loss, as with the engine."""


class DiskCache:
    """Tracks by number; last tracks, tasks and their users under keys of their own."""

    def __init__(self, directory: Path) -> None:
        self.cache = Cache(
            str(directory),
            eviction_policy="none",
            cull_limit=0,
            sqlite_synchronous=FULL,
            sqlite_cache_size=8_192,
        )
        self.cache.set("tasks", [])
        self.cache.set("number", 0)

    def prepare(self, tracks: list[JsonTrack]) -> list[JsonTrack]:
        return tracks

    def save_all(self, prepared: list[JsonTrack]) -> None:
        with self.cache.transact():
            for track in prepared:
                self._add(track["taskId"], track["userName"], track["timeStamp"], track["data"])

    def save(self, taskId: str, userName: str, data: Data) -> None:
        with self.cache.transact():
            self._add(taskId, userName, time.time(), data)

    def last(self, taskId: str, runId: int, userName: str) -> Data | None:
        found = self.cache.get(_key("last", taskId, runId, userName))
        return None if found is None else self._data(found[1])

    def within(self, timeFrom: float, timeTo: float, limit: int) -> list[Data]:
        raise NotImplementedError("diskcache has no way to find keys within a range.")

    def page(self, taskId: str, after: int, limit: int) -> list[Data]:
        data: list[Data] = []
        for numbers in self._blocks(taskId):
            if numbers[-1][1] > after:
                for _, number in numbers:
                    if number > after:
                        data.append(self._data(number))
                        if len(data) == limit:
                            return data
        return data

    def newest(self, taskId: str, limit: int) -> list[Data]:
        times = [entry for numbers in self._blocks(taskId) for entry in numbers]
        return [self._data(number) for _, number in sorted(times, reverse=True)[:limit]]

    def count(self, taskId: str) -> int:
        run = self.cache.get(_key("run", taskId))
        return 0 if run is None else int(run["tracks"])

    def user_names(self, taskId: str) -> list[str]:
        return sorted(self.cache.get(_key("users", taskId), ()))

    def task_ids(self) -> list[str]:
        return sorted(self.cache.get("tasks"))

    def close(self) -> None:
        self.cache.close()

    def _add(self, taskId: str, userName: str, timeStamp: float, data: Data) -> None:
        cache = self.cache
        number = cache.incr("number")
        run = cache.get(_key("run", taskId))
        if run is None:
            tasks = [*cache.get("tasks"), taskId]
            cache.set("tasks", tasks)
            run = {"id": len(tasks), "start": timeStamp, "end": timeStamp, "tracks": 0}
        runId = run["id"]
        block, offset = divmod(run["tracks"], BLOCK)
        numbers = cache.get(_key("numbers", taskId, block)) if offset else []
        numbers.append((timeStamp, number))
        cache.set(_key("numbers", taskId, block), numbers)
        run["tracks"] += 1
        run["start"], run["end"] = min(run["start"], timeStamp), max(run["end"], timeStamp)
        cache.set(_key("run", taskId), run)
        cache.set(number, (taskId, runId, userName, timeStamp, data))
        last = cache.get(_key("last", taskId, runId, userName))
        if last is None or last <= (timeStamp, number):
            cache.set(_key("last", taskId, runId, userName), (timeStamp, number))
        if last is None:
            users: set[str] = cache.get(_key("users", taskId), set())
            if userName not in users:
                cache.set(_key("users", taskId), {*users, userName})

    def _blocks(self, taskId: str) -> Iterator[Any]:
        run = self.cache.get(_key("run", taskId))
        for block in range(0 if run is None else -(-run["tracks"] // BLOCK)):
            yield self.cache[_key("numbers", taskId, block)]

    def _data(self, number: int) -> Data:
        data: Data = self.cache[number][4]
        return data


def _key(*parts: str | int) -> str:
    # Text keys are stored as they are; tuples would be pickled.
    return "\x1f".join(map(str, parts))
