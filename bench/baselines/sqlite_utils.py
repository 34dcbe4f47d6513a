"""sqlite-utils: its tables' methods."""

import json
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from bench.baselines.engine_file import SETTINGS, new_file
from bench.contenders import Data, JsonTrack

__all__ = ["SqliteUtils"]

OF_TASK = "taskId = ?"
NEWEST_FIRST = "timeStamp desc, number desc"


class SqliteUtils:
    """The engine's tables, filled and read with sqlite-utils."""

    def __init__(self, directory: Path) -> None:
        path, tables = new_file(directory)
        connection = sqlite3.connect(path)
        for setting in SETTINGS:
            connection.execute(setting)
        self.database = Database(connection)
        self.tracks = self.database.table(tables.tracks)
        self.runs = self.database.table(tables.runs)
        self._run_ids: dict[str, int] = {}

    def prepare(self, tracks: list[JsonTrack]) -> list[JsonTrack]:
        return tracks

    def save_all(self, prepared: list[JsonTrack]) -> None:
        new_runs = []
        for track in prepared:
            if track["taskId"] not in self._run_ids:
                run = self._run_ids[track["taskId"]] = len(self._run_ids) + 1
                new_runs.append(
                    {
                        "id": run,
                        "taskId": track["taskId"],
                        "startedAt": track["timeStamp"],
                        "isCurrent": 1,
                    }
                )
        rows = ({**track, "runId": self._run_ids[track["taskId"]]} for track in prepared)
        with self.database.atomic():
            self.runs.insert_all(new_runs)
            self.tracks.insert_all(rows, batch_size=1_000)

    def save(self, taskId: str, userName: str, data: Data) -> None:
        self.tracks.insert(
            {
                "taskId": taskId,
                "runId": self._run_ids[taskId],
                "userName": userName,
                "timeStamp": time.time(),
                "data": data,
            }
        )

    def last(self, taskId: str, runId: int, userName: str) -> Data | None:
        where = "taskId = ? and runId = ? and userName = ?"
        found = _data(
            self.tracks.rows_where(where, [taskId, runId, userName], order_by=NEWEST_FIRST, limit=1)
        )
        return found[0] if found else None

    def within(self, timeFrom: float, timeTo: float, limit: int) -> list[Data]:
        where = "timeStamp between ? and ?"
        return _data(
            self.tracks.rows_where(where, [timeFrom, timeTo], order_by="number", limit=limit)
        )

    def page(self, taskId: str, after: int, limit: int) -> list[Data]:
        where = "taskId = ? and number > ?"
        return _data(self.tracks.rows_where(where, [taskId, after], order_by="number", limit=limit))

    def newest(self, taskId: str, limit: int) -> list[Data]:
        return _data(self.tracks.rows_where(OF_TASK, [taskId], order_by=NEWEST_FIRST, limit=limit))

    def count(self, taskId: str) -> int:
        return int(self.tracks.count_where(OF_TASK, [taskId]))

    def user_names(self, taskId: str) -> list[str]:
        found = self.tracks.rows_where(
            OF_TASK, [taskId], select="distinct userName", order_by="userName"
        )
        return [row["userName"] for row in found]

    def task_ids(self) -> list[str]:
        found = self.tracks.rows_where(select="distinct taskId", order_by="taskId")
        return [row["taskId"] for row in found]

    def close(self) -> None:
        self.database.close()


def _data(rows: Iterable[dict[str, Any]]) -> list[Data]:
    return [json.loads(row["data"]) for row in rows]
