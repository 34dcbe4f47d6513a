"""A call to a service: sent, sent again where that is safe, and answered or raised as an error."""

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from socket import EAI_NONAME, gaierror
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx

from cybertools.tracking.codec import PROBLEM_TYPE, decode, error_from
from cybertools.tracking.errors import (
    InvalidValue,
    NotAllowed,
    SchemaError,
    StorageClosed,
    StorageError,
    StorageUnavailable,
    TrackingError,
)
from cybertools.tracking.remote.address import Address
from cybertools.tracking.remote.patience import Patience, retry_after
from cybertools.tracking.remote.upload import Body
from cybertools.tracking.remote.wire import Wire

__all__ = ["FORM", "JSON", "LINES", "Answer", "Ask", "Broken", "Caller", "TooLarge", "Tries"]

JSON, LINES = "application/json", "application/x-ndjson"
PROBLEM = "application/problem+json"
FORM = "application/x-www-form-urlencoded"

_BUSY = frozenset({408, 429, 502, 503, 504})
"""What a service, or a proxy before it, answers when another try may succeed."""

_NOT_DONE = frozenset({408, 429})
"""Those of them that say that nothing was done."""

_FOR_NOW = {"storage-unavailable", "storage-closed", "overloaded", "too-many-requests", "too-slow"}
"""The problems that another try may not meet. A storage is closed by a service that stops."""


class Ask(NamedTuple):
    """What is asked of a service."""

    method: str
    url: str
    parameters: tuple[tuple[str, str], ...] = ()
    body: Body | None = None
    kind: str = JSON
    """The media type of the body."""
    accept: str = JSON
    is_repeatable: bool = True
    """Asked twice it does no more than once; else it is not asked again after a doubt."""
    is_long: bool = False
    """It may read all of a storage."""
    missing: str = ""
    """The problem that is an answer as well: what was asked for is not there."""


class Answer(NamedTuple):
    """What a service answers."""

    body: bytes
    in_doubt: bool
    """An earlier try may have been done as well: what became of it was not heard."""
    is_missing: bool = False
    """What was asked for is not there."""

    @property
    def json(self) -> Any:
        """The body's value.

        :raises SchemaError: it is no JSON.
        """
        try:
            return decode(self.body)
        except InvalidValue as error:
            raise SchemaError("The service's answer is no JSON.") from error


class Broken(StorageUnavailable):
    """An answer broke off, after its beginning was read."""


class TooLarge(InvalidValue):
    """A body is larger than the service takes."""


class _Missing(Exception):
    """What was asked for is not there."""

    def __init__(self, in_doubt: bool) -> None:
        super().__init__()
        self.in_doubt = in_doubt


class _Failure(NamedTuple):
    """Why a try has failed."""

    error: TrackingError
    again: bool
    """Another try may succeed."""
    is_doubtful: bool
    """It is not known whether it was done."""
    wait: float | None = None
    """The seconds that the service asks to wait."""
    name: str = ""
    """Of the problem, if the service has told one."""


class Caller:
    """Calls one service over a wire."""

    def __init__(self, wire: Wire, address: Address, patience: Patience) -> None:
        self.wire, self.address, self.patience = wire, address, patience
        self.is_closed = False
        self._limits = {
            is_long: {
                "connect": patience.connect,
                "read": patience.work if is_long else patience.read,
                "write": patience.write,
                "pool": patience.pool,
            }
            for is_long in (False, True)
        }
        self._host = httpx.URL(address.url).netloc.decode("ascii")
        self._headers = {"user-agent": f"cybertools-tracking/{version('cybertools-tracking')}"}
        if address.token is not None:
            self._headers["authorization"] = f"Bearer {address.token}"

    def close(self) -> None:
        """Close the connections. Closing twice is no error."""
        self.is_closed = True
        self.wire.close()

    def check_open(self) -> None:
        """Refuse to go on where it was closed.

        :raises StorageClosed: it was.
        """
        if self.is_closed:
            raise StorageClosed("The storage is closed.")

    def answer(self, ask: Ask, is_first: bool = False) -> Answer:
        """The answer to a request, as a whole.

        :param is_first: nothing has been heard of the service yet: where there is none, it is
            not waited for.
        :raises TrackingError: what the service has answered with.
        :raises StorageUnavailable: it is out of reach or busy, also after all tries.
        """
        try:
            response, in_doubt = self._tried(ask, is_first, stream=False)
        except _Missing as missing:
            return Answer(b"", missing.in_doubt, is_missing=True)
        if response.content:
            self._check_kind(response, ask)
        return Answer(response.content, in_doubt)

    @contextmanager
    def parts(self, ask: Ask) -> Iterator[Iterator[bytes]]:
        """The answer to a request, part by part.

        :raises Broken: (while it is read) it broke off.
        :raises TrackingError: as `answer`.
        """
        response, _ = self._tried(ask, is_first=False, stream=True)
        try:
            self._check_kind(response, ask)
            yield self.wire.parts(response)
        except httpx.TransportError as error:
            raise Broken(self._unsent(ask, error).error.args[0]) from error
        except RuntimeError:  # httpx's, where another thread has closed it meanwhile
            self.check_open()
            raise
        finally:
            self.wire.release(response)

    # Tries

    def _tried(self, ask: Ask, is_first: bool, stream: bool) -> tuple[httpx.Response, bool]:
        """An answer that was begun, and whether earlier tries are in doubt."""
        tries = Tries(self)
        in_doubt = False
        while True:
            tried = self._try(ask, is_first, stream)
            if isinstance(tried, httpx.Response):
                return tried, in_doubt
            if ask.missing and tried.name == ask.missing:
                raise _Missing(in_doubt)
            if not tried.again:
                raise tried.error
            in_doubt = in_doubt or tried.is_doubtful
            if in_doubt and not ask.is_repeatable:
                raise StorageUnavailable(
                    f"{tried.error} It is not known whether it was done; it was not tried again,"
                    " since then it may be done twice."
                ) from tried.error
            tries.wait(tried.error, tried.wait)

    def _try(self, ask: Ask, is_first: bool, stream: bool) -> "httpx.Response | _Failure":
        self.check_open()
        try:
            response = self.wire.send(self._request(ask), stream)
            return response if response.status_code < 300 else self._refused(ask, response)
        except httpx.RequestError as error:
            failure = self._unsent(ask, error)
            failure.error.__cause__ = error
            if is_first and isinstance(error, httpx.ConnectError):
                return failure._replace(again=False)
            return failure
        except RuntimeError:  # httpx's, where another thread has closed it meanwhile
            self.check_open()
            raise

    def _request(self, ask: Ask) -> httpx.Request:
        headers = {**self._headers, "accept": ask.accept}
        content: Any = {}
        if ask.body is not None:
            headers["content-type"] = ask.kind
            headers["content-length"] = str(ask.body.size)
            if ask.body.is_packed:
                headers["content-encoding"] = "zstd"
            carried = ask.body.content
            if isinstance(carried, bytes):
                content = {"content": carried}
            else:  # to which httpx adds no headers
                content = {"stream": carried}
                headers["host"] = self._host
        url = f"{ask.url}?{urlencode(ask.parameters)}" if ask.parameters else ask.url
        extensions = {"timeout": self._limits[ask.is_long]}
        return httpx.Request(ask.method, url, headers=headers, extensions=extensions, **content)

    def _check_kind(self, response: httpx.Response, ask: Ask) -> None:
        kind = _kind_of(response)
        if kind != ask.accept:
            self.wire.release(response)
            raise self._stranger(ask, response)

    # Failures

    def _refused(self, ask: Ask, response: httpx.Response) -> _Failure:
        """What an answer that is none means."""
        status = response.status_code
        try:
            body = self.wire.read(response)
        finally:
            self.wire.release(response)
        wait = retry_after(response.headers.get("retry-after"))
        problem = _problem(body) if _kind_of(response) == PROBLEM else None
        if problem is not None:
            name = problem["type"].removeprefix(PROBLEM_TYPE)
            error = error_from(problem)
            if name == "not-found":
                error = SchemaError(f"{ask.url}: {error} Is it the address of the service?")
            elif name == "unauthorized" and self.address.token is None:
                error = NotAllowed(f"{error} It is taken from TRACKS_TOKEN, or from the URL.")
            elif name == "too-large":
                error = TooLarge(*error.args)
            elif isinstance(error, StorageClosed):
                error = StorageUnavailable(f"{self.address.url} is about to stop.")
            # With a time to come again it says that nothing was done.
            return _Failure(error, name in _FOR_NOW, wait is None, wait, name)
        if status in _BUSY:
            unavailable = StorageUnavailable(f"{ask.url} answered {status}.")
            return _Failure(unavailable, True, status not in _NOT_DONE, wait)
        return _Failure(self._stranger(ask, response), again=False, is_doubtful=True)

    def _stranger(self, ask: Ask, response: httpx.Response) -> TrackingError:
        """The error of an answer that no service gives."""
        status, kind = response.status_code, _kind_of(response)
        if response.is_redirect:
            where = response.headers.get("location", "elsewhere")
            return StorageError(f"{ask.url} redirects to {where}: use the URL there.")
        if status in (401, 403, 407):
            return NotAllowed(f"{ask.url} answered {status}: a proxy does not let it through.")
        if status == 413:
            return TooLarge(f"{ask.url} answered 413: a proxy lets no body of that size through.")
        return SchemaError(
            f"{self.address.url} is no tracks service: {ask.method} {ask.url} was answered with"
            f" {status} ({kind or 'of no kind'}), not with {ask.accept}."
        )

    def _unsent(self, ask: Ask, error: httpx.RequestError) -> _Failure:
        """What it means that there is no answer."""
        patience, where = self.patience, f"{ask.method} {ask.url}"
        if isinstance(error, httpx.ConnectTimeout):
            text = f"{self.address.url} was not connected to within {patience.connect:g} s"
            return _Failure(StorageUnavailable(f"{text} (connect time-out)."), True, False)
        if isinstance(error, httpx.PoolTimeout):
            text = (
                f"{where}: all {patience.connections} connections were in use for"
                f" {patience.pool:g} s (pool time-out)."
            )
            return _Failure(StorageUnavailable(text), True, False)
        if isinstance(error, httpx.ReadTimeout):
            seconds = patience.work if ask.is_long else patience.read
            text = f"{where}: no answer within {seconds:g} s (read time-out)."
            return _Failure(StorageUnavailable(text), not ask.is_long, True)
        if isinstance(error, httpx.WriteTimeout):
            text = f"{where}: the request was not taken within {patience.write:g} s"
            return _Failure(StorageUnavailable(f"{text} (write time-out)."), True, True)
        if isinstance(error, httpx.ConnectError | httpx.ProxyError):
            return self._unconnected(error)
        reason = str(error).rstrip(".") or type(error).__name__
        if isinstance(error, httpx.LocalProtocolError):
            return _Failure(StorageError(f"{where}: {reason}."), again=False, is_doubtful=False)
        return _Failure(StorageUnavailable(f"{where}: the connection broke: {reason}."), True, True)

    def _unconnected(self, error: httpx.TransportError) -> _Failure:
        where, reason = self.address.url, str(error).rstrip(".") or type(error).__name__
        for cause in _causes(error):
            if isinstance(cause, ssl.SSLError):
                text = f"{where} cannot be trusted or has no TLS: {reason}."
                return _Failure(StorageError(text), again=False, is_doubtful=False)
            if isinstance(cause, gaierror) and cause.errno == EAI_NONAME:
                text = f"{where} cannot be reached: there is no host of that name."
                return _Failure(StorageUnavailable(text), again=False, is_doubtful=False)
        text = f"{where} cannot be reached: {reason}."
        return _Failure(StorageUnavailable(text), again=True, is_doubtful=False)


class Tries:
    """The tries of one call, and the pauses between them."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._began = time.monotonic()
        self._count = 0

    def wait(self, error: TrackingError, asked: float | None = None) -> None:
        """Wait before another try, after one that has failed.

        :param asked: the seconds that the service has asked for.
        :raises StorageUnavailable: it would take longer than a call may.
        """
        self._count += 1
        patience = self._caller.patience
        pause = max(asked or 0.0, patience.before(self._count))
        took = time.monotonic() - self._began
        if took + pause > patience.total:
            more = f" It asks to come again in {asked:g} s." if asked else ""
            times = "once" if self._count == 1 else f"{self._count} times in {took:.1f} s"
            raise StorageUnavailable(f"{error}{more} It was tried {times}.") from error
        self._caller.wire.sleep(pause)


def _kind_of(response: httpx.Response) -> str:
    kind: str = response.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower()


def _problem(body: bytes) -> dict[str, Any] | None:
    """The problem that a body is, if it is one of a service's."""
    try:
        value = decode(body)
    except InvalidValue:
        return None
    if isinstance(value, dict) and str(value.get("type", "")).startswith(PROBLEM_TYPE):
        return value
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
