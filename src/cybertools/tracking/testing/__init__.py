"""The contract as tests: what every engine has to keep, also one of your own.

An engine's tests subclass `StorageContract` and say how to open a storage in a database of its
own for each test::

    # conftest.py
    import pytest
    pytest.register_assert_rewrite("cybertools.tracking.testing")

    # test_contract.py
    import functools
    import pytest
    from cybertools.tracking import open_storage
    from cybertools.tracking.testing import StorageContract

    class TestMyEngine(StorageContract):
        @pytest.fixture
        def open(self, tmp_path):
            return functools.partial(open_storage, f"my:{tmp_path}")

What the engine cannot do by its nature it says in `StorageContract.reopens` and
`StorageContract.transactional`. pytest and Hypothesis have to be installed.
"""

from cybertools.tracking.testing.base import Comment, Opener, ids, plain
from cybertools.tracking.testing.bulk import BulkContract
from cybertools.tracking.testing.changing import ChangingContract
from cybertools.tracking.testing.keeping import KeepingContract
from cybertools.tracking.testing.mapping import MappingContract
from cybertools.tracking.testing.moving import MovingContract
from cybertools.tracking.testing.querying import QueryingContract
from cybertools.tracking.testing.reading import ReadingContract
from cybertools.tracking.testing.refusing import RefusingContract
from cybertools.tracking.testing.returning import ReturningContract
from cybertools.tracking.testing.runs import RunsContract
from cybertools.tracking.testing.saving import SavingContract
from cybertools.tracking.testing.strategies import json_data, texts, time_stamps
from cybertools.tracking.testing.threads import ThreadsContract
from cybertools.tracking.testing.tracktypes import TypesContract

__all__ = [
    "Comment",
    "Opener",
    "StorageContract",
    "ids",
    "json_data",
    "plain",
    "texts",
    "time_stamps",
]


class StorageContract(
    SavingContract,
    BulkContract,
    ChangingContract,
    ReadingContract,
    QueryingContract,
    RunsContract,
    MappingContract,
    TypesContract,
    KeepingContract,
    ReturningContract,
    RefusingContract,
    ThreadsContract,
    MovingContract,
):
    """All promises of the contract, a test or more for each.

    A subclass overrides the fixture `open`, and `reopens`, `transactional` or `keys_of_users`
    where they are otherwise for its engine.
    """
