"""The classic way: persistent tracks in a container, one field index per attribute.

A query intersects the sets of ids that the indexes give; the last track is found by sorting.
"""

import time
from itertools import islice
from typing import Any

import BTrees
from BTrees.Length import Length
from BTrees.OOBTree import OOBTree, OOTreeSet
from persistent import Persistent
from zope.container.btree import BTreeContainer
from zope.container.contained import Contained
from zope.index.field import FieldIndex

from bench.contenders import Data, JsonTrack

__all__ = ["Catalogue"]

FAMILY = BTrees.family32
INDEXES = ("taskId", "runId", "userName", "timeStamp")


class CatalogueTrack(Contained, Persistent):  # type: ignore[misc]  # zope has no type information
    """A track, an object of its own."""

    def __init__(
        self, taskId: str, runId: int, userName: str, timeStamp: float, data: Data
    ) -> None:
        self.taskId = taskId
        self.runId = runId
        self.userName = userName
        self.timeStamp = timeStamp
        self.data = data


class CatalogueRun(Persistent):  # type: ignore[misc]  # zope has no type information
    """A run; each save moves its end."""

    def __init__(self, start: float) -> None:
        self.start = self.end = start
        self.finished = False


class Catalogue(BTreeContainer):  # type: ignore[misc]  # zope has no type information
    """Tracks by their ids, and the indexes."""

    def __init__(self) -> None:
        super().__init__()
        self.indexes = {name: FieldIndex(FAMILY) for name in INDEXES}
        self.runs = FAMILY.IO.BTree()
        self.currentRuns = OOBTree()
        self.taskUsers = OOBTree()
        self.tracks = Length()

    def prepare(self, tracks: list[JsonTrack]) -> list[JsonTrack]:
        return tracks

    def save_all(self, prepared: list[JsonTrack]) -> None:
        for track in prepared:
            self._add(track["taskId"], 0, track["userName"], track["timeStamp"], track["data"])

    def save(self, taskId: str, userName: str, data: Data) -> None:
        self._add(taskId, 0, userName, time.time(), data)

    def last(self, taskId: str, runId: int, userName: str) -> Data | None:
        found = self._found(taskId=taskId, runId=runId, userName=userName)
        tracks = sorted((self._track(number) for number in found), key=lambda t: t.timeStamp)
        return tracks[-1].data if tracks else None

    def within(self, timeFrom: float, timeTo: float, limit: int) -> list[Data]:
        found = self.indexes["timeStamp"].apply((timeFrom, timeTo))
        return [self._track(number).data for number in islice(found, limit)]

    def page(self, taskId: str, after: int, limit: int) -> list[Data]:
        found = self._found(taskId=taskId).keys(after + 1)
        return [self._track(number).data for number in islice(found, limit)]

    def newest(self, taskId: str, limit: int) -> list[Data]:
        tracks = [(self._track(number), number) for number in self._found(taskId=taskId)]
        tracks.sort(key=lambda found: (found[0].timeStamp, found[1]), reverse=True)
        return [track.data for track, _ in tracks[:limit]]

    def count(self, taskId: str) -> int:
        return len(self._found(taskId=taskId))

    def user_names(self, taskId: str) -> list[str]:
        return list(self.taskUsers.get(taskId, ()))

    def task_ids(self) -> list[str]:
        return list(self.taskUsers)

    def close(self) -> None:
        """There is nothing to give back."""

    def _add(self, taskId: str, runId: int, userName: str, timeStamp: float, data: Data) -> None:
        if not runId:
            runId = self.currentRuns.get(taskId, 0) or self._start_run(taskId, timeStamp)
        run = self.runs.get(runId)
        if run is None:
            raise ValueError(f"Invalid run: {runId}.")
        run.start, run.end = min(run.start, timeStamp), max(run.end, timeStamp)
        self.tracks.change(1)
        number = self.tracks()
        track = CatalogueTrack(taskId, runId, userName, timeStamp, dict(data))
        self[f"{number:07d}"] = track
        for name, index in self.indexes.items():
            index.index_doc(number, getattr(track, name))
        users = self.taskUsers.get(taskId)
        if users is None:
            users = self.taskUsers[taskId] = OOTreeSet()
        users.insert(userName)

    def _start_run(self, taskId: str, timeStamp: float) -> int:
        runId: int = self.runs.maxKey() + 1 if self.runs else 1
        self.runs[runId] = CatalogueRun(timeStamp)
        self.currentRuns[taskId] = runId
        return runId

    def _found(self, **criteria: Any) -> Any:
        result = None
        for name, value in criteria.items():
            result = FAMILY.IF.intersection(result, self.indexes[name].apply((value, value)))
        return result

    def _track(self, number: int) -> Any:
        return self[f"{number:07d}"]
