"""Nothing but ``sqlite3``: ready rows, prepared statements, no checks."""

import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.baselines.engine_file import SETTINGS, new_file
from bench.contenders import Data, JsonTrack

__all__ = ["RawSqlite3"]


class RawSqlite3:
    """One connection in autocommit mode.

    For `save_all` the rows are ready: run ids and JSON text are made in `prepare`, untimed.
    """

    def __init__(self, directory: Path) -> None:
        path, tables = new_file(directory)
        self.connection = sqlite3.connect(path, isolation_level=None)
        for setting in SETTINGS:
            self.connection.execute(setting)
        self._runs: dict[str, int] = {}
        self._new_runs: list[tuple[int, str, float]] = []
        select = f"SELECT number, taskId, runId, userName, timeStamp, data FROM {tables.tracks}"
        self._insert = (
            f"INSERT INTO {tables.tracks} (taskId, runId, userName, timeStamp, data)"
            " VALUES (?, ?, ?, ?, ?)"
        )
        self._insert_run = (
            f"INSERT INTO {tables.runs} (id, taskId, startedAt, isCurrent) VALUES (?, ?, ?, TRUE)"
        )
        self._last = (
            f"{select} WHERE taskId = ? AND runId = ? AND userName = ?"
            " ORDER BY timeStamp DESC, number DESC LIMIT 1"
        )
        self._within = f"{select} WHERE timeStamp >= ? AND timeStamp <= ? ORDER BY number LIMIT ?"
        self._page = f"{select} WHERE taskId = ? AND number > ? ORDER BY number LIMIT ?"
        self._newest = f"{select} WHERE taskId = ? ORDER BY timeStamp DESC, number DESC LIMIT ?"
        self._count = f"SELECT count(*) FROM {tables.tracks} WHERE taskId = ?"
        self._user_names = (
            f"SELECT DISTINCT userName FROM {tables.tracks} WHERE taskId = ? ORDER BY userName"
        )
        self._task_ids = f"SELECT DISTINCT taskId FROM {tables.tracks} ORDER BY taskId"

    def prepare(self, tracks: list[JsonTrack]) -> list[tuple[Any, ...]]:
        return [
            (
                track["taskId"],
                self._run(track["taskId"], track["timeStamp"]),
                track["userName"],
                track["timeStamp"],
                _encoded(track["data"]),
            )
            for track in tracks
        ]

    def save_all(self, prepared: list[tuple[Any, ...]]) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(self._insert_run, self._new_runs)
        self.connection.executemany(self._insert, prepared)
        self.connection.execute("COMMIT")
        self._new_runs.clear()

    def save(self, taskId: str, userName: str, data: Data) -> None:
        values = (taskId, self._runs[taskId], userName, time.time(), _encoded(data))
        self.connection.execute(self._insert, values)

    def last(self, taskId: str, runId: int, userName: str) -> Data | None:
        row = self.connection.execute(self._last, (taskId, runId, userName)).fetchone()
        return None if row is None else json.loads(row[5])

    def within(self, timeFrom: float, timeTo: float, limit: int) -> list[Data]:
        return self._data(self._within, (timeFrom, timeTo, limit))

    def page(self, taskId: str, after: int, limit: int) -> list[Data]:
        return self._data(self._page, (taskId, after, limit))

    def newest(self, taskId: str, limit: int) -> list[Data]:
        return self._data(self._newest, (taskId, limit))

    def count(self, taskId: str) -> int:
        number: int = self.connection.execute(self._count, (taskId,)).fetchone()[0]
        return number

    def user_names(self, taskId: str) -> list[str]:
        return [row[0] for row in self.connection.execute(self._user_names, (taskId,))]

    def task_ids(self) -> list[str]:
        return [row[0] for row in self.connection.execute(self._task_ids)]

    def close(self) -> None:
        self.connection.close()

    def _data(self, sql: str, values: Sequence[Any]) -> list[Data]:
        return [json.loads(row[5]) for row in self.connection.execute(sql, values).fetchall()]

    def _run(self, taskId: str, timeStamp: float) -> int:
        run = self._runs.get(taskId)
        if run is None:
            run = self._runs[taskId] = len(self._runs) + 1
            self._new_runs.append((run, taskId, timeStamp))
        return run


def _encoded(data: Data) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
