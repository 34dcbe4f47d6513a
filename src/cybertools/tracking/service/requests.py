"""Requests: their parameters, who sends them, and their bodies within bounds."""

import asyncio
import base64
import binascii
import threading
import zlib
from collections.abc import Callable
from typing import Any, Final, TypeAlias
from urllib.parse import unquote_to_bytes

import zstandard
from starlette.types import Receive
from starlette.types import Scope as Request

from cybertools.tracking.codec import Pairs, decode
from cybertools.tracking.errors import (
    InvalidType,
    InvalidValue,
    TrackingError,
    UnknownCriterion,
)
from cybertools.tracking.service.gate import Principal
from cybertools.tracking.service.problems import Bad, TooSlow
from cybertools.tracking.service.settings import Settings
from cybertools.tracking.service.storages import Collection
from cybertools.tracking.service.writing import Overloaded
from cybertools.tracking.values import kind_of, shown

__all__ = ["IS_WHOLE", "LARGE", "Call", "Gone", "Memory", "parsed_json"]

IS_WHOLE = "tracks.is_whole"
"""What a server sets in the scope of a request when all of its body is there."""

MOST_PAIRS = 100_000
"""Parameters of one request."""


class Gone(Exception):
    """Who has sent the request is not there any more."""


class Memory:
    """The bytes that the bodies of all requests may take at the same time."""

    def __init__(self, most: int) -> None:
        self.most: Final = most
        self.taken = 0
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Take some.

        :raises Overloaded: there are not enough.
        """
        with self._lock:
            if self.taken + count > self.most:
                raise Overloaded("The bodies of other requests take all the memory that there is.")
            self.taken += count

    def give(self, count: int) -> None:
        """Give some back."""
        with self._lock:
            self.taken -= count


class Call:
    """A request, as the handlers see it."""

    __slots__ = (
        "_memory",
        "_receive",
        "_settings",
        "collection",
        "headers",
        "parts",
        "principal",
        "request",
        "taken",
    )

    def __init__(
        self, request: Request, receive: Receive, settings: Settings, memory: Memory
    ) -> None:
        self.request = request
        self.headers: dict[bytes, bytes] = dict(request["headers"])
        self.parts: dict[str, Any] = request["path_params"]
        """Parts of the path, by the names that the route has for them."""
        self.principal: Principal
        self.collection: Collection
        """The storage that the path names, if it names one."""
        self.taken = 0
        self._receive, self._settings, self._memory = receive, settings, memory

    # Who

    @property
    def client(self) -> str:
        """The address that it comes from."""
        client = self.request.get("client")
        return client[0] if client else ""

    @property
    def origin(self) -> str | None:
        """The web page that it comes from, as a browser tells."""
        origin = self.headers.get(b"origin")
        return None if origin is None else origin.decode("latin-1")

    @property
    def credential(self) -> str | None:
        """The token: that of Bearer, or the user name of Basic."""
        kind, _, value = self.headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() == b"bearer":
            return value.strip().decode("latin-1")
        if kind.lower() == b"basic":
            try:
                return base64.b64decode(value).partition(b":")[0].decode()
            except (binascii.Error, UnicodeDecodeError):
                return ""
        return None

    # Parameters

    @property
    def pairs(self) -> Pairs:
        """The parameters of the URL."""
        query = self.request["query_string"]
        return parsed_pairs(query) if query else []

    def parameters(self, *known: str) -> dict[str, str]:
        """The parameters of the URL, of which there may be these, once.

        :raises UnknownCriterion: there is another one.
        """
        found: dict[str, str] = {}
        for name, value in self.pairs:
            if name not in known:
                there = f"There are: {', '.join(known)}." if known else "There is none."
                raise UnknownCriterion(f"There is no parameter {shown(name)}. {there}")
            if name in found:
                raise InvalidValue(f"{name} must be given once.")
            found[name] = value
        return found

    def wants(self, kind: bytes) -> bool:
        """Whether it asks for an answer of that kind, other than the usual one."""
        return kind in self.headers.get(b"accept", b"")

    # The body

    @property
    def kind(self) -> bytes:
        """The media type of the body."""
        return self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()

    async def json(self, *names: str) -> dict[str, Any]:
        """The body, a JSON object that may have these names; no body is an empty one."""
        value = await self.value()
        if type(value) is not dict:
            raise InvalidType(f"The body must be an object, not {kind_of(value)}.")
        for name in value:
            if name not in names:
                raise InvalidType(f"The body has no {shown(name)}; there are: {', '.join(names)}.")
        return value

    async def value(self) -> Any:
        """The body, any JSON value; no body is an empty object."""
        if self.kind not in (b"", b"application/json"):
            raise Bad("unsupported-media-type", "The body must be application/json.")
        body = await self.body()
        return parsed_json(body) if body else {}

    async def form(self) -> Pairs:
        """The body, parameters as a URL has them."""
        if self.kind != b"application/x-www-form-urlencoded":
            raise Bad(
                "unsupported-media-type", "The body must be application/x-www-form-urlencoded."
            )
        return parsed_pairs(await self.body())

    async def body(self) -> bytes:
        """The body, decompressed.

        :raises Bad: it is too large, or compressed in a way that is not known.
        :raises Overloaded: there is no room for it at this moment.
        :raises TooSlow: it has not come in time.
        """
        most = self._settings.body_bytes
        if int(self.headers.get(b"content-length", b"0")) > most:
            raise _too_large("The body", most)
        coding = self.headers.get(b"content-encoding", b"identity").strip().lower()
        if coding not in _DECODERS:
            raise Bad(
                "unsupported-media-type",
                f"Content-Encoding must be gzip or zstd, not {shown(coding.decode('latin-1'))}.",
            )
        body = await self._received(most)
        if coding == b"identity":
            return body
        arguments = (body, self._settings.decoded_bytes, self._take)
        if len(body) < LARGE:
            return _DECODERS[coding](*arguments)
        return await asyncio.to_thread(_DECODERS[coding], *arguments)

    async def _received(self, most: int) -> bytes:
        if self.request.get(IS_WHOLE):  # as small ones are: no timer is needed
            return await self._joined(most, lambda _size: None)
        seconds, rate = self._settings.body_seconds, self._settings.body_rate
        end = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(end) as limit:
                return await self._joined(most, lambda size: limit.reschedule(end + size / rate))
        except TimeoutError:
            raise TooSlow(
                f"The body has not come in time: it may take {seconds:g} s, and a second more for"
                f" each {rate:,} bytes that have come."
            ) from None

    async def _joined(self, most: int, go_on: Callable[[int], None]) -> bytes:
        """The parts of the body as one.

        :param go_on: is told how many bytes have come, as long as there are more.
        """
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Gone
            part = message.get("body", b"")
            size += len(part)
            if size > most:
                raise _too_large("The body", most)
            self._take(len(part))
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)
            go_on(size)

    def _take(self, count: int) -> None:
        self._memory.take(count)
        self.taken += count

    def done(self) -> None:
        """Give back the memory that the body has taken."""
        if self.taken:
            self._memory.give(self.taken)
            self.taken = 0


def parsed_pairs(text: bytes) -> Pairs:
    """Parameters as a URL or a form has them."""
    try:
        parts = text.decode("ascii").replace("+", " ").split("&")
        if len(parts) > MOST_PAIRS:
            raise ValueError(f"more than {MOST_PAIRS} parameters")
        pairs: Pairs = []
        for part in parts:
            if part:
                name, _, value = part.partition("=")
                pairs.append((_unquoted(name), _unquoted(value)) if "%" in part else (name, value))
        return pairs
    except ValueError:
        raise Bad("malformed", "The parameters are no UTF-8, encoded as in a URL.") from None


def _unquoted(text: str) -> str:
    return unquote_to_bytes(text).decode() if "%" in text else text


def parsed_json(body: bytes) -> Any:
    """The value of a body of JSON."""
    try:
        return decode(body)
    except InvalidValue as error:
        raise Bad("malformed", str(error)) from None


def _too_large(what: str, most: int) -> TrackingError:
    return Bad("too-large", f"{what} must have at most {most:,} bytes; send it in parts.")


# Compression

_Take: TypeAlias = Callable[[int], None]

PIECE = 1 << 18
"""Bytes that are decompressed at a time: so much too many is seen soon."""

ZSTD_PIECE = 1 << 10
"""Bytes of zstd that are decompressed at a time: they may become 32 MiB, at the worst."""

LARGE = 1 << 16
"""Bytes of a body from which on it is worth a thread to work on it."""


def _gunzipped(body: bytes, most: int, take: _Take) -> bytes:
    pieces: list[bytes] = []
    left = most
    try:
        while body:
            unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
            while not unpacker.eof:
                piece = unpacker.decompress(body, PIECE)
                body = unpacker.unconsumed_tail
                if not piece and not body and not unpacker.eof:
                    raise Bad("malformed", "The body is gzip that ends too early.")
                left = _checked(left - len(piece), most)
                take(len(piece))
                pieces.append(piece)
            body = unpacker.unused_data
    except zlib.error as error:
        raise Bad("malformed", f"The body is no gzip: {error}.") from None
    return b"".join(pieces)


def _unzstandard(body: bytes, most: int, take: _Take) -> bytes:
    pieces: list[bytes] = []
    left = most
    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    frame = unpacker.decompressobj()
    try:
        for start in range(0, len(body), ZSTD_PIECE):
            part = body[start : start + ZSTD_PIECE]
            while part:
                if frame.eof:
                    frame = unpacker.decompressobj()
                piece = frame.decompress(part)
                part = frame.unused_data
                left = _checked(left - len(piece), most)
                take(len(piece))
                pieces.append(piece)
    except zstandard.ZstdError as error:
        raise Bad("malformed", f"The body is no zstd: {error}.") from None
    if not frame.eof:
        raise Bad("malformed", "The body is zstd that ends too early.")
    return b"".join(pieces)


def _checked(left: int, most: int) -> int:
    if left < 0:
        raise _too_large("The body, decompressed,", most)
    return left


_DECODERS: dict[bytes, Callable[[bytes, int, _Take], bytes]] = {
    b"identity": lambda body, _most, _take: body,
    b"gzip": _gunzipped,
    b"x-gzip": _gunzipped,
    b"zstd": _unzstandard,
}
