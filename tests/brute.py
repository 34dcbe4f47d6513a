"""The reports once more, from a list of all tracks: slow, and obviously right."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cybertools.tracking import Run, Storage, Track

__all__ = ["Brute"]

Rows = list[tuple[Any, ...]]


def local(time: float, zone: str) -> datetime:
    return datetime.fromtimestamp(time, ZoneInfo(zone))


def period(time: float, unit: str, zone: str) -> str:
    """What calendars and clocks show at that time, as a report names it."""
    moment = local(time, zone)
    if unit == "month":
        return f"{moment.year}-{moment.month:02d}"
    if unit == "week":
        return moment.strftime("%G-W%V")
    if unit == "day":
        return str(moment.date())
    return moment.isoformat(timespec="minutes")


def same_period(one: float, other: float, unit: str, zone: str) -> bool:
    """Whether two times are in one period; an hour that is shown twice is two."""
    a, b = local(one, zone), local(other, zone)
    if unit in ("hour", "minute"):
        digits = 13 if unit == "hour" else 16
        return a.isoformat()[:digits] == b.isoformat()[:digits] and a.utcoffset() == b.utcoffset()
    return period(one, unit, zone) == period(other, unit, zone)


def field(track: Track, name: str) -> Any:
    if name in ("taskId", "runId", "userName"):
        return getattr(track, name)
    value: Any = track.data
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, list | dict):
        return None
    return value


def kind(value: Any) -> tuple[Any, ...]:
    """A value so that those are equal which a report has as one, in their order."""
    if value is None:
        return (0,)
    if isinstance(value, bool):
        return (2, value)
    return (1, value) if isinstance(value, int | float) else (3, value)


def grouped(items: Iterable[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def percentile(values: list[Any], percent: int) -> Any:
    """The least value of which at least so many percent of all are not greater."""
    for value in sorted(values):
        if sum(1 for each in values if each <= value) * 100 >= percent * len(values):
            return value
    return None


def micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def spread(lengths: list[int]) -> tuple[Any, ...]:
    """Of microseconds: total, mean, least, median, p90, most, in seconds."""
    if not lengths:
        return (0.0, None, None, None, None, None)
    mean = round(sum(lengths) / len(lengths) / 1_000_000, 6)
    others = (min(lengths), percentile(lengths, 50), percentile(lengths, 90), max(lengths))
    return (sum(lengths) / 1e6, mean, *(value / 1e6 for value in others))


def share(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


class Brute:
    """The tracks of a storage that meet criteria, and all of its runs."""

    def __init__(self, storage: Storage, **criteria: Any) -> None:
        self.storage = storage
        self.criteria = criteria
        self.tracks = storage.query(**criteria)
        self.runs: list[Run] = list(storage.runs.values())
        self.is_of_all = not {name for name, value in criteria.items() if value is not None}

    def in_time(self) -> list[Track]:
        return sorted(self.tracks, key=lambda track: (track.timeStamp, track.number))

    def counts(self, unit: str, zone: str, by: str | None) -> Rows:
        """Name, value and number; without a value those of empty periods as well are not there."""
        found: Rows = []
        groups: list[list[Track]] = []
        for track in self.in_time():
            for group in groups:
                if same_period(group[0].timeStamp, track.timeStamp, unit, zone):
                    group.append(track)
                    break
            else:
                groups.append([track])
        for group in groups:
            values = grouped(group, lambda t: kind(field(t, by)) if by else ())
            for value, tracks in sorted(values.items()):
                found.append((group[0].timeStamp, value, len(tracks)))
        return found

    def users_by_period(self, unit: str, zone: str) -> Rows:
        groups = grouped(self.in_time(), lambda t: period(t.timeStamp, unit, zone))
        return [(name, len({t.userName for t in ts}), len(ts)) for name, ts in groups.items()]

    def top(self, what: str, by: str, top: int) -> Rows:
        places = {"tracks": "id", "tasks": "taskId", "users": "userName", "runs": "runId"}
        own = {"taskId": "tasks", "userName": "users", "runId": "runs"}.get(what)
        names = [by, *(n for n in places if n not in (by, own))]
        rows = []
        for value, tracks in grouped(self.tracks, lambda t: kind(field(t, what))).items():
            numbers = [len({getattr(t, places[name]) for t in tracks}) for name in names]
            times = [t.timeStamp for t in tracks]
            rows.append((value, *numbers, min(times), max(times)))
        return sorted(rows, key=lambda row: (-row[1], row[0]))[:top]

    def present(self, at: float, within: float) -> Rows:
        recent = [t for t in self.in_time() if at - within <= t.timeStamp <= at]
        rows = []
        for user, tracks in grouped(recent, lambda t: t.userName).items():
            last = max(t.timeStamp for t in tracks)
            newest = max((t.taskId, t.runId) for t in tracks if t.timeStamp == last)
            rows.append((user, *newest, last, round(at - last, 6), len(tracks)))
        return sorted(rows, key=lambda row: (-row[3], row[0]))

    def chosen_runs(self) -> list[Run]:
        ids = {track.runId for track in self.tracks}
        return [run for run in self.runs if self.is_of_all or run.id in ids]

    def run_states(self, at: float, gap: float) -> Rows:
        chosen = self.chosen_runs()

        def state(run: Run) -> str:
            return "finished" if run.finished else "abandoned" if run.end < at - gap else "open"

        rows: Rows = []
        for name in ("open", "abandoned", "finished", "all"):
            runs = [run for run in chosen if name in ("all", state(run))]
            lengths = [micros(run.end - run.start) for run in runs]
            rows.append((name, len(runs), share(len(runs), len(chosen)), *spread(lengths)))
        return rows

    def durations(self, edges: Iterable[tuple[float, float | None]]) -> list[int]:
        lengths = [run.end - run.start for run in self.chosen_runs()]
        return [
            sum(1 for n in lengths if micros(n) >= low * 1e6 and (high is None or n < high))
            for low, high in edges
        ]

    def times(self) -> Rows:
        rows: Rows = []
        for task, tracks in grouped(self.tracks, lambda t: t.taskId).items():
            visits = grouped(tracks, lambda t: (t.runId, t.userName)).values()
            lengths = [
                micros(max(t.timeStamp for t in visit) - min(t.timeStamp for t in visit))
                for visit in visits
            ]
            rows.append((task, len(visits), *spread(lengths)))
        return sorted(rows, key=lambda row: (-row[2], row[0]))

    def retries(self) -> Rows:
        rows: Rows = []
        for task, tracks in grouped(self.tracks, lambda t: t.taskId).items():
            users = grouped(tracks, lambda t: t.userName).values()
            numbers = [len({t.runId for t in of_user}) for of_user in users]
            again = sum(1 for n in numbers if n > 1)
            row = (task, len(numbers), again, share(again, len(numbers)), sum(numbers))
            rest = (percentile(numbers, 50), percentile(numbers, 90), max(numbers))
            exactly = (numbers.count(n) for n in (1, 2, 3))
            rows.append((*row, *rest, *exactly, sum(1 for n in numbers if n > 3)))
        return sorted(rows, key=lambda row: (-row[2] / row[1], -row[1], row[0]))

    def funnel(self, steps: list[dict[str, Any]], window: float | None, per: str) -> list[int]:
        numbers = [0] * len(steps)
        for arrivals in self.arrivals(steps, window, per):
            for step in range(len(arrivals)):
                numbers[step] += 1
        return numbers

    def arrivals(
        self, steps: list[dict[str, Any]], window: float | None, per: str
    ) -> list[list[Track]]:
        """Of each user or run: the first track that reached each step, by trying all ways."""
        meets = [{t.id for t in self.storage.query(**step)} for step in steps]
        found: list[list[Track]] = []
        for tracks in grouped(self.in_time(), lambda t: getattr(t, per)).values():
            arrivals: list[Track] = []
            ways = [place for place, t in enumerate(tracks) if t.id in meets[0]]
            for step in range(len(steps)):
                if not ways:
                    break
                arrivals.append(tracks[ways[0]])
                if step + 1 < len(steps):
                    ways = [
                        later
                        for later, t in enumerate(tracks)
                        if t.id in meets[step + 1]
                        and any(
                            before < later
                            and (window is None or t.timeStamp - tracks[before].timeStamp <= window)
                            for before in ways
                        )
                    ]
            found.append(arrivals)
        return found

    def behind_funnel(
        self, steps: list[dict[str, Any]], window: float | None, per: str, step: int, lost: bool
    ) -> list[Track]:
        """The tracks behind a step's number, from 0, or behind that of who was lost there."""
        found = self.arrivals(steps, window, per)
        if lost:
            return [tracks[step - 1] for tracks in found if len(tracks) == step]
        return [tracks[step] for tracks in found if len(tracks) > step]

    def retention(self, unit: str, zone: str) -> Rows:
        """Of each pair of periods with users: the names, and the number."""
        numbers: dict[tuple[str, str], int] = {}
        for tracks in grouped(self.in_time(), lambda t: t.userName).values():
            names = [period(t.timeStamp, unit, zone) for t in tracks]
            for name in {*names}:
                numbers[names[0], name] = numbers.get((names[0], name), 0) + 1
        return sorted((first, name, users) for (first, name), users in numbers.items())

    def behind_retention(self, unit: str, zone: str) -> dict[tuple[str, str], list[Track]]:
        """Of each pair of periods with users: their tracks in the second one."""
        found: dict[tuple[str, str], list[Track]] = {}
        for tracks in grouped(self.in_time(), lambda t: t.userName).values():
            first = period(tracks[0].timeStamp, unit, zone)
            for track in tracks:
                name = period(track.timeStamp, unit, zone)
                found.setdefault((first, name), []).append(track)
        return found

    def paths(self, per: str, gap: float) -> Rows:
        rows = [(*pair, len(tracks)) for pair, tracks in self.behind_paths(per, gap).items()]
        return sorted(rows, key=lambda row: (-row[2], row[0], row[1] is not None, row[1] or ""))

    def behind_paths(self, per: str, gap: float) -> dict[tuple[str, str | None], list[Track]]:
        """Of each step: the tracks that it leads to, or those it ends with."""
        found: dict[tuple[str, str | None], list[Track]] = {}
        for tracks in grouped(self.in_time(), lambda t: getattr(t, per)).values():
            for place, track in enumerate(tracks):
                after = tracks[place + 1] if place + 1 < len(tracks) else None
                if after is not None and after.timeStamp - track.timeStamp > gap:
                    after = None
                pair = (track.taskId, after and after.taskId)
                if pair[0] != pair[1]:
                    found.setdefault(pair, []).append(after or track)
        return found
