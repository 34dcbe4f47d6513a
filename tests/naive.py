"""A storage in a plain list: slow, and obviously right. The engine in memory is held to it."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from cybertools.tracking import Run, Track
from cybertools.tracking.errors import InvalidRun, InvalidValue, TrackNotFound
from cybertools.tracking.interfaces import Receipt, Saved
from cybertools.tracking.testing import Comment
from cybertools.tracking.values import now, parse_track_id, track_id

__all__ = ["NaiveStorage"]

FAR = 2.0**40


@dataclass
class NaiveRun:
    """A run as it was started and stopped."""

    id: int
    taskId: str | None
    label: str | None
    started: float
    stopped: float | None = None
    finished: bool = False


@dataclass
class State:
    """All that there is."""

    tracks: list[Track] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)
    numbers: int = 0
    all_runs: list[NaiveRun] = field(default_factory=list)
    current: dict[str, int] = field(default_factory=dict)


class NaiveStorage:
    """What the model needs of a `Storage` of comments, for arguments that are valid."""

    def __init__(self) -> None:
        self.state = State()

    # Saving

    def save(
        self,
        taskId: str,
        runId: int | None,
        userName: str,
        data: Mapping[str, Any],
        replace: bool = False,
        update: bool = False,
        overwrite: bool = False,
        timeStamp: float | None = None,
        key: str | None = None,
    ) -> Saved:
        state = self.state
        if key in state.keys:
            return Saved(state.keys[key], "duplicate")
        if runId and not self.find_run(runId):
            raise InvalidRun(runId)
        run = runId or state.current.get(taskId) or self.startRun(taskId)
        last = self.getLastUserTrack(taskId, run, userName) if replace or update else None
        if last is None:
            state.numbers += 1
            number, time = state.numbers, now() if timeStamp is None else timeStamp
        else:
            number, time = last.number, last.timeStamp if timeStamp is None else timeStamp
            time = now() if replace and timeStamp is None else time
            data = {**last.data, **data} if update and not overwrite else data
            state.tracks.remove(last)
        state.tracks.append(Comment(taskId, run, userName, data, time, track_id(number)))
        state.tracks.sort(key=lambda track: track.number)
        if key is not None:
            state.keys[key] = number
        return Saved(number, "stored" if last is None else "replaced" if replace else "updated")

    def saveBatch(
        self, tracks: Iterable[Mapping[str, Any]], batchSize: int | None = None
    ) -> Receipt:
        receipt = Receipt([], [])
        items = enumerate(tracks)
        while batch := list(islice(items, batchSize)):
            with self.transaction():
                for position, item in batch:
                    saved = self.save_item(position, item)
                    receipt.numbers.append(saved.number)
                    if saved.outcome == "duplicate":
                        receipt.duplicates.append(position)
        return receipt

    def save_item(self, position: int, item: Mapping[str, Any]) -> Saved:
        if not item["userName"]:
            raise InvalidValue(f"tracks[{position}]: userName must not be empty.")
        try:
            return self.save(**item)
        except InvalidRun as error:
            error.args = (f"tracks[{position}]: {error}",)
            raise

    def updateTrack(self, id: str, data: Mapping[str, Any], overwrite: bool = False) -> str:
        old = self[id]
        new = dict(data) if overwrite else {**old.data, **data}
        place = self.state.tracks.index(old)
        self.state.tracks[place] = Comment(**old.metadata, data=new, id=id)
        return id

    def removeTrack(self, id: str) -> None:
        self.state.tracks.remove(self[id])

    # Reading

    def __getitem__(self, id: str) -> Track:
        for track in self.state.tracks:
            if track.id == id:
                return track
        raise TrackNotFound(id)

    def __iter__(self) -> Iterator[str]:
        return iter([track.id for track in self.state.tracks])

    def __len__(self) -> int:
        return len(self.state.tracks)

    def getUserTracks(self, taskId: str, runId: int | None, userName: str) -> list[Track]:
        run = runId or self.state.current.get(taskId)
        found = [
            track
            for track in self.state.tracks
            if (track.taskId, track.runId, track.userName) == (taskId, run, userName)
        ]
        return sorted(found, key=lambda track: (track.timeStamp, track.number))

    def getLastUserTrack(self, taskId: str, runId: int | None, userName: str) -> Track | None:
        return next(reversed(self.getUserTracks(taskId, runId, userName)), None)

    def query(self, **criteria: Any) -> list[Track]:
        order, limit = criteria.pop("order", None), criteria.pop("limit", None)
        after = criteria.pop("after", None)
        if limit == 0 or [] in criteria.values() or ends_before_it_begins(criteria):
            return []  # whatever the page begins after
        found = self.state.tracks.copy()
        by_time = order in ("timeStamp", "-timeStamp")

        def place(track: Track) -> tuple[float, int]:
            return (track.timeStamp if by_time else 0, track.number)

        found.sort(key=place, reverse=order == "-timeStamp")
        if after is not None:
            begin = self.place_after(after, by_time)
            found = [
                track
                for track in found
                if (place(track) < begin if order == "-timeStamp" else place(track) > begin)
            ]
        return [track for track in found if meets_all(track, criteria)][:limit]

    def place_after(self, after: str, by_time: bool) -> tuple[float, int]:
        if not by_time:
            return (0, parse_track_id(after))
        if after not in list(self):
            raise InvalidValue(f"after: there is no track {after!r}.")
        return (self[after].timeStamp, self[after].number)

    def iterTracks(self, **criteria: Any) -> Iterator[Track]:
        return iter(self.query(**criteria))

    def countTracks(self, **criteria: Any) -> int:
        return len(self.query(**criteria))

    def getUserNames(self, taskId: str) -> list[str]:
        return sorted({track.userName for track in self.state.tracks if track.taskId == taskId})

    def getTaskIds(self) -> list[str]:
        return sorted({track.taskId for track in self.state.tracks})

    # Runs

    def find_run(self, runId: int) -> NaiveRun | None:
        return next((run for run in self.state.all_runs if run.id == runId), None)

    def add_run(self, taskId: str | None, label: str | None) -> int:
        run = NaiveRun(len(self.state.all_runs) + 1, taskId, label, now())
        self.state.all_runs.append(run)
        return run.id

    def startRun(self, taskId: str | None = None) -> int:
        run = self.add_run(taskId, None)
        if taskId is not None:
            self.state.current[taskId] = run
        return run

    def stopRun(self, taskId: str | None = None, runId: int = 0, finish: bool = True) -> int:
        run = self.find_run(runId or self.state.current.get(taskId or "", 0))
        if run is None or (taskId is not None and run.taskId not in (None, taskId)):
            return 0
        if run.finished or (run.stopped is not None and not finish):
            return 0
        run.stopped = now() if run.stopped is None else run.stopped
        run.finished = finish
        for task, current in list(self.state.current.items()):
            if current == run.id:
                del self.state.current[task]
        return run.id

    def openRun(self, taskId: str, label: str) -> int:
        for run in self.state.all_runs:
            if (run.taskId, run.label) == (taskId, label):
                return run.id
        return self.add_run(taskId, label)

    def getRun(self, runId: int = 0, taskId: str | None = None) -> Run | None:
        run = self.find_run(runId or self.state.current.get(taskId or "", 0))
        if run is None or (taskId is not None and run.taskId not in (None, taskId)):
            return None
        times = [track.timeStamp for track in self.state.tracks if track.runId == run.id]
        end = max(times, default=run.started)
        if run.stopped is not None:
            end = max([*times, run.stopped])
        start = min([*times, run.started])
        return Run(run.id, run.taskId, start, end, run.finished, run.label)

    @property
    def runs(self) -> dict[int, Run | None]:
        return {run.id: self.getRun(run.id) for run in self.state.all_runs}

    @property
    def finishedRuns(self) -> dict[int, Run | None]:
        return {run.id: self.getRun(run.id) for run in self.state.all_runs if run.finished}

    @property
    def currentRuns(self) -> dict[str, int]:
        return dict(sorted(self.state.current.items(), key=lambda item: item[1]))

    # Keeping

    @contextmanager
    def transaction(self) -> Iterator[None]:
        before = copy.deepcopy(self.state)
        try:
            yield
        except BaseException:
            self.state = before
            raise

    def reindexTracks(self) -> None:
        """There are no indexes."""

    def setupIndexes(self) -> None:
        """There are no indexes."""

    def check(self) -> list[str]:
        return []

    def close(self) -> None:
        """There is nothing to close."""


def ends_before_it_begins(criteria: Mapping[str, Any]) -> bool:
    """Whether there is no time that meets the criteria."""
    pair = criteria.get("timeFromTo") or (0, FAR)
    begin = max(pair[0], criteria.get("timeFrom") or 0)
    return bool(begin > min(pair[1], criteria.get("timeTo", FAR)))


def meets_all(track: Track, criteria: Mapping[str, Any]) -> bool:
    """Whether a track meets each of the criteria."""
    return all(meets(track, name, wanted) for name, wanted in criteria.items())


def meets(track: Track, name: str, wanted: Any) -> bool:
    if wanted is None:
        return True
    if name == "timeFrom":
        return bool(wanted <= track.timeStamp)
    if name == "timeTo":
        return bool(track.timeStamp <= wanted)
    if name == "timeFromTo":
        return bool(wanted[0] <= track.timeStamp <= wanted[1])
    value = track.data.get("state") if name == "state" else track.metadata[name]
    return any(same(value, each) for each in (wanted if isinstance(wanted, list) else [wanted]))


def same(value: Any, wanted: Any) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        return value.startswith(wanted[:-1]) if wanted.endswith("*") else value == wanted
    return isinstance(value, int | float) and isinstance(wanted, int | float) and value == wanted
