"""The tree of errors: each is also the builtin that fits, and says what was wrong."""

import inspect
import pickle
import re

import pytest

from cybertools.tracking import errors
from cybertools.tracking.errors import (
    InvalidData,
    InvalidRun,
    StorageClosed,
    TrackingError,
    TrackNotFound,
)

CLASSES = [getattr(errors, name) for name in errors.__all__]

BUILTINS = {
    "InvalidData": (TypeError, ValueError),
    "InvalidRun": (ValueError,),
    "InvalidType": (TypeError,),
    "InvalidValue": (ValueError,),
    "NotAllowed": (PermissionError,),
    "SchemaError": (OSError,),
    "StorageClosed": (OSError,),
    "StorageError": (OSError,),
    "StorageNotFound": (OSError,),
    "StorageReadOnly": (OSError,),
    "StorageUnavailable": (OSError,),
    "TrackNotFound": (KeyError,),
    "TrackingError": (Exception,),
    "UnknownCriterion": (TypeError,),
    "Unsupported": (NotImplementedError,),
}


def test_all_errors_are_named() -> None:
    defined = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert set(errors.__all__) == defined == BUILTINS.keys()


@pytest.mark.parametrize("error", CLASSES)
def test_each_is_the_builtin_that_fits(error: type[Exception]) -> None:
    assert issubclass(error, TrackingError)
    for builtin in BUILTINS[error.__name__]:
        assert issubclass(error, builtin)


def test_the_tree_is_drawn_as_it_is() -> None:
    assert errors.__doc__ is not None
    parents: list[str] = []
    for line in errors.__doc__.splitlines():
        if found := re.match(r"    ([│├└─ ]*)(\w+)(?: \((.*?)\))?(?: {2}|$)", line):
            depth = len(found[1]) // 4
            error = getattr(errors, found[2])
            parents[depth:] = [found[2]]
            if depth:
                assert getattr(errors, parents[depth - 1]) in error.__bases__
    drawn = re.findall(r"[─ ] (\w+)(?: \(| {2,})", errors.__doc__)
    assert {*drawn, "TrackingError"} == set(errors.__all__)


@pytest.mark.parametrize("error", CLASSES)
def test_errors_survive_pickling(error: type[Exception]) -> None:
    one = error("0000007")
    two = pickle.loads(pickle.dumps(one))  # noqa: S301
    assert type(two) is error
    assert str(two) == str(one)
    assert vars(two) == vars(one)


def test_what_they_say() -> None:
    assert str(InvalidRun(7)) == "Invalid run: 7."
    assert InvalidRun(7).runId == 7
    assert str(TrackNotFound("0000007")) == "There is no track '0000007'."
    assert TrackNotFound("0000007").trackId == "0000007"
    assert str(InvalidData("data['a'] is odd.")) == "data['a'] is odd."
    assert str(StorageClosed("The storage is closed.")) == "The storage is closed."
