"""``tracks import`` against a raw bulk save of the same lines, in turns."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

from bench.datasets import Dataset, tracks_command
from bench.harness import BATCH, started
from bench.results import Case, Import, Results
from cybertools.tracking import open_storage

__all__ = ["measure_import"]


def measure_import(
    results: Results,
    dataset: Dataset,
    turns: int,
    directory: Path,
    tell: Callable[[str], object],
) -> None:
    """Import the lines of a dataset, and save them raw; as often as there are turns."""
    source = directory / f"import-{dataset.size}.jsonl"
    with source.open("wb") as file:
        file.writelines(dataset.lines())
    seconds, raw_seconds, peaks = [], [], []
    for turn in range(turns):
        tell(f"import of {dataset.size:,} lines: turn {turn + 1} of {turns}")
        place = directory / f"import-{dataset.size}-{turn}"
        place.mkdir()
        took, peak = _import(source, dataset.size, place / "tracks.db")
        seconds.append(took)
        peaks.append(peak)
        tell(f"raw bulk save of {dataset.size:,} lines: turn {turn + 1} of {turns}")
        raw_seconds.append(_raw(dataset, place))
    results.imports.append(Import(dataset.size, tuple(seconds), tuple(raw_seconds), max(peaks)))


def _raw(dataset: Dataset, directory: Path) -> float:
    with started(Case("import", dataset.size, "raw sqlite3"), dataset, directory) as worker:
        batches = [min(BATCH, dataset.size - n) for n in range(0, dataset.size, BATCH)]
        return sum(float(worker.order("load", batch)) * batch for batch in batches)


def _import(source: Path, lines: int, database: Path) -> tuple[float, int]:
    """The seconds that it takes, and the peak memory of its process, in bytes."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    # In a fresh process: a program's peak memory begins with that of the process that started it.
    process = context.Process(target=_measured_import, args=(sending, source, database))
    process.start()
    process.join()
    if process.exitcode or not receiving.poll():
        raise RuntimeError("The import failed; its message stands above.")
    took: tuple[float, int] = receiving.recv()
    with open_storage(f"sqlite:{database}") as tracks:
        if len(tracks) != lines:
            raise RuntimeError(f"Of {lines:,} lines {len(tracks):,} were imported.")
    return took


def _measured_import(connection: Connection, source: Path, database: Path) -> None:
    import resource  # not on Windows

    start = perf_counter()
    os.chdir(database.parent)  # where a file of rejected lines would go
    tracks_command(f"sqlite:{database}", "import", str(source))
    took = perf_counter() - start
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    connection.send((took, most if sys.platform == "darwin" else most * 1024))
