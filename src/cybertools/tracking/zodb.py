"""The engine of `btree` in a ZODB file: each call is a transaction, on disk when it is done."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import transaction
from BTrees.OOBTree import OOBTree
from zc.lockfile import LockError
from ZODB.DB import DB
from ZODB.FileStorage import FileStorage
from ZODB.FileStorage.FileStorage import packed_version
from ZODB.FileStorage.format import CorruptedError
from ZODB.POSException import POSError

from cybertools.tracking.btree import CHUNK, BTreeEngine
from cybertools.tracking.errors import (
    InvalidValue,
    SchemaError,
    StorageClosed,
    StorageError,
    StorageUnavailable,
)
from cybertools.tracking.interfaces import Engine, Info, Storage, attributes_of
from cybertools.tracking.track import Track

__all__ = ["ZodbEngine", "names_in", "open_file"]

ROOT = "cybertools.tracking"
"""Our place in the file's root: a mapping of storage names to engines."""

CACHE_OBJECTS = 5_000
"""Objects that a connection keeps between calls: some tens of tracks or index entries each."""


class _File:
    """A file that is open in this process, once for all storages in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.users = 0
        # One call at a time: connections that save at once would only conflict and save again.
        self.lock = threading.RLock()
        self.db = _opened(path)


_files: dict[Path, _File] = {}
_files_lock = threading.Lock()


def _opened(path: Path) -> DB:
    if path.is_dir():
        raise StorageError(f"{path} is a directory, not a ZODB file.")
    if not path.parent.is_dir():
        raise StorageError(f"There is no directory {path.parent}.")
    try:
        _check_kind(path)
        return DB(FileStorage(str(path)), cache_size=CACHE_OBJECTS)
    except LockError as error:
        raise StorageUnavailable(f"{path} is in use by another process.") from error
    except (CorruptedError, POSError, EOFError) as error:
        raise SchemaError(f"{path} is not a ZODB file, or it is damaged.") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be opened: {error.strerror}.") from error


def _check_kind(path: Path) -> None:
    # FileStorage would find out only after it has put files of its own beside it, left open.
    if path.exists():
        with path.open("rb") as file:
            if file.read(len(packed_version)) not in (b"", packed_version):
                raise CorruptedError(path)


def _call(name: str, writes: bool = False) -> Any:
    """A method that does the same in the file, as one transaction."""

    def method(self: "ZodbEngine", *arguments: Any) -> Any:
        with self.working(writes) as engine:
            return getattr(engine, name)(*arguments)

    method.__name__ = name
    method.__doc__ = f"See `Engine.{name}`."
    return method


def _stream(name: str) -> Any:
    """A method that gives the same as one in the file, some at a time."""

    def method(self: "ZodbEngine", *arguments: Any) -> Iterator[Any]:
        with self.working() as engine:
            items = getattr(engine, name)(*arguments)
        while True:
            with self.working():
                chunk = [*islice(items, CHUNK)]
            yield from chunk
            if len(chunk) < CHUNK:
                return

    method.__name__ = name
    method.__doc__ = f"See `Engine.{name}`."
    return method


class ZodbEngine(Engine):
    """A storage in a ZODB file."""

    def __init__(self, file: _File, name: str, attributes: tuple[str, ...]) -> None:
        self._file = file
        self._manager = transaction.TransactionManager()
        self._connection: Any = None
        self._depth = 0
        self._name = name
        self._attributes = attributes
        with file.lock:
            self._connection = file.db.open(self._manager)
            root = self._connection.root()
            if ROOT not in root:
                root[ROOT] = OOBTree()
            if name not in root[ROOT]:
                root[ROOT][name] = BTreeEngine(attributes)
            self._engine: BTreeEngine = root[ROOT][name]
            self._manager.commit()

    @contextmanager
    def working(self, writes: bool = False) -> Iterator[BTreeEngine]:
        """The engine in the file as it is now; what is written is committed in the end."""
        with self._file.lock:
            if self._connection is None:
                raise StorageClosed("The storage is closed.")
            if self._depth:
                yield self._engine
                return
            self._manager.begin()
            self._depth += 1
            try:
                yield self._engine
                if writes:
                    self._commit()
            finally:
                self._depth -= 1
                self._manager.abort()

    def _commit(self) -> None:
        try:
            self._manager.commit()
        except OSError as error:
            raise StorageError(f"{self._file.path}: {error.strerror}.") from error

    save = _call("save", writes=True)
    save_over = _call("save_over", writes=True)
    save_all = _call("save_all", writes=True)
    update = _call("update", writes=True)
    remove = _call("remove", writes=True)
    last = _call("last")
    select = _call("select")
    stream = _stream("stream")
    count = _call("count")
    track = _call("track")
    numbers = _stream("numbers")
    user_names = _call("user_names")
    task_ids = _call("task_ids")
    aggregate = _call("aggregate")
    start_run = _call("start_run", writes=True)
    stop_run = _call("stop_run", writes=True)
    open_run = _call("open_run", writes=True)
    run = _call("run")
    current_run = _call("current_run")
    runs = _stream("runs")
    count_runs = _call("count_runs")
    highest = _call("highest")
    run_rows = _stream("run_rows")
    spent_keys = _stream("spent_keys")
    put_runs = _call("put_runs", writes=True)
    put_tracks = _call("put_tracks", writes=True)
    put_keys = _call("put_keys", writes=True)
    retire = _call("retire", writes=True)
    reindex = _call("reindex", writes=True)
    check = _call("check")

    def place(self) -> str:
        """See `Engine.place`."""
        return f"zodb {self._file.path} {self._name}"

    def setup_indexes(self) -> None:
        """See `Engine.setup_indexes`."""
        with self.working(writes=True) as engine:
            engine.attributes = self._attributes
            engine.setup_indexes()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Engine.transaction`."""
        with self._file.lock:
            nested = self._depth > 0
            with self.working(writes=True) as engine:
                if nested:
                    with engine.transaction():
                        yield
                else:
                    yield

    def info(self) -> Info:
        """See `Engine.info`."""
        with self.working() as engine:
            return replace(engine.info(), bytes=self._file.db.getSize())

    def close(self) -> None:
        """See `Engine.close`."""
        with self._file.lock:
            if self._connection is None:
                return
            self._manager.abort()
            self._connection.close()
            self._connection = None
        _leave(self._file)


def open_file(path: str, name: str, factory: type[Track]) -> Storage:
    """The storage of that name in that file, both made if they are not there.

    :raises StorageUnavailable: another process has the file open.
    :raises SchemaError: it is no ZODB file.
    """
    attributes = attributes_of(factory)
    return Storage(ZodbEngine(_enter(_real(path)), name, attributes), name, factory)


def names_in(path: str) -> list[str]:
    """The sorted names of the storages in that file.

    :raises StorageError: there is none.
    """
    real = _real(path)
    if not real.exists():
        raise StorageError(f"There is no file {path}.")
    file = _enter(real)
    try:
        connection = file.db.open(transaction.TransactionManager())
        try:
            return [*connection.root().get(ROOT, ())]
        finally:
            connection.close()
    finally:
        _leave(file)


def _real(path: str) -> Path:
    if not path:
        raise InvalidValue("zodb: needs a path: zodb:tracks.fs.")
    return Path(path).expanduser().resolve()


def _enter(path: Path) -> _File:
    with _files_lock:
        file = _files.get(path)
        if file is None:
            file = _files[path] = _File(path)
        file.users += 1
        return file


def _leave(file: _File) -> None:
    with _files_lock:
        file.users -= 1
        if not file.users:
            file.db.close()
            del _files[file.path]
