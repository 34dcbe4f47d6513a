"""The tables of the storages in a PostgreSQL database."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from cybertools.tracking.errors import InvalidValue, SchemaError
from cybertools.tracking.sql.postgres.connecting import Connection
from cybertools.tracking.sql.postgres.dialect import PostgresDialect
from cybertools.tracking.sql.postgres.distributing import DISTRIBUTION
from cybertools.tracking.sql.postgres.steps import (
    LOCK,
    SCHEMA,
    Step,
    has_citus,
    in_turn,
    orphaned_keys,
)
from cybertools.tracking.sql.statements import Tables

__all__ = ["UPGRADES", "VERSION", "Stored", "create_attribute_indexes", "prepared", "stored_in"]

Layout: TypeAlias = Literal["plain", "distributed"]
"""Where the rows are: all in one place, or made to be distributed by their users."""

CATALOGUE = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.storages (
    name text COLLATE "C" PRIMARY KEY,
    prefix text NOT NULL UNIQUE,
    version integer NOT NULL,
    layout text NOT NULL DEFAULT 'plain'
)
"""

UPGRADES = {
    2: Step(
        "tell storages apart that are distributed",
        "ALTER TABLE {schema}.storages"
        " ADD COLUMN IF NOT EXISTS layout text NOT NULL DEFAULT 'plain'",
    ),
}
"""To each version of the tables from the one before. Storages that are open go on meanwhile: a
step must leave what they use as it is."""

VERSION = max(UPGRADES)
"""The version of the tables that are made here."""

TABLES = """
CREATE SEQUENCE {tracks}_number;
CREATE TABLE {tracks} (
    number bigint PRIMARY KEY,
    taskId text COLLATE "C" NOT NULL,
    runId bigint NOT NULL,
    userName text COLLATE "C" NOT NULL,
    timeStamp double precision NOT NULL,
    data json NOT NULL
);
ALTER SEQUENCE {tracks}_number OWNED BY {tracks}.number;
CREATE TABLE {runs} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    taskId text COLLATE "C",
    label text COLLATE "C",
    startedAt double precision NOT NULL,
    stoppedAt double precision,
    finished boolean NOT NULL DEFAULT FALSE,
    isCurrent boolean NOT NULL DEFAULT FALSE
);
CREATE UNIQUE INDEX ON {runs} (taskId) WHERE isCurrent;
CREATE UNIQUE INDEX ON {runs} (taskId, label) WHERE label IS NOT NULL;
CREATE INDEX ON {runs} (id) WHERE finished;
CREATE TABLE {keys} (key text COLLATE "C" PRIMARY KEY, number bigint NOT NULL);
CREATE VIEW {view} AS SELECT to_char(number, 'FM0000000') AS id, taskId, runId, userName,
    to_timestamp(timeStamp) AS time, data FROM {tracks}
"""

INDEXES = {
    "task_user": "taskId, userName, runId, timeStamp, number",
    "task": "taskId, number",
    "user": "userName, number",
    "run": "runId, timeStamp, number",
    "time": "timeStamp, number",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database says of a storage."""

    name: str
    tables: Tables
    version: int
    layout: Layout

    def check_not_newer(self) -> None:
        """Refuse tables that this version does not know.

        :raises SchemaError: they were made by a newer one.
        """
        if self.version > VERSION:
            raise SchemaError(
                f"The storage {self.name!r} has schema version {self.version}, made by a newer"
                f" cybertools-tracking; this one knows up to {VERSION}. Upgrade it:"
                " pip install -U cybertools-tracking."
            )

    def check_not_older(self) -> None:
        """Refuse tables that have to be migrated first.

        :raises SchemaError: they were made by an older version.
        """
        if self.version < VERSION:
            raise SchemaError(
                f"The storage {self.name!r} has schema version {self.version}, made by an older"
                f" cybertools-tracking; this one needs {VERSION}. Bring it up to date with:"
                " tracks migrate."
            )


def stored_in(connection: Connection, name: str | None = None) -> Iterator[Stored]:
    """The storages of the database, of any version: all, or that of a name."""
    found = connection.execute(f"SELECT to_regclass('{SCHEMA}.storages')").fetchone()
    if found is None or found[0] is None:
        return
    # As JSON, since an older version has fewer columns.
    rows = connection.execute(
        f"SELECT to_jsonb(s) FROM {SCHEMA}.storages s WHERE name = coalesce(?, name) ORDER BY name",
        (name,),
    )
    for (row,) in rows.fetchall():
        tables = Tables(row["prefix"], f"{SCHEMA}.")
        yield Stored(row["name"], tables, row["version"], row.get("layout", "plain"))


def prepared(connection: Connection, name: str, attributes: tuple[str, ...]) -> Stored:
    """The storage of that name, made if it is not there."""
    # Look first: whoever may only read must be able to open what is there.
    stored = _existing(connection, name)
    return stored or in_turn(lambda: _created(connection, name, attributes))


def _existing(connection: Connection, name: str) -> Stored | None:
    stored = next(stored_in(connection, name), None)
    if stored is not None:
        stored.check_not_newer()
        stored.check_not_older()
    return stored


def _created(connection: Connection, name: str, attributes: tuple[str, ...]) -> Stored | None:
    """The storage, made unless another has made it; None while another changes the tables."""
    with connection.raw.transaction():
        (locked,) = connection.execute(
            "SELECT pg_try_advisory_xact_lock(?)", (LOCK,)
        ).fetchone() or (False,)
        if not locked:
            return None
        make_schema, *others = CATALOGUE.split(";\n")
        found = connection.execute("SELECT to_regnamespace(?)", (SCHEMA,)).fetchone()
        # Even IF NOT EXISTS it takes the right to make schemas in the database.
        for statement in others if found and found[0] else (make_schema, *others):
            connection.execute(statement)
        return _existing(connection, name) or _create(connection, name, attributes)


def _create(connection: Connection, name: str, attributes: tuple[str, ...]) -> Stored:
    layout = _wanted_layout(connection)
    tables = Tables(_free_prefix(connection, name), f"{SCHEMA}.")
    names = {what: getattr(tables, what) for what in ("tracks", "runs", "keys", "view")}
    for statement in TABLES.format(**names).split(";\n"):
        connection.execute(statement)
    for what, columns in INDEXES.items():
        connection.execute(f"CREATE INDEX {tables.index(what)} ON {tables.tracks} ({columns})")
    create_attribute_indexes(connection, tables, attributes)
    connection.execute(
        f"INSERT INTO {SCHEMA}.storages (name, prefix, version) VALUES (?, ?, ?)",
        (name, tables.prefix, VERSION),
    )
    if layout == "distributed":
        citus = has_citus(connection)
        for step in DISTRIBUTION:
            if not step.is_done(connection, tables, citus):
                step.perform_within(connection, tables)
    return Stored(name, tables, VERSION, layout)


def _wanted_layout(connection: Connection) -> Layout:
    """The layout of new storages: a setting of the database, the role or the connection."""
    (layout,) = connection.execute(
        f"SELECT coalesce(nullif(current_setting('{SCHEMA}.layout', TRUE), ''), 'plain')"
    ).fetchone() or ("plain",)
    if layout not in ("plain", "distributed"):
        raise InvalidValue(
            f"The setting {SCHEMA}.layout must be 'plain' or 'distributed', not {layout!r}."
        )
    return "distributed" if layout == "distributed" else "plain"


def _free_prefix(connection: Connection, name: str) -> str:
    """The storage's name where it is a plain word and its tables' names are free."""
    taken = {
        row[0]
        for row in connection.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = ?",
            (SCHEMA,),
        ).fetchall()
    }
    own = Tables(name)
    ours = {own.tracks, own.runs, own.keys, own.view, f"{name}_number"}
    is_word = re.fullmatch(r"(?!.*_rollup_)[a-z][a-z0-9_]{0,30}", name) and name not in _RESERVED
    # The table of orphaned keys is made later, when its name must still be free.
    if is_word and not taken & ours and not name.endswith(orphaned_keys(Tables(""))):
        return name
    number = 1
    while any(other.startswith(f"storage_{number}") for other in taken):
        number += 1
    return f"storage_{number}"


# Words that cannot name a table without quotes, of those that may name a storage.
_RESERVED = {
    *("all", "analyse", "analyze", "and", "any", "array", "as", "asc", "both", "case", "cast"),
    *("check", "collate", "column", "constraint", "create", "default", "desc", "distinct", "do"),
    *("else", "end", "except", "false", "fetch", "for", "foreign", "from", "grant", "group"),
    *("having", "in", "initially", "intersect", "into", "lateral", "leading", "limit", "not"),
    *("null", "offset", "on", "only", "or", "order", "placing", "primary", "references"),
    *("returning", "select", "some", "symmetric", "table", "then", "to", "trailing", "true"),
    *("union", "unique", "user", "using", "variadic", "when", "where", "window", "with"),
}


def create_attribute_indexes(connection: Any, tables: Tables, attributes: tuple[str, ...]) -> None:
    """Make the indexes of a track type that are missing."""
    dialect = PostgresDialect()
    for name in attributes:
        index = tables.index(name)
        if len(index) > 60:  # PostgreSQL cuts a name after 63 bytes
            index = f"{index[:50]}_{zlib.crc32(index.encode()):08x}"
        connection.execute(
            f'CREATE INDEX IF NOT EXISTS "{index}"'
            f" ON {tables.tracks} ({dialect.attribute(name)}, number)"
        )
