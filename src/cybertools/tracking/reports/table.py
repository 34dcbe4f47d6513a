"""A report's answer: a frozen table that knows its columns, their units, and what it was asked."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.track import HTML_ROWS, html_table

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Cell", "Chart", "Column", "ColumnType", "Table"]

Cell: TypeAlias = str | int | float | bool | None

ColumnType: TypeAlias = Literal["text", "integer", "number", "time", "value", "json"]
"""Of a column's cells, each of which may also be None. A time is in seconds since 1970 UTC; a value
is a text, a number or a truth value; json is JSON text."""


NOTHING = "–"  # noqa: RUF001 (a dash, not a minus)
"""What people read where there is no text or value."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    type: ColumnType
    unit: str = ""
    """What a number counts or measures: ``tracks``, ``users``, ``s`` for seconds, ``%``. Of a time,
    the unit of its period (``day``), if it is the beginning of one."""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Which columns make a picture of a table."""

    kind: Literal["line", "bar", "grid"]
    """Values over time; bars, one a row; or shades in rows and columns."""
    x: str
    """The column along the axis; of bars, that of their labels."""
    y: str
    """The column of the numbers."""
    series: str | None = None
    """The column that tells one line from another, or one row of a grid."""


@dataclass(frozen=True, slots=True)
class Table:
    """The answer of a report.

    ``len(table)`` is the number of rows; iterating gives them.
    """

    name: str
    """Of the report."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    """A cell for each column."""
    criteria: Mapping[str, Any] = field(default_factory=dict)
    """Those of the tracks that the report is about, as they were given."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The other arguments that the report was made with; also those that were not given."""
    chart: Chart | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Cell, ...]]:
        return iter(self.rows)

    def column(self, name: str) -> list[Any]:
        """The cells of the column of that name.

        :raises InvalidValue: there is none; the message lists those there are.
        """
        return [row[self.place(name)] for row in self.rows]

    def place(self, name: str) -> int:
        """Where the column of that name is, from 0."""
        names = [column.name for column in self.columns]
        if name not in names:
            raise InvalidValue(f"There is no column {name!r}. There are: {', '.join(names)}.")
        return names.index(name)

    def as_dicts(self) -> list[dict[str, Any]]:
        """The rows as mappings of the columns' names to cells."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]

    def as_dict(self) -> dict[str, Any]:
        """All of the table as JSON has it; `from_dict` takes it back."""
        chart = self.chart
        return {
            "report": self.name,
            "title": self.title,
            "columns": [
                {"name": c.name, "type": c.type, "unit": c.unit, "description": c.description}
                for c in self.columns
            ],
            "rows": [list(row) for row in self.rows],
            "criteria": dict(self.criteria),
            "parameters": dict(self.parameters),
            "chart": chart
            and {"kind": chart.kind, "x": chart.x, "y": chart.y, "series": chart.series},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Table":
        """The table that `as_dict` made that of."""
        return cls(
            values["report"],
            values["title"],
            tuple(Column(**column) for column in values["columns"]),
            tuple(map(tuple, values["rows"])),
            values["criteria"],
            values["parameters"],
            values["chart"] and Chart(**values["chart"]),
        )

    def to_json(self) -> str:
        """All of the table as one JSON text."""
        return json.dumps(self.as_dict(), ensure_ascii=False, default=_json_value)

    def to_csv(self) -> str:
        """The rows as CSV, after a row of the columns' names. None is an empty cell."""
        # As elsewhere: the standard library's writer leaves a lone carriage return unquoted.
        from cybertools.tracking.transfer.exporting import csv_row

        rows = [csv_row(*(column.name for column in self.columns))]
        rows += (csv_row(*map(_csv_value, row)) for row in self.rows)
        return "".join(rows)

    def to_arrow(self) -> "pa.Table":
        """An Arrow table; times are time stamps in UTC, values that are no texts JSON text.

        :raises Unsupported: pyarrow is not installed.
        """
        from cybertools.tracking.transfer.arrow import arrow_table

        return arrow_table(self)

    def shown(self, column: Column, cell: Cell, zone: tzinfo | None = None) -> str:
        """A cell as people read it: numbers with separators, times in a time zone, none as a dash.

        :param zone: by default that of the table's parameters, or UTC.
        """
        if cell is None:
            return NOTHING if column.type in ("text", "value") else ""
        if column.type == "time" and isinstance(cell, int | float):
            return shown_time(float(cell), zone or self.zone)
        if isinstance(cell, bool):
            return "true" if cell else "false"
        if column.type in ("integer", "number") and column.name != "runId":
            return f"{cell:,.3f}".rstrip("0").rstrip(".")
        if isinstance(cell, float):
            return f"{cell:,.3f}".rstrip("0").rstrip(".")
        return str(cell)

    @property
    def zone(self) -> tzinfo:
        """The time zone that times are shown in."""
        name = self.parameters.get("timezone")
        return ZoneInfo(name) if isinstance(name, str) else UTC

    def _repr_html_(self) -> str:
        """The first rows as HTML, for notebooks."""
        names = (
            c.name + (f" ({c.unit})" if c.unit not in ("", c.name) else "") for c in self.columns
        )
        rows = (
            [self.shown(column, cell) for column, cell in zip(self.columns, row, strict=True)]
            for row in self.rows[:HTML_ROWS]
        )
        return html_table(names, rows, len(self.rows), self.title)


def shown_time(seconds: float, zone: tzinfo) -> str:
    """A time for people, in a time zone, to the second."""
    moment = datetime.fromtimestamp(seconds, zone)
    text = moment.strftime("%Y-%m-%d %H:%M:%S")
    return text if zone is UTC else text + moment.strftime("%z")


def _is_numeric(column: Column) -> bool:
    return column.type in ("integer", "number")


def _csv_value(cell: Cell) -> Cell:
    return ("true" if cell else "false") if isinstance(cell, bool) else cell


def _json_value(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"{value!r} has no JSON value")
