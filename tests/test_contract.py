"""Every engine keeps the contract."""

import pytest

from cybertools.tracking.testing import Opener, StorageContract
from tests.engines import EngineUnderTest


class TestContract(StorageContract):
    """The suite, once for each engine."""

    @pytest.fixture
    def open(self, open: Opener) -> Opener:
        """From the test's own database."""
        return open

    @pytest.fixture
    def reopens(self, engine: EngineUnderTest) -> bool:
        """See `EngineUnderTest`."""
        return engine.reopens

    @pytest.fixture
    def transactional(self, engine: EngineUnderTest) -> bool:
        """See `EngineUnderTest`."""
        return engine.transactional

    @pytest.fixture
    def keys_of_users(self, engine: EngineUnderTest) -> bool:
        """See `EngineUnderTest`."""
        return engine.keys_of_users
