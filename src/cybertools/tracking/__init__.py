"""Record what users do: in which task, in which run, when, with what data. Ask about it fast."""

from cybertools.tracking.errors import TrackingError
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.opening import open_storage
from cybertools.tracking.track import Run, Track

__all__ = ["Run", "Storage", "Track", "TrackingError", "open_storage"]
