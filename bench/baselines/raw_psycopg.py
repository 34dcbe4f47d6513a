"""psycopg by itself: prepared statements, COPY, no checks, on tables that the engine has made."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from bench.contenders import Data, JsonTrack
from bench.postgres import new_database
from cybertools.tracking import open_storage
from cybertools.tracking.sql.engine import SqlEngine

__all__ = ["RawPsycopg", "raw_statements"]


def raw_statements(url: str) -> dict[str, str]:
    """The statements for the tables of the storage in that database, which is made there."""
    with open_storage(url) as storage:
        assert isinstance(storage.engine, SqlEngine)
        tables = storage.engine.tables
    select = f"SELECT number, taskId, runId, userName, timeStamp, data FROM {tables.tracks}"
    return {
        "save": (
            f"INSERT INTO {tables.tracks} (number, taskId, runId, userName, timeStamp, data)"
            f" VALUES (nextval('{tables.tracks}_number'), %s, %s, %s, %s, %s)"
        ),
        "skip": f"SELECT setval('{tables.tracks}_number', %s)",
        "copy": (
            f"COPY {tables.tracks} (number, taskId, runId, userName, timeStamp, data) FROM STDIN"
        ),
        "run": (
            f"INSERT INTO {tables.runs} (id, taskId, startedAt, isCurrent)"
            " OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, TRUE)"
        ),
        "last": (
            f"{select} WHERE taskId = %s AND runId = %s AND userName = %s"
            " ORDER BY timeStamp DESC, number DESC LIMIT 1"
        ),
        "within": f"{select} WHERE timeStamp >= %s AND timeStamp <= %s ORDER BY number LIMIT %s",
        "page": f"{select} WHERE taskId = %s AND number > %s ORDER BY number LIMIT %s",
        "newest": f"{select} WHERE taskId = %s ORDER BY timeStamp DESC, number DESC LIMIT %s",
        "count": f"SELECT count(*) FROM {tables.tracks} WHERE taskId = %s",
        "user_names": (
            f"SELECT DISTINCT userName FROM {tables.tracks} WHERE taskId = %s ORDER BY userName"
        ),
        "task_ids": f"SELECT DISTINCT taskId FROM {tables.tracks} ORDER BY taskId",
    }


class RawPsycopg:
    """One connection; the ids of the runs are remembered."""

    def __init__(self, directory: Path) -> None:
        url = new_database(directory)
        self.sql = raw_statements(url)
        self.connection: psycopg.Connection[Any] = psycopg.connect(url, autocommit=True)
        self.connection.prepare_threshold = 0
        # Data are decoded by the reader, as the engine's are.
        self.connection.adapters.register_loader("json", psycopg.types.string.TextLoader)
        self._number = 0
        self._runs: dict[str, int] = {}
        self._new_runs: list[tuple[int, str, float]] = []

    def prepare(self, tracks: list[JsonTrack]) -> list[tuple[Any, ...]]:
        rows = []
        for track in tracks:
            self._number += 1
            task, user, moment = track["taskId"], track["userName"], track["timeStamp"]
            run = self._run(task, moment)
            rows.append((self._number, task, run, user, moment, _encoded(track["data"])))
        return rows

    def save_all(self, prepared: list[tuple[Any, ...]]) -> None:
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.executemany(self.sql["run"], self._new_runs)
            with cursor.copy(self.sql["copy"]) as copy:
                for row in prepared:
                    copy.write_row(row)
            cursor.execute(self.sql["skip"], (self._number,))
        self._new_runs.clear()

    def save(self, taskId: str, userName: str, data: Data) -> None:
        values = (taskId, self._runs[taskId], userName, time.time(), _encoded(data))
        self.connection.execute(self.sql["save"], values)

    def last(self, taskId: str, runId: int, userName: str) -> Data | None:
        found = self._data("last", (taskId, runId, userName))
        return found[0] if found else None

    def within(self, timeFrom: float, timeTo: float, limit: int) -> list[Data]:
        return self._data("within", (timeFrom, timeTo, limit))

    def page(self, taskId: str, after: int, limit: int) -> list[Data]:
        return self._data("page", (taskId, after, limit))

    def newest(self, taskId: str, limit: int) -> list[Data]:
        return self._data("newest", (taskId, limit))

    def count(self, taskId: str) -> int:
        (number,) = self._rows("count", (taskId,))[0]
        return int(number)

    def user_names(self, taskId: str) -> list[str]:
        return [row[0] for row in self._rows("user_names", (taskId,))]

    def task_ids(self) -> list[str]:
        return [row[0] for row in self._rows("task_ids", ())]

    def bytes(self) -> int:
        """Bytes of the whole database."""
        (row,) = self.connection.execute("SELECT pg_database_size(current_database())").fetchall()
        return int(row[0])

    def close(self) -> None:
        self.connection.close()

    def _rows(self, name: str, values: Sequence[Any]) -> list[Any]:
        return self.connection.execute(self.sql[name], values).fetchall()

    def _data(self, name: str, values: Sequence[Any]) -> list[Data]:
        return [json.loads(row[5]) for row in self._rows(name, values)]

    def _run(self, taskId: str, timeStamp: float) -> int:
        run = self._runs.get(taskId)
        if run is None:
            run = self._runs[taskId] = len(self._runs) + 1
            self._new_runs.append((run, taskId, timeStamp))
        return run


def _encoded(data: Data) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
