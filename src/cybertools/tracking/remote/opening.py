"""From the URL of a service to a storage there."""

from cybertools.tracking.interfaces import Storage, attributes_of
from cybertools.tracking.remote.address import address_of
from cybertools.tracking.remote.caller import Caller
from cybertools.tracking.remote.engine import RemoteEngine, names_at
from cybertools.tracking.remote.patience import Patience
from cybertools.tracking.remote.wire import BlockingWire
from cybertools.tracking.track import Track

__all__ = ["open_service", "service_names"]


def open_service(
    url: str,
    name: str = "tracks",
    trackFactory: type[Track] = Track,
    patience: Patience | None = None,
) -> Storage:
    """A storage of the service at that URL; it is made if it is not there and the token may.

    :param url: ``https://host``, ``https://TOKEN@host:8080/path``; without a token in it, that of
        the environment variable ``TRACKS_TOKEN`` is shown.
    :param patience: how long a call waits, and for what.
    :raises InvalidValue: it is no URL of a service.
    :raises NotAllowed: the token is none, or has no right to the storage.
    :raises StorageNotFound: there is no such storage, and the token may not make it.
    :raises SchemaError: there is something else at that URL.
    :raises StorageUnavailable: the service is out of reach.
    """
    attributes = attributes_of(trackFactory)
    engine = RemoteEngine(_caller(url, patience or Patience()), name, attributes)
    try:
        engine.enter()
    except BaseException:
        engine.close()
        raise
    return Storage(engine, name, trackFactory)


def service_names(url: str) -> list[str]:
    """The sorted names of a service's storages that the token may read."""
    caller = _caller(url, Patience())
    try:
        return names_at(caller) or []
    finally:
        caller.close()


def _caller(url: str, patience: Patience) -> Caller:
    address = address_of(url)
    return Caller(BlockingWire(address, patience), address, patience)
