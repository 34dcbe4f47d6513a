"""The tables of the storages in a PostgreSQL database."""

import re
import zlib
from typing import Any

from cybertools.tracking.errors import SchemaError
from cybertools.tracking.sql.postgres.connecting import Connection
from cybertools.tracking.sql.postgres.dialect import PostgresDialect
from cybertools.tracking.sql.statements import Tables

__all__ = ["SCHEMA", "VERSION", "create_attribute_indexes", "names", "prepared"]

SCHEMA = "tracking"
"""The schema that all tables of ours are in."""

VERSION = 1
"""The version of the tables."""

CATALOGUE = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.storages (
    name text COLLATE "C" PRIMARY KEY,
    prefix text NOT NULL UNIQUE,
    version integer NOT NULL
)
"""

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


def prepared(connection: Connection, name: str, attributes: tuple[str, ...]) -> Tables:
    """The tables of the storage of that name, made if they are not there."""
    # Look first: whoever may only read must be able to open what is there.
    tables = _existing(connection, name)
    if tables is None:
        with connection.raw.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(?)", (zlib.crc32(SCHEMA.encode()),))
            make_schema, *others = CATALOGUE.split(";\n")
            found = connection.execute("SELECT to_regnamespace(?)", (SCHEMA,)).fetchone()
            # Even IF NOT EXISTS it takes the right to make schemas in the database.
            for statement in others if found and found[0] else (make_schema, *others):
                connection.execute(statement)
            tables = _existing(connection, name) or _create(connection, name, attributes)
    return tables


def names(connection: Connection) -> list[str]:
    """The sorted names of the storages in the database."""
    if not _has_catalogue(connection):
        return []
    rows = connection.execute(f"SELECT name FROM {SCHEMA}.storages ORDER BY name").fetchall()
    return [row[0] for row in rows]


def _has_catalogue(connection: Connection) -> bool:
    found = connection.execute(f"SELECT to_regclass('{SCHEMA}.storages')").fetchone()
    return found is not None and found[0] is not None


def _existing(connection: Connection, name: str) -> Tables | None:
    if not _has_catalogue(connection):
        return None
    row = connection.execute(
        f"SELECT prefix, version FROM {SCHEMA}.storages WHERE name = ?", (name,)
    ).fetchone()
    if row is None:
        return None
    prefix, version = row
    if version > VERSION:
        raise SchemaError(
            f"The storage {name!r} has schema version {version}, made by a newer"
            f" cybertools-tracking; this one knows up to {VERSION}. Upgrade it:"
            " pip install -U cybertools-tracking."
        )
    return Tables(prefix, f"{SCHEMA}.")


def _create(connection: Connection, name: str, attributes: tuple[str, ...]) -> Tables:
    taken = {
        row[0]
        for row in connection.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = ?",
            (SCHEMA,),
        ).fetchall()
    }
    prefix = name
    ours = {f"{name}{end}" for end in ("", "_runs", "_keys", "_view", "_number")}
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name) or taken & ours or name in _RESERVED:
        number = 1
        while any(other.startswith(f"storage_{number}") for other in taken):
            number += 1
        prefix = f"storage_{number}"
    tables = Tables(prefix, f"{SCHEMA}.")
    names = {what: getattr(tables, what) for what in ("tracks", "runs", "keys", "view")}
    for statement in TABLES.format(**names).split(";\n"):
        connection.execute(statement)
    for what, columns in INDEXES.items():
        connection.execute(f"CREATE INDEX {tables.index(what)} ON {tables.tracks} ({columns})")
    create_attribute_indexes(connection, tables, attributes)
    connection.execute(
        f"INSERT INTO {SCHEMA}.storages (name, prefix, version) VALUES (?, ?, ?)",
        (name, prefix, VERSION),
    )
    return tables


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
