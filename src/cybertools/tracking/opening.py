"""``open_storage``: from a URL to a storage."""

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

from cybertools.tracking.errors import InvalidType, InvalidValue, Unsupported
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.track import Track
from cybertools.tracking.values import check_text, kind_of

__all__ = ["Durability", "open_storage", "storage_names"]

Durability: TypeAlias = Literal["full", "normal", "off"]

SCHEMES = """\
  memory:              B-trees in this process
  zodb:PATH            the same, in a ZODB file
  sqlite:PATH          one SQLite file (without a path: in memory)
  postgresql://…       PostgreSQL"""


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
    =================  =====================================================

    :param name: one database holds several storages: ``'changes'``, ``'access'``.
    :param trackFactory: the track type, a subclass of `Track`.
    :param durability: ``'full'``: what was saved survives power loss. ``'normal'``: it survives
        the end of the process; power loss may take the last moments, never break the file.
        ``'off'``: only as safe as the operating system makes it. Engines in memory ignore it.
    :raises InvalidValue: there is no engine for that URL.
    :raises StorageError: the database cannot be opened.
    """
    if not isinstance(url, str):
        raise InvalidType(f"url must be text like 'sqlite:tracks.db', not {kind_of(url)}.")
    if durability not in get_args(Durability):
        raise InvalidValue(f"durability must be 'full', 'normal' or 'off', not {durability!r}.")
    scheme, path = _parts(url)
    return _OPENERS[scheme](path, check_text(name, "name"), trackFactory, durability)


def storage_names(url: str) -> list[str]:
    """The sorted names of the storages in a database; none is made by asking.

    Of an engine in memory none are told: its storages are known to who opened them.

    :raises InvalidValue: there is no engine for that URL.
    :raises StorageError: the database cannot be opened.
    """
    scheme, path = _parts(url)
    return sorted(_LISTERS[scheme](path)) if scheme in _LISTERS else []


def _parts(url: str) -> tuple[str, str]:
    scheme, colon, path = url.partition(":")
    if not colon or scheme.lower() not in _OPENERS:
        hint = "" if colon else f" Did you mean 'sqlite:{url}'?"
        raise InvalidValue(f"There is no engine for {url!r}.{hint} There are:\n{SCHEMES}")
    return scheme.lower(), path


# An engine is imported when it is first asked for: most programs use one.


def _memory(path: str, name: str, factory: type[Track], _durability: Durability) -> Storage:
    from cybertools.tracking.btree import TrackingStorage

    if path:
        raise InvalidValue(f"memory: takes no path, but was given {path!r}.")
    return TrackingStorage(name=name, trackFactory=factory)


def _zodb(path: str, name: str, factory: type[Track], _durability: Durability) -> Storage:
    try:
        from cybertools.tracking.zodb import open_file
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"zodb: needs {error.name}: pip install 'cybertools-tracking[zodb]'."
        ) from error
    return open_file(path, name, factory)


def _sqlite(path: str, name: str, factory: type[Track], durability: Durability) -> Storage:
    from cybertools.tracking.sql.sqlite import open_file

    return open_file(path, name, factory, durability)


def _postgres(path: str, name: str, factory: type[Track], durability: Durability) -> Storage:
    try:
        from cybertools.tracking.sql.postgres.opening import open_database
    except ImportError as error:
        raise Unsupported(
            f"postgresql: needs psycopg: pip install 'cybertools-tracking[postgres]'. ({error})"
        ) from error
    return open_database(f"postgresql:{path}", name, factory, durability)


def _sqlite_names(path: str) -> list[str]:
    from cybertools.tracking.sql.sqlite import names_in

    return names_in(path)


def _postgres_names(path: str) -> list[str]:
    from cybertools.tracking.sql.postgres.opening import names_in

    return names_in(f"postgresql:{path}")


def _zodb_names(path: str) -> list[str]:
    from cybertools.tracking.zodb import names_in

    return names_in(path)


_OPENERS: dict[str, Callable[[str, str, type[Track], Durability], Storage]] = {
    "memory": _memory,
    "postgres": _postgres,
    "postgresql": _postgres,
    "sqlite": _sqlite,
    "zodb": _zodb,
}

_LISTERS: dict[str, Callable[[str], list[str]]] = {
    "postgres": _postgres_names,
    "postgresql": _postgres_names,
    "sqlite": _sqlite_names,
    "zodb": _zodb_names,
}
