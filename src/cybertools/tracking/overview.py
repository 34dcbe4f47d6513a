"""A first look at a storage: how much there is, the busiest tasks, the most active users."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cybertools.tracking.interfaces import Info, Storage
from cybertools.tracking.track import Track

__all__ = ["Overview", "overview"]


@dataclass(frozen=True, slots=True)
class Overview:
    """What a storage holds at first sight."""

    info: Info
    busiest_tasks: tuple[tuple[str, int], ...]
    """Task ids with their numbers of tracks, the highest first."""
    busiest_users: tuple[tuple[str, int], ...]
    """User names with their numbers of tracks, the highest first."""
    last_track: Track | None
    """The last track of the most active user."""


def overview(
    storage: Storage, top: int = 10, progress: Callable[[int, int], None] | None = None
) -> Overview:
    """Look at a storage. Reads index entries, no tracks but one.

    :param top: how many tasks and users to name.
    :param progress: called with the number of counts that are done and that there are.
    """
    tasks = storage.getTaskIds()
    users = sorted({name for task in tasks for name in storage.getUserNames(task)})
    total = len(tasks) + len(users)
    done = 0

    def ranked(names: Iterable[str], criterion: str) -> tuple[tuple[str, int], ...]:
        nonlocal done
        counts: dict[str, int] = {}
        for name in names:
            counts[name] = storage.countTracks(**{criterion: name})
            done += 1
            if progress is not None:
                progress(done, total)
        return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top])

    busiest_tasks = ranked(tasks, "taskId")
    busiest_users = ranked(users, "userName")
    last = None
    if busiest_users:
        (last,) = storage.query(userName=busiest_users[0][0], order="-timeStamp", limit=1)
    return Overview(storage.info(), busiest_tasks, busiest_users, last)
