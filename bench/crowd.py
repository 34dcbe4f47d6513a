"""Eight processes that save to one task at once: the engine, and raw inserters, in turns."""

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from bench.baselines.raw_psycopg import raw_statements
from bench.postgres import new_database
from bench.results import Crowd, Results
from cybertools.tracking import open_storage

__all__ = ["measure_crowd"]

PROCESSES = 8
SAVES = 250
"""Of each process in each turn."""
TASK, DATA, TEXT = "course-01/lesson-01", {"activity": "read"}, '{"activity":"read"}'


def measure_crowd(
    results: Results, turns: int, directory: Path, tell: Callable[[str], object]
) -> None:
    """Let the crowd save in turns, and add what it reached to the results."""
    url = new_database(directory / "crowd")
    with open_storage(url) as storage:
        runId = storage.startRun(TASK)
    ours: list[float] = []
    raw: list[float] = []
    for turn in range(turns + 1):
        for who, found in ((_save, ours), (_insert, raw)):
            tell(f"eight processes to one task: turn {turn} of {turns}")
            rate = _rate(who, url, runId)
            if turn:
                found.append(rate)
    results.crowds.append(Crowd(PROCESSES, tuple(ours), tuple(raw)))


def _rate(who: Callable[..., None], url: str, runId: int) -> float:
    """Saves per second of all processes, from when all are ready to when all are done."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(PROCESSES + 1), context.Barrier(PROCESSES + 1)
    crowd = [
        context.Process(target=who, args=(url, runId, number, ready, done), daemon=True)
        for number in range(PROCESSES)
    ]
    for process in crowd:
        process.start()
    ready.wait(120)
    start = time.perf_counter()
    done.wait(600)
    took = time.perf_counter() - start
    for process in crowd:
        process.join()
    return PROCESSES * SAVES / took


def _save(url: str, _runId: int, number: int, ready: Barrier, done: Barrier) -> None:
    with open_storage(url) as storage:
        storage.saveUserTrack(TASK, 0, f"user{number}", DATA)
        ready.wait()
        for _ in range(SAVES):
            storage.saveUserTrack(TASK, 0, f"user{number}", DATA)
        done.wait()


def _insert(url: str, runId: int, number: int, ready: Barrier, done: Barrier) -> None:
    import psycopg

    sql = raw_statements(url)["save"]
    connection: psycopg.Connection[Any]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.prepare_threshold = 0
        values = (TASK, runId, f"user{number}", time.time(), TEXT)
        connection.execute(sql, values)
        ready.wait()
        for _ in range(SAVES):
            connection.execute(sql, values)
        done.wait()
