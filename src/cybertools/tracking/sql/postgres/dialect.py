"""SQL and JSON as PostgreSQL has them."""

import re
from collections.abc import Sequence
from decimal import Decimal
from math import gcd
from typing import Any

import psycopg

from cybertools.tracking.criteria import Scalar
from cybertools.tracking.sql import rollup_tables
from cybertools.tracking.sql.statements import Bound, Dialect

__all__ = ["DataLoader", "PostgresDialect", "stored", "text_of", "unstored"]


class PostgresDialect(Dialect):
    """SQL as PostgreSQL has it."""

    rollup = rollup_tables.POSTGRES
    rollup_data = rollup_tables.DATA_POSTGRES
    drop_rollup = rollup_tables.DROP_POSTGRES
    has_table = "SELECT to_regclass(?) IS NOT NULL"
    run_key = '(CAST(runId AS text) COLLATE "C")'
    time_value = "?"
    for_update = " FOR UPDATE"
    run_rows = (
        "OVERRIDING SYSTEM VALUE SELECT * FROM unnest(?::bigint[], ?::text[], ?::text[],"
        " ?::double precision[], ?::double precision[], ?::boolean[], ?::boolean[])"
    )

    def seconds(self, column: str) -> str:
        """See `Dialect.seconds`."""
        return column

    def attribute(self, name: str) -> str:
        """See `Dialect.attribute`.

        A text of a kind and a value: s for text, n for numbers (in one spelling) and truth values.
        """
        value = f"(data->>'{name}')"
        return (
            f"(CASE json_typeof(data->'{name}') WHEN 'string' THEN 's' || {value}"
            f" WHEN 'number' THEN 'n' || trim_scale({value}::numeric)::text"
            f" WHEN 'boolean' THEN CASE {value} WHEN 'true' THEN 'n1' ELSE 'n0' END END"
            ' COLLATE "C")'
        )

    def attribute_value(self, value: Scalar) -> str:
        """See `Dialect.attribute_value`."""
        if isinstance(value, str):
            return f"s{value.replace(_MARK, _MARK + '1')}"
        text = format(Decimal(repr(value)), "f")
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return f"n{'0' if text == '-0' else text}"

    def stored(self, json: str) -> str:
        """See `Dialect.stored`."""
        return stored(json)

    def any_of(self, expression: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
        """See `Dialect.any_of`."""
        return f"{expression} = ANY(?)", [list(values)]

    def field(self, path: Sequence[str]) -> Bound:
        """See `Dialect.field`. A text of a kind and a value: n, b or s."""
        parent = "data" + " -> ?::text" * (len(path) - 1)
        text = f"({parent} ->> ?::text)"
        return Bound(
            f"(CASE json_typeof({parent} -> ?::text) WHEN 'string' THEN 's' || {text}"
            f" WHEN 'number' THEN 'n' || trim_scale({text}::numeric)::text"
            f" WHEN 'boolean' THEN 'b' || {text} END COLLATE \"C\")",
            [*path] * 4,
        )

    def spelling(self, path: Sequence[str]) -> Bound:
        """See `Dialect.spelling`. The column is text: each access parses all of it."""
        return Bound(f"(data{' -> ?::text' * len(path)})::text", [*path])

    def spelled(self, name: str) -> str:
        """See `Dialect.spelled`."""
        return (
            f"(CASE json_typeof({name}::json)"
            f" WHEN 'string' THEN 's' || ({name}::json #>> '{{}}')"
            f" WHEN 'number' THEN 'n' || trim_scale({name}::numeric)::text"
            f" WHEN 'boolean' THEN 'b' || {name} END COLLATE \"C\")"
        )

    def field_value(self, key: Any) -> str | int | float | bool | None:
        """See `Dialect.field_value`."""
        if key is None:
            return None
        kind, text = key[0], key[1:]
        if kind == "b":
            return bool(text == "true")
        if kind == "n":
            return float(text) if "." in text else int(text)
        return unstored(text, "\0")

    def field_order(self, name: str) -> str:
        """See `Dialect.field_order`."""
        kind = f"CASE left({name}, 1) WHEN 'n' THEN 1 WHEN 'b' THEN 2 WHEN 's' THEN 3 ELSE 0 END"
        number = f"CASE left({name}, 1) WHEN 'n' THEN substr({name}, 2)::numeric END"
        return f"{kind}, {number}, {name}"

    def period(self, edges: Sequence[int]) -> Bound:
        """See `Dialect.period`."""
        return Bound("(width_bucket(timeStamp, ?::float8[]) - 1)", [list(map(float, edges))])

    def by_period(
        self,
        tracks: str,
        edges: Sequence[int],
        measures: Sequence[str],
        time_from: float | None,
        time_to: float | None,
    ) -> Bound | None:
        """See `Dialect.by_period`.

        Steps of one length that all edges are at, found by a division; then the period of each.
        """
        length = gcd(*edges)
        if (edges[-1] - edges[0]) // length > _MOST_STEPS or {*measures} != {"count(*)"}:
            return None
        conditions = ["timeStamp >= ?"] if time_from is not None else []
        conditions += ["timeStamp <= ?"] if time_to is not None else []
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        steps = (
            f"SELECT floor(timeStamp / {length}) AS step, count(*) AS m FROM {tracks}{where}"
            " GROUP BY 1"
        )
        return Bound(
            f"SELECT width_bucket(step * {length}, ?::float8[]) - 1,"
            f" {', '.join(['sum(m)::bigint'] * len(measures))} FROM ({steps}) AS steps GROUP BY 1",
            [list(map(float, edges)), *(t for t in (time_from, time_to) if t is not None)],
        )

    def percentile(self, percent: int) -> str:
        """See `Dialect.percentile`.

        A trifle less than asked for: rounded up, the rank of a product that is a whole number
        would be the next one.
        """
        return f"percentile_disc({(percent - 1e-9) / 100!r}) WITHIN GROUP (ORDER BY v)"

    def micros(self, seconds: str) -> str:
        """See `Dialect.micros`."""
        return f"floor(({seconds}) * 1000000 + 0.5)::bigint"


_MOST_STEPS = 10_000
"""So many groups cost nothing beside the reading of the tracks."""

# Data: PostgreSQL accepts NUL within JSON, but fails when it is to take a text out of it.

_MARK = "\U0010ffff"  # no character, by its definition
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def stored(json: str) -> str:
    """Data as JSON text, as the column has it."""
    if _MARK in json:
        json = json.replace(_MARK, f"{_MARK}1")
    if "\\u0000" in json:
        json = _NUL.sub(rf"\1{_MARK}0", json)
    return json


def unstored(text: str, nul: str) -> str:
    """What was stored as ``text``; a NUL is written so."""
    return text.replace(f"{_MARK}0", nul).replace(f"{_MARK}1", _MARK) if _MARK in text else text


class DataLoader(psycopg.adapt.Loader):
    """The JSON text, not what it says: that is decoded when somebody looks."""

    def load(self, data: Any) -> str:
        """See `psycopg.adapt.Loader`."""
        return text_of(data)


def text_of(data: bytes | bytearray | memoryview) -> str:
    """The JSON text that the server sent."""
    return unstored(str(data, "utf-8"), "\\u0000")
