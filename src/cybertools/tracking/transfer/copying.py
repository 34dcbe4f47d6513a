"""A storage's contents copied into another one, of any engine.

Ids, runs, time stamps, data and keys stay as they are. A copy has no notes of its own: how far it
has come is seen from the target, whose tracks are stored in order of their ids. So one that was
broken off goes on when it is asked for again, and one that is complete takes over what the source
has gained since.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from cybertools.tracking.criteria import Criteria
from cybertools.tracking.errors import InvalidValue, TrackingError
from cybertools.tracking.interfaces import Engine, Storage, attributes_of
from cybertools.tracking.track import Row
from cybertools.tracking.transfer.contents import Tell, pages, pairs, silent
from cybertools.tracking.values import decode_data, track_id

__all__ = ["Copied", "copy_storage"]

BATCH = 10_000
"""Tracks, runs or keys that are stored at a time, all of them or none."""

BATCH_SIZE = 3_000_000
"""A batch of tracks ends with the one with which their texts come to so many characters: as much as
a service takes at a time, however little they can be compressed."""

SAMPLES = 100
"""Places at which the target's tracks are held against those of the source."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy has done."""

    tracks: int
    """Tracks that were stored in the target."""
    runs: int
    """Runs of the source; those that the target had were brought up to date."""
    keys: int
    """Spent keys of the source."""
    found: str
    """The id up to which the target had the tracks before; ``'0000000'``: it had none."""
    up_to: str
    """The id up to which it has them now: the highest one that the source had given."""


def copy_storage(source: Storage, target: Storage, tell: Tell = silent) -> Copied:
    """Store all that the source holds in the target, in constant memory.

    The target is empty, or what an earlier copy from this source has left. Tracks that are saved in
    the source meanwhile are left to the next copy. Nobody may save in the target until the last
    copy is made; then it goes on with the ids that the source would have given.

    :raises InvalidValue: the target holds something else, or is the source. Nothing is stored.
    :raises StorageError: one of them could not do its part. What is stored stays, and the same
        call goes on from there.
    """
    ours, theirs = source.engine, target.engine
    if ours.place() == theirs.place():
        raise InvalidValue("The source and the target are the same storage.")
    highest = ours.highest()
    found = _last_number(theirs)
    _check_beginning(ours, theirs, found, highest)
    theirs.retire(highest)
    runs = tracks = keys = 0
    for some_runs in _batches(ours.run_rows()):
        theirs.put_runs(some_runs)
        runs += len(some_runs)
    for rows in _batches_of_tracks(ours, found, highest):
        _check_attributes(target, rows)
        theirs.put_tracks(rows)
        tracks += len(rows)
        tell(rows[-1][0], highest, tracks)
    for some_keys in _batches(each for each in ours.spent_keys() if each[1] <= highest):
        theirs.put_keys(some_keys)
        keys += len(some_keys)
    return Copied(tracks, runs, keys, track_id(found), track_id(highest))


# What the target holds already


def _last_number(engine: Engine) -> int:
    """The highest number of a track that is there, 0 if there is none."""
    # Looked for by halves: some twenty quick queries, where each engine would need one of its own.
    low, high = 0, engine.highest()
    while low < high:
        middle = (low + high) // 2
        found = engine.select(Criteria(after=middle, limit=1))
        low, high = (found[0][0], high) if found else (low, middle)
    return low


def _check_beginning(source: Engine, target: Engine, last: int, highest: int) -> None:
    """Refuse a target whose contents are not from this source, by some tracks and all runs."""
    places = {*range(0, last, max(1, last // SAMPLES)), last - 1} if last else ()
    for place in sorted(places):
        (row,) = target.select(Criteria(after=place, limit=1))
        number = row[0]
        known = source.track(number)
        # One that the source has no more was removed there, which is for the comparison to tell.
        if number > highest or (known is not None and known[:4] != row[:4]):
            raise _refusal(f"its track {track_id(number)}")
    for run, copy in pairs(source.run_rows(), target.run_rows()):
        if copy is not None and (run is None or run[:4] != copy[:4]):
            raise _refusal(f"its run {copy.id}")


def _refusal(what: str) -> InvalidValue:
    return InvalidValue(
        f"The target holds something else: {what} is not from the source. It must be empty, or"
        " have been copied from the same source before."
    )


def _check_attributes(target: Storage, rows: list[Row]) -> None:
    """Refuse what the indexes of the target's track type cannot hold."""
    if not attributes_of(target.trackFactory):
        return
    for row in rows:
        try:
            target.check_attributes(decode_data(row[5]))
        except TrackingError as error:
            error.args = (f"The track {track_id(row[0])}: {error}",)
            raise


# What the source holds, some at a time


def _batches_of_tracks(engine: Engine, after: int, upTo: int) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for page in pages(engine, after, upTo):
        for row in page:
            batch.append(row)
            size += len(row[1]) + len(row[3]) + len(row[5])
            if len(batch) >= BATCH or size >= BATCH_SIZE:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    iterator = iter(items)
    while batch := [*islice(iterator, BATCH)]:
        yield batch
