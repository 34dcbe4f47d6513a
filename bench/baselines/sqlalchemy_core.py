"""SQLAlchemy Core: its expressions, its pool, its JSON type."""

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    create_engine,
    event,
    func,
    insert,
    select,
)

from bench.baselines.engine_file import SETTINGS, new_file
from bench.contenders import Data, JsonTrack

__all__ = ["SqlalchemyCore"]


class SqlalchemyCore:
    """The engine's tables, described to SQLAlchemy. Statements are built once."""

    def __init__(self, directory: Path) -> None:
        path, tables = new_file(directory)
        self._runs: dict[str, int] = {}
        encoded = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))
        self.engine = create_engine(f"sqlite:///{path}", json_serializer=encoded)
        event.listen(self.engine, "connect", _use_settings)
        metadata = MetaData()
        runs = Table(
            tables.runs,
            metadata,
            Column("id", Integer, primary_key=True),
            Column("taskId", Text),
            Column("startedAt", Float),
            Column("isCurrent", Boolean),
        )
        tracks = Table(
            tables.tracks,
            metadata,
            Column("number", Integer, primary_key=True),
            Column("taskId", Text),
            Column("runId", Integer),
            Column("userName", Text),
            Column("timeStamp", Float),
            Column("data", JSON),
        )
        task, time_stamp, number = tracks.c.taskId, tracks.c.timeStamp, tracks.c.number
        of_task = task == bindparam("taskId")
        limit = bindparam("limit", type_=Integer)
        newest_first = (time_stamp.desc(), number.desc())
        self._insert, self._insert_run = insert(tracks), insert(runs)
        self._last = (
            select(tracks)
            .where(
                of_task,
                tracks.c.runId == bindparam("runId"),
                tracks.c.userName == bindparam("userName"),
            )
            .order_by(*newest_first)
            .limit(1)
        )
        in_time = time_stamp.between(bindparam("timeFrom"), bindparam("timeTo"))
        self._within = select(tracks).where(in_time).order_by(number).limit(limit)
        self._page = (
            select(tracks).where(of_task, number > bindparam("after")).order_by(number).limit(limit)
        )
        self._newest = select(tracks).where(of_task).order_by(*newest_first).limit(limit)
        self._count = select(func.count()).select_from(tracks).where(of_task)
        user = tracks.c.userName
        self._user_names = select(user).distinct().where(of_task).order_by(user)
        self._task_ids = select(task).distinct().order_by(task)

    def prepare(self, tracks: list[JsonTrack]) -> list[JsonTrack]:
        return tracks

    def save_all(self, prepared: list[JsonTrack]) -> None:
        new_runs = []
        for track in prepared:
            if track["taskId"] not in self._runs:
                run = self._runs[track["taskId"]] = len(self._runs) + 1
                new_runs.append(
                    {
                        "id": run,
                        "taskId": track["taskId"],
                        "startedAt": track["timeStamp"],
                        "isCurrent": True,
                    }
                )
        rows = [{**track, "runId": self._runs[track["taskId"]]} for track in prepared]
        with self.engine.begin() as connection:
            if new_runs:
                connection.execute(self._insert_run, new_runs)
            connection.execute(self._insert, rows)

    def save(self, taskId: str, userName: str, data: Data) -> None:
        row = {
            "taskId": taskId,
            "runId": self._runs[taskId],
            "userName": userName,
            "timeStamp": time.time(),
            "data": data,
        }
        with self.engine.begin() as connection:
            connection.execute(self._insert, row)

    def last(self, taskId: str, runId: int, userName: str) -> Data | None:
        found = self._data(self._last, taskId=taskId, runId=runId, userName=userName)
        return found[0] if found else None

    def within(self, timeFrom: float, timeTo: float, limit: int) -> list[Data]:
        return self._data(self._within, timeFrom=timeFrom, timeTo=timeTo, limit=limit)

    def page(self, taskId: str, after: int, limit: int) -> list[Data]:
        return self._data(self._page, taskId=taskId, after=after, limit=limit)

    def newest(self, taskId: str, limit: int) -> list[Data]:
        return self._data(self._newest, taskId=taskId, limit=limit)

    def count(self, taskId: str) -> int:
        return int(self._rows(self._count, taskId=taskId)[0][0])

    def user_names(self, taskId: str) -> list[str]:
        return [row[0] for row in self._rows(self._user_names, taskId=taskId)]

    def task_ids(self) -> list[str]:
        return [row[0] for row in self._rows(self._task_ids)]

    def close(self) -> None:
        self.engine.dispose()

    def _data(self, statement: Select[Any], **values: Any) -> list[Data]:
        return [row.data for row in self._rows(statement, **values)]

    def _rows(self, statement: Select[Any], **values: Any) -> Sequence[Any]:
        with self.engine.connect() as connection:
            return connection.execute(statement, values).all()


def _use_settings(connection: Any, _record: Any) -> None:
    for setting in SETTINGS:
        connection.execute(setting)
