"""Tracks and tables of reports as Arrow, and so as Parquet, and in pandas, polars and DuckDB.

Needs pyarrow: ``pip install 'cybertools-tracking[arrow]'``.
"""

import io
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal, TypeAlias

from cybertools.tracking.errors import Unsupported
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.reports.table import Column, Table
from cybertools.tracking.values import micros_of

try:
    import pyarrow as pa
except ModuleNotFoundError as error:
    raise Unsupported(
        "Arrow and Parquet need pyarrow: pip install 'cybertools-tracking[arrow]'."
    ) from error

__all__ = ["BATCH", "ArrowFormat", "arrow_pieces", "arrow_table", "to_arrow"]

ArrowFormat: TypeAlias = Literal["parquet", "arrow"]

BATCH = 20_000
"""Tracks in a batch; of a Parquet file also in a row group: some megabytes."""

MOMENT = pa.timestamp("us", "UTC")

TRACKS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("taskId", pa.string(), nullable=False),
        pa.field("runId", pa.int64(), nullable=False),
        pa.field("userName", pa.string(), nullable=False),
        pa.field("timeStamp", MOMENT, nullable=False),
        pa.field("data", pa.string(), nullable=False, metadata={"description": "JSON"}),
    ]
)

TYPES = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "time": MOMENT,
    "value": pa.string(),
    "json": pa.string(),
}


def to_arrow(storage: Storage, **criteria: Any) -> "pa.RecordBatchReader":
    """The tracks that meet the criteria of a query, in constant memory.

    The columns are ``id``, ``taskId``, ``runId``, ``userName``, ``timeStamp`` (a time stamp in UTC,
    to the microsecond) and ``data`` (JSON text). pandas, polars and DuckDB take what this returns.

    :raises Unsupported: pyarrow is not installed.
    :raises UnknownCriterion: and the other errors of `Storage.query`.
    """
    tracks = storage.iterTracks(**criteria)

    def batches() -> Iterator["pa.RecordBatch"]:
        while chunk := list(islice(tracks, BATCH)):
            columns = (
                [t.id for t in chunk],
                [t.taskId for t in chunk],
                [t.runId for t in chunk],
                [t.userName for t in chunk],
                [micros_of(t.timeStamp) for t in chunk],
                [t.json for t in chunk],
            )
            arrays = [pa.array(c, f.type) for c, f in zip(columns, TRACKS, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=TRACKS)

    return pa.RecordBatchReader.from_batches(TRACKS, batches())


def arrow_table(table: Table) -> "pa.Table":
    """A report's table. What it was asked, and the columns' units, are its metadata."""
    columns = zip(*table.rows, strict=True) if table.rows else ((),) * len(table.columns)
    arrays = [
        pa.array([_arrow_value(column, cell) for cell in cells], TYPES[column.type])
        for column, cells in zip(table.columns, columns, strict=True)
    ]
    fields = [
        pa.field(c.name, TYPES[c.type], metadata={"unit": c.unit, "description": c.description})
        for c in table.columns
    ]
    told = table.as_dict()
    about = {n: json.dumps(told[n]) for n in ("report", "title", "criteria", "parameters")}
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=about))


def _arrow_value(column: Column, cell: Any) -> Any:
    if cell is None:
        return None
    if column.type == "time":
        return micros_of(cell)
    if column.type == "value" and not isinstance(cell, str):
        return json.dumps(cell)
    return cell


def arrow_pieces(
    batches: "pa.RecordBatchReader", format: ArrowFormat
) -> Iterator[tuple[int, bytes]]:
    """A file of batches, in pieces that each come with their number of rows."""
    sink = _Sink()
    writer: Any
    if format == "parquet":
        from pyarrow import parquet

        writer = parquet.ParquetWriter(sink, batches.schema, compression="zstd")
    else:
        writer = pa.ipc.new_file(sink, batches.schema)
    with writer:
        for batch in batches:
            writer.write_batch(batch)
            yield batch.num_rows, sink.take()
    yield 0, sink.take()


class _Sink(io.RawIOBase):
    """A file that keeps only what was not taken yet."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        return self._size

    def take(self) -> bytes:
        """What was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
