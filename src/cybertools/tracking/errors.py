"""The errors of this package. Each is also the builtin that fits it.

    TrackingError
    ├── InvalidValue (ValueError)           an argument's value is out of what it may be
    │   └── InvalidRun                      there is no such run
    ├── InvalidType (TypeError)             an argument is of the wrong type
    │   ├── UnknownCriterion                ``query`` has no criterion of that name
    │   └── InvalidData (and ValueError)    ``data`` is no mapping of text to JSON values
    ├── TrackNotFound (KeyError)            there is no track of that id
    ├── NotAllowed (PermissionError)        the service refuses: no token, or one without the right
    ├── Unsupported (NotImplementedError)   this engine cannot do that
    └── StorageError (OSError)              the database could not do its part
        ├── StorageClosed                   the storage was closed before
        ├── StorageReadOnly                 the database may be read, not written
        ├── StorageUnavailable              busy or out of reach: trying again may help
        ├── StorageNotFound                 there is no such file, or storage of a service
        └── SchemaError                     the database is of another kind or version

An error of a driver never reaches a caller: it is the ``__cause__`` of one of these.
"""

__all__ = [
    "InvalidData",
    "InvalidRun",
    "InvalidType",
    "InvalidValue",
    "NotAllowed",
    "SchemaError",
    "StorageClosed",
    "StorageError",
    "StorageNotFound",
    "StorageReadOnly",
    "StorageUnavailable",
    "TrackNotFound",
    "TrackingError",
    "UnknownCriterion",
    "Unsupported",
]


class TrackingError(Exception):
    """What all errors of this package have in common."""


class InvalidValue(TrackingError, ValueError):
    """An argument's value is out of what it may be."""


class InvalidRun(InvalidValue):
    """There is no run of that id."""

    def __init__(self, runId: object) -> None:
        super().__init__(f"Invalid run: {runId}.")
        self.runId = runId

    def __reduce__(self) -> tuple[type["InvalidRun"], tuple[object]]:
        return InvalidRun, (self.runId,)


class InvalidType(TrackingError, TypeError):
    """An argument is of the wrong type."""


class UnknownCriterion(InvalidType):
    """A query has no criterion of that name."""


class InvalidData(InvalidType, ValueError):
    """``data`` holds something that JSON has no value for; the message names its path."""


class TrackNotFound(TrackingError, KeyError):
    """There is no track of that id (never was one, or it was removed)."""

    def __init__(self, trackId: object) -> None:
        super().__init__(trackId)
        self.trackId = trackId

    def __str__(self) -> str:
        return f"There is no track {self.trackId!r}."


class NotAllowed(TrackingError, PermissionError):
    """A service refuses the call: it needs a token, or the token has not the right to it."""


class Unsupported(TrackingError, NotImplementedError):
    """The engine cannot do that; the message says what to do instead."""


class StorageError(TrackingError, OSError):
    """The database could not do its part: a full disk, a missing right, a broken file."""


class StorageClosed(StorageError):
    """The storage was closed before."""


class StorageReadOnly(StorageError):
    """The database can be read but not written."""


class StorageUnavailable(StorageError):
    """The database is busy or out of reach; the same call may succeed later."""


class StorageNotFound(StorageError):
    """There is no such file; or a service has no storage of that name, which an admin can make."""


class SchemaError(StorageError):
    """The database is not one of ours, or written by a newer version of this package."""
