"""The engines as contenders: any URL that `open_storage` knows."""

from bench.contenders import Data, JsonTrack
from cybertools.tracking import open_storage
from cybertools.tracking.interfaces import Info
from cybertools.tracking.values import track_id

__all__ = ["StorageContender"]


class StorageContender:
    """A storage, used by its public methods."""

    def __init__(self, url: str) -> None:
        self.storage = open_storage(url)

    def prepare(self, tracks: list[JsonTrack]) -> list[JsonTrack]:
        return tracks

    def save_all(self, prepared: list[JsonTrack]) -> None:
        self.storage.saveUserTracks(prepared)

    def save(self, taskId: str, userName: str, data: Data) -> None:
        self.storage.saveUserTrack(taskId, 0, userName, data)

    def last(self, taskId: str, runId: int, userName: str) -> Data | None:
        track = self.storage.getLastUserTrack(taskId, runId, userName)
        return None if track is None else track.data

    def within(self, timeFrom: float, timeTo: float, limit: int) -> list[Data]:
        found = self.storage.query(timeFrom=timeFrom, timeTo=timeTo, limit=limit)
        return [track.data for track in found]

    def page(self, taskId: str, after: int, limit: int) -> list[Data]:
        first = track_id(after) if after else None
        found = self.storage.query(taskId=taskId, after=first, limit=limit)
        return [track.data for track in found]

    def newest(self, taskId: str, limit: int) -> list[Data]:
        found = self.storage.query(taskId=taskId, order="-timeStamp", limit=limit)
        return [track.data for track in found]

    def count(self, taskId: str) -> int:
        return self.storage.countTracks(taskId=taskId)

    def user_names(self, taskId: str) -> list[str]:
        return self.storage.getUserNames(taskId)

    def task_ids(self) -> list[str]:
        return self.storage.getTaskIds()

    def info(self) -> Info:
        """What there is, and the bytes of each table and index."""
        return self.storage.info()

    def bytes(self) -> int:
        """Bytes of the whole database."""
        return self.storage.info().bytes or 0

    def close(self) -> None:
        self.storage.close()
