"""How requests become tracks, the same for all frameworks."""

import os
import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from typing import Any, Generic, NamedTuple, TypeVar

from cybertools.tracking.interfaces import Storage
from cybertools.tracking.middleware.recorder import Recorder
from cybertools.tracking.transfer.visitors import visitor_names

__all__ = ["Requests", "Seen"]

R = TypeVar("R")


class Seen(NamedTuple):
    """What a middleware has seen of a request and its answer."""

    method: str
    path: str
    status: int
    started: float
    """Seconds since 1970."""
    duration: float
    """Seconds until the answer was there."""
    address: str
    """Of the client, as the server sees it. Not stored."""
    agent: str
    """The name of the client's browser. Not stored."""


class Requests(Generic[R]):
    """What is recorded of requests.

    A request is a track of the task that its path names, without the query. Its data are the
    ``method``, the ``status`` and the ``duration`` in seconds.

    Each of the functions is given the request, in the form that the framework has for it, after
    the answer was made. One that raises costs that track, never the request.

    :param storage: a recorder, or what a `Recorder` takes.
    :param task: the task id of a request; None is the path.
    :param user: the user's name; None is a salted hash of address and browser: the same user
        has the same name, and nobody can tell the address from it.
    :param run: the label of the run, say of a session; None is the task's current run.
    :param data: more data of a request.
    :param exclude: patterns of paths that are not recorded: ``/static/*``.
    :param salt: a secret text for the hashes; without one that in ``TRACKS_SALT``, or one that
        is kept in the configuration folder of the server's user. Servers on several machines
        need the same one.
    :raises TrackingError: there is no engine for that URL, or the salt cannot be kept.
    """

    def __init__(
        self,
        storage: Recorder | Storage | str,
        *,
        task: Callable[[R], str | None] | None = None,
        user: Callable[[R], str | None] | None = None,
        run: Callable[[R], str | None] | None = None,
        data: Callable[[R], dict[str, Any]] | None = None,
        exclude: Iterable[str] = (),
        salt: str | None = None,
    ) -> None:
        self._name = visitor_names(salt or os.environ.get("TRACKS_SALT") or None)
        patterns = [exclude] if isinstance(exclude, str) else list(exclude)
        self._excluded = re.compile("|".join(map(translate, patterns)) or r"(?!)").match
        self._task, self._user, self._run, self._data = task, user, run, data
        self.recorder = storage if isinstance(storage, Recorder) else Recorder(storage)

    def wants(self, path: str) -> bool:
        """Whether requests to that path are recorded."""
        return not self._excluded(path)

    def hidden(self, session: str) -> str:
        """A label for the run of a session, from which nobody can tell the session's key."""
        return self._name("", session).replace("visitor", "session", 1)

    def record(self, request: R, seen: Seen) -> None:
        """Record a request. Raises nothing, whatever comes."""
        try:
            user = self._user(request) if self._user else None
            data: dict[str, Any] = {
                "method": seen.method,
                "status": seen.status,
                "duration": round(seen.duration, 6),
            }
            if self._data:
                data |= self._data(request)
            track = {
                "taskId": (self._task(request) if self._task else None) or seen.path or "/",
                "userName": user or self._name(seen.address, seen.agent),
                "timeStamp": seen.started,
                "data": data,
            }
            label = self._run(request) if self._run else None
        except Exception as error:  # noqa: BLE001 - the application's functions may raise anything
            self.recorder.reject(repr(error))
        else:
            self.recorder.record(track, label or None)
