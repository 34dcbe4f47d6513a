"""SQL and JSON as PostgreSQL has them."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import psycopg

from cybertools.tracking.criteria import Scalar
from cybertools.tracking.sql.statements import Dialect

__all__ = ["DataLoader", "PostgresDialect", "stored"]


class PostgresDialect(Dialect):
    """SQL as PostgreSQL has it."""

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


class DataLoader(psycopg.adapt.Loader):
    """The JSON text, not what it says: that is decoded when somebody looks."""

    def load(self, data: Any) -> str:
        """See `psycopg.adapt.Loader`."""
        json = str(data, "utf-8") if not isinstance(data, bytes) else data.decode()
        if _MARK in json:
            json = json.replace(f"{_MARK}0", "\\u0000").replace(f"{_MARK}1", _MARK)
        return json
