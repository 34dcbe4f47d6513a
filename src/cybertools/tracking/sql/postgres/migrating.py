"""Migrations of the tables: from each version to the next, and from one layout to the other."""

from collections.abc import Iterator
from contextlib import closing

from cybertools.tracking.errors import SchemaError, StorageError
from cybertools.tracking.sql.postgres.address import address_from
from cybertools.tracking.sql.postgres.connecting import Connection, translated
from cybertools.tracking.sql.postgres.distributing import DISTRIBUTION
from cybertools.tracking.sql.postgres.opening import first_connection
from cybertools.tracking.sql.postgres.schema import UPGRADES, VERSION, Stored, stored_in
from cybertools.tracking.sql.postgres.steps import LOCK, SCHEMA, Step, has_citus, in_turn

__all__ = ["migrate_database"]


def migrate_database(url: str, name: str, distribute: bool, dry_run: bool) -> Iterator[str]:
    """Bring all storages of a database up to date; see `opening.migrate_storage`."""
    with translated(), closing(first_connection(address_from(url))) as raw:
        connection = Connection(raw)
        if not dry_run:
            in_turn(lambda: _locked(connection))
        # The lock ends with the connection, also where this process is killed.
        yield from _upgraded(connection, dry_run)
        if distribute:
            yield from _distributed(connection, name, dry_run)


def _locked(connection: Connection) -> bool | None:
    row = connection.execute("SELECT pg_try_advisory_lock(?)", (LOCK,)).fetchone()
    return True if row and row[0] else None


def _upgraded(connection: Connection, dry_run: bool) -> Iterator[str]:
    for storage in stored_in(connection):
        storage.check_not_newer()
        for version in range(storage.version + 1, VERSION + 1):
            step = UPGRADES[version]
            yield _told(connection, step, storage, f"version {version}: ")
            if not dry_run:
                step.perform(
                    connection,
                    storage.tables,
                    f"UPDATE {SCHEMA}.storages SET version = {version}"
                    f" WHERE prefix = '{storage.tables.prefix}'",
                )


def _distributed(connection: Connection, name: str, dry_run: bool) -> Iterator[str]:
    storage = next(stored_in(connection, name), None)
    if storage is None:
        raise StorageError(f"There is no storage {name!r} in the database to be distributed.")
    citus = has_citus(connection)
    if citus:
        _check_coordinator(connection)
    for step in DISTRIBUTION:
        if not step.is_done(connection, storage.tables, citus):
            yield _told(connection, step, storage, "")
            if not dry_run:
                step.perform(connection, storage.tables)


def _check_coordinator(connection: Connection) -> None:
    (here,) = connection.execute("SELECT groupid FROM pg_dist_local_group").fetchone() or (0,)
    if here:
        raise SchemaError("This is a worker: tables are changed through the coordinator.")
    if connection.execute("SELECT 1 FROM pg_dist_node WHERE groupid = 0").fetchone() is None:
        raise SchemaError(
            "The workers do not know the coordinator's address. Tell them:"
            " SELECT citus_set_coordinator_host('HOST', PORT)"
        )


def _told(connection: Connection, step: Step, storage: Stored, what: str) -> str:
    statements = ";\n".join(step.statements(connection, storage.tables))
    return f"-- {storage.name}: {what}{step.purpose}\n{statements};"
