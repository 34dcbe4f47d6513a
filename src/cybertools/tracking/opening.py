"""``open_storage``: from a URL to a storage."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias, get_args

from cybertools.tracking.errors import InvalidType, InvalidValue, Unsupported
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.track import Track
from cybertools.tracking.values import check_text, kind_of

__all__ = [
    "Durability",
    "migrate_storage",
    "open_storage",
    "storage_names",
    "without_secrets",
]

Durability: TypeAlias = Literal["full", "normal", "off"]

SCHEMES = """\
  memory:              B-trees in this process
  zodb:PATH            the same, in a ZODB file
  sqlite:PATH          one SQLite file (without a path: in memory)
  postgresql://…       PostgreSQL
  http(s)://…          a service"""


def open_storage(
    url: str,
    name: str = "tracks",
    trackFactory: type[Track] = Track,
    durability: Durability = "full",
) -> Storage:
    """The storage of that name in the database of that URL, made if it is not there.

    =================  =====================================================
    ``memory:``        B-trees in this process
    ``zodb:PATH``      the same, in a ZODB file (extra ``zodb``)
    ``sqlite:PATH``    one SQLite file; ``sqlite:`` alone is one in memory
    ``postgresql://``  PostgreSQL (extra ``postgres``), in the schema ``tracking``
    ``https://``       a service (extra ``http``); its token is in the URL, as
                       ``https://TOKEN@host``, or in ``TRACKS_TOKEN``
    =================  =====================================================

    :param name: one database holds several storages: ``'changes'``, ``'access'``.
    :param trackFactory: the track type, a subclass of `Track`.
    :param durability: ``'full'``: what was saved survives power loss. ``'normal'``: it survives
        the end of the process; power loss may take the last moments, never break the file.
        ``'off'``: only as safe as the operating system makes it. Engines in memory ignore it, and
        so does a service, which has been told for itself.
    :raises InvalidValue: there is no engine for that URL.
    :raises StorageError: the database cannot be opened.
    """
    if durability not in get_args(Durability):
        raise InvalidValue(f"durability must be 'full', 'normal' or 'off', not {durability!r}.")
    scheme, path = _parts(url)
    return _OPENERS[scheme](path, check_text(name, "name"), trackFactory, durability)


def storage_names(url: str) -> list[str]:
    """The sorted names of the storages in the database of that URL. Nothing is made.

    :raises InvalidValue: there is no engine for that URL.
    :raises Unsupported: the engine cannot tell.
    :raises StorageNotFound: the file is not there.
    :raises StorageError: the database cannot be opened.
    """
    scheme, path = _parts(url)
    if scheme not in _LISTERS:
        raise Unsupported(f"The storages of {scheme}: cannot be listed; give their names.")
    return _LISTERS[scheme](path)


def _parts(url: str) -> tuple[str, str]:
    """The scheme and the rest of a URL that there is an engine for."""
    if not isinstance(url, str):
        raise InvalidType(f"url must be text like 'sqlite:tracks.db', not {kind_of(url)}.")
    scheme, colon, path = url.partition(":")
    if not colon or scheme.lower() not in _OPENERS:
        hint = "" if colon else f" Did you mean 'sqlite:{url}'?"
        raise InvalidValue(
            f"There is no engine for {without_secrets(url)!r}.{hint} There are:\n{SCHEMES}"
        )
    return scheme.lower(), path


def migrate_storage(
    url: str, name: str = "tracks", distribute: bool = False, dry_run: bool = False
) -> Iterator[str]:
    """Bring the tables of all storages in a database up to those of this version.

    Storages may be open and saved to meanwhile. A migration that was cut off is continued by the
    next one. A file needs none: it is brought up to date when it is opened.

    :param distribute: then lay the storage ``name`` out to be distributed by its users, and
        distribute it where the database has Citus. Whoever has it open has to open it again.
    :param dry_run: tell, but do nothing.
    :returns: each step, with its statements, before it is done.
    :raises Unsupported: ``distribute`` where the database is no PostgreSQL.
    :raises SchemaError: the tables are those of a newer version.
    :raises StorageUnavailable: somebody else is migrating.
    """
    scheme, path = _parts(url)
    if scheme in ("postgres", "postgresql"):
        with _installed("postgresql", "postgres"):
            from cybertools.tracking.sql.postgres.migrating import migrate_database
        yield from migrate_database(f"postgresql:{path}", name, distribute, dry_run)
        return
    if distribute:
        raise Unsupported(f"Only a PostgreSQL can be distributed, not {without_secrets(url)!r}.")
    open_storage(url, name).close()


def without_secrets(url: str) -> str:
    """The URL as it may be shown: with ``***`` in the place of a password or token."""
    head, _, query = url.partition("?")
    found = re.match(r"(?i)((?!sqlite|zodb)[a-z+]*:(?://)?)(.*)@", url if "@" in query else head)
    if found:
        user, colon, _ = found[2].partition(":")
        # Alone it is a PostgreSQL's user, or else a service's token.
        shown = f"{user}:***" if colon else user if url.startswith("postgres") else "***"
        url = f"{found[1]}{shown}{url[found.end() - 1 :]}"
    return re.sub(r"(?i)([?&](?:ssl)?password=)[^&]*", r"\1***", url)


# An engine is imported when it is first asked for: most programs use one.


def _memory(path: str, name: str, factory: type[Track], _durability: Durability) -> Storage:
    from cybertools.tracking.btree import TrackingStorage

    if path:
        raise InvalidValue(f"memory: takes no path, but was given {path!r}.")
    return TrackingStorage(name=name, trackFactory=factory)


def _zodb(path: str, name: str, factory: type[Track], _durability: Durability) -> Storage:
    with _installed("zodb", "zodb"):
        from cybertools.tracking.zodb import open_file
    return open_file(path, name, factory)


def _zodb_names(path: str) -> list[str]:
    with _installed("zodb", "zodb"):
        from cybertools.tracking.zodb import names_in
    return names_in(path)


def _sqlite(path: str, name: str, factory: type[Track], durability: Durability) -> Storage:
    from cybertools.tracking.sql.sqlite import open_file

    return open_file(path, name, factory, durability)


def _service(scheme: str) -> Callable[[str, str, type[Track], Durability], Storage]:
    def open(path: str, name: str, factory: type[Track], _durability: Durability) -> Storage:
        with _installed(scheme, "http"):
            from cybertools.tracking.remote.opening import open_service
        return open_service(f"{scheme}:{path}", name, factory)

    return open


def _service_names(scheme: str) -> Callable[[str], list[str]]:
    def names(path: str) -> list[str]:
        with _installed(scheme, "http"):
            from cybertools.tracking.remote.opening import service_names
        return service_names(f"{scheme}:{path}")

    return names


def _sqlite_names(path: str) -> list[str]:
    from cybertools.tracking.sql.sqlite import names_in

    return names_in(path)


def _postgres(path: str, name: str, factory: type[Track], durability: Durability) -> Storage:
    with _installed("postgresql", "postgres"):
        from cybertools.tracking.sql.postgres.opening import open_database
    return open_database(f"postgresql:{path}", name, factory, durability)


def _postgres_names(path: str) -> list[str]:
    with _installed("postgresql", "postgres"):
        from cybertools.tracking.sql.postgres.opening import names_in
    return names_in(f"postgresql:{path}")


@contextmanager
def _installed(scheme: str, extra: str) -> Iterator[None]:
    """Where an engine's packages are not there, say how to get them."""
    try:
        yield
    except ImportError as error:
        raise Unsupported(
            f"{scheme}: needs {error.name or 'a package'}: pip install"
            f" 'cybertools-tracking[{extra}]'. ({error})"
        ) from error


_OPENERS: dict[str, Callable[[str, str, type[Track], Durability], Storage]] = {
    "http": _service("http"),
    "https": _service("https"),
    "memory": _memory,
    "postgres": _postgres,
    "postgresql": _postgres,
    "sqlite": _sqlite,
    "zodb": _zodb,
}

_LISTERS: dict[str, Callable[[str], list[str]]] = {
    "http": _service_names("http"),
    "https": _service_names("https"),
    "memory": lambda _: [],
    "postgres": _postgres_names,
    "postgresql": _postgres_names,
    "sqlite": _sqlite_names,
    "zodb": _zodb_names,
}
