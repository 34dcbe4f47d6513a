"""One contender in a process of its own: neither memory nor collected garbage is shared."""

import gc
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter_ns
from traceback import format_exc
from typing import Any, NamedTuple

from bench.contenders import CONTENDERS
from bench.datasets import Dataset
from bench.questions import Question

__all__ = ["Taken", "serve"]

NANO = 1e-9


class Taken(NamedTuple):
    """What a contender takes after loading."""

    memory: int
    """Bytes that the process has grown by."""
    file: int
    """Bytes of its files."""
    parts: dict[str, int]
    """Bytes of each table and index, where the contender can tell."""


def serve(connection: Connection, name: str, dataset: Dataset, directory: Path) -> None:
    """Do what the harness says, until it says no more."""
    try:
        contender = CONTENDERS[name].open(directory)
        worker = _Worker(contender, dataset, directory)
        for order, arguments in iter(connection.recv, None):
            connection.send((True, getattr(worker, order)(*arguments)))
        contender.close()
    except Exception:  # noqa: BLE001  # the harness raises it again, with the contender's name
        connection.send((False, format_exc()))


class _Worker:
    """What a contender is told to do; each method is an order."""

    def __init__(self, contender: Any, dataset: Dataset, directory: Path) -> None:
        self.contender = contender
        self.directory = directory
        self._lines: Iterator[bytes] = dataset.lines()
        gc.collect()
        self._empty = resident_bytes()

    def load(self, count: int) -> float:
        """Save the next tracks of the dataset; the seconds that each took."""
        prepared = self.contender.prepare([*map(json.loads, islice(self._lines, count))])
        start = perf_counter_ns()
        self.contender.save_all(prepared)
        return (perf_counter_ns() - start) * NANO / count

    def taken(self) -> Taken:
        """What it takes now."""
        for path in self.directory.glob("*.db"):
            # What is still in the write-ahead log goes to its place in the file.
            with sqlite3.connect(path) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.close()
        gc.collect()
        files = [path for path in self.directory.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        if not files and hasattr(self.contender, "bytes"):
            size = self.contender.bytes()
        memory = max(resident_bytes() - self._empty, 0)
        info = getattr(self.contender, "info", None)
        return Taken(memory, size, dict(info().parts) if info else {})

    def answer(self, operation: str, question: Question) -> tuple[Any] | None:
        """The answer to one question, alone in a tuple; None where there is no way."""
        try:
            return (getattr(self.contender, operation)(*question),)
        except NotImplementedError:
            return None

    def time(self, operation: str, questions: list[Question]) -> list[float] | None:
        """The seconds that each question took; None where there is no way."""
        method: Callable[..., Any] | None = getattr(self.contender, operation, None)
        if method is None:
            return None
        clock = perf_counter_ns
        times = []
        try:
            for question in questions:
                start = clock()
                method(*question)
                times.append((clock() - start) * NANO)
        except NotImplementedError:
            return None
        return times


def resident_bytes() -> int:
    """The memory of this process: what it has now, or where that is not told, its most."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    import resource  # not on Windows

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
