"""The contract from far away: storages of a service, for threads and for async programs.

`cybertools.tracking.open_storage` opens them by their URL. What it has no argument for is here:
how long a call waits (`Patience`), and the same contract as coroutines (`AsyncStorage`).
"""

from cybertools.tracking.remote.asynchronous import AsyncStorage
from cybertools.tracking.remote.opening import open_service
from cybertools.tracking.remote.patience import Patience

__all__ = ["AsyncStorage", "Patience", "open_service"]
