"""``tracks copy`` from a SQLite file to PostgreSQL against a raw COPY of the same rows."""

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from time import perf_counter

from bench.baselines.raw_psycopg import RawPsycopg
from bench.datasets import Dataset, tracks_command
from bench.harness import BATCH
from bench.postgres import new_database
from bench.results import Copy, Results
from cybertools.tracking import open_storage

__all__ = ["measure_copy"]


def measure_copy(
    results: Results,
    dataset: Dataset,
    turns: int,
    directory: Path,
    tell: Callable[[str], object],
) -> None:
    """Copy a dataset, and store it raw; as often as there are turns."""
    source = f"sqlite:{directory / 'source.db'}"
    tell(f"copy of {dataset.size:,} tracks: saving the source")
    with open_storage(source) as storage:
        storage.saveUserTracks(map(json.loads, dataset.lines()), batchSize=BATCH)
    seconds, raw_seconds = [], []
    for turn in range(turns):
        tell(f"copy of {dataset.size:,} tracks: turn {turn + 1} of {turns}")
        target = new_database(directory / f"copy-{turn}")
        start = perf_counter()
        tracks_command(source, "copy", source, target)
        seconds.append(perf_counter() - start)
        tell(f"raw COPY of {dataset.size:,} tracks: turn {turn + 1} of {turns}")
        raw_seconds.append(_raw(dataset, directory / f"raw-{turn}"))
    results.copies.append(Copy(dataset.size, tuple(seconds), tuple(raw_seconds)))


def _raw(dataset: Dataset, directory: Path) -> float:
    raw = RawPsycopg(directory)
    took, lines = 0.0, dataset.lines()
    while batch := [*islice(lines, BATCH)]:
        rows = raw.prepare([*map(json.loads, batch)])
        start = perf_counter()
        raw.save_all(rows)
        took += perf_counter() - start
    raw.close()
    return took
