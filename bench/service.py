"""The service against an empty handler on the same framework and server, over loopback.

``python -m bench service`` starts both in processes of their own and has them do a little in turn,
so that what disturbs the machine disturbs both. Each rate is the median of its turns.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from statistics import median, quantiles
from typing import cast

import uvloop

from bench.units import figure, time_text
from cybertools.tracking import open_storage

__all__ = [
    "BATCH",
    "CONNECTIONS",
    "TRACKS",
    "Figures",
    "load",
    "measure_service",
    "request",
    "service_table",
    "serving",
]

CONNECTIONS = (8, 64)
BATCH = 100
BULK = 20_000
"""Tracks that are saved in the process at a time, for the engine's own rate."""

TRACKS = "/api/storages/tracks/tracks"

ITEM = {"taskId": "algebra/quiz-01", "userName": "ann", "data": {"verb": "answered", "score": 80}}

GOALS = {"save": 0.6, "last": 0.7, "batch": 0.5}
"""Of the baseline's rate."""


@dataclass(frozen=True)
class Work:
    """One kind of request."""

    name: str
    title: str
    server: str
    request: bytes
    tracks: int = 1
    """Tracks that one request is about."""


@dataclass
class Figures:
    """What was measured of one kind of work with so many connections."""

    work: Work
    connections: int
    rates: list[float] = field(default_factory=list)
    """Requests a second, of each turn."""
    seconds: list[float] = field(default_factory=list)
    """How long each request took."""

    @property
    def rate(self) -> float:
        """Tracks a second."""
        return median(self.rates) * self.work.tracks

    def percentile(self, percent: int) -> float:
        """Seconds in which that many percent of the requests were answered."""
        return quantiles(self.seconds, n=100, method="inclusive")[percent - 1]


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


WORKS = (
    Work("empty", "empty handler", "empty", request("POST", "/", json.dumps(ITEM).encode())),
    Work("save", "save of one track", "tracks", request("POST", TRACKS, json.dumps(ITEM).encode())),
    Work(
        "last",
        "last track",
        "tracks",
        request("GET", f"{TRACKS}/last?taskId=algebra%2Fquiz-01&userName=ann"),
    ),
    Work(
        "batch",
        f"save of {BATCH} tracks",
        "tracks",
        request("POST", TRACKS, json.dumps([ITEM] * BATCH).encode()),
        BATCH,
    ),
)


def measure_service(
    url: str, turns: int, seconds: float, tell: Callable[[str], object]
) -> tuple[list[Figures], float]:
    """Measure all kinds of work; and the tracks a second that the engine saves in the process."""
    figures = [Figures(work, count) for count in CONNECTIONS for work in WORKS]
    bulk: list[float] = []
    with ExitStack() as stack:
        ports = {name: stack.enter_context(serving(name, url)) for name in ("empty", "tracks")}
        storage = stack.enter_context(open_storage(url, "bulk"))
        for turn in range(turns + 1):
            for each in figures:
                tell(f"{each.work.title}, {each.connections} connections: turn {turn} of {turns}")
                texts = repeat(each.work.request)
                port = ports[each.work.server]
                taken = uvloop.run(load(port, texts, each.connections, seconds))
                if turn:  # the first warms up
                    each.rates.append(len(taken) / seconds)
                    each.seconds += taken
            start = time.perf_counter()
            storage.saveUserTracks([ITEM] * BULK)
            if turn:
                bulk.append(BULK / (time.perf_counter() - start))
    return figures, median(bulk)


def service_table(figures: Sequence[Figures], bulk: float) -> Iterator[str]:
    """The figures as lines of Markdown."""
    yield "| connections | | requests/s | p50 | p99 | ratio | goal |"
    yield "|---:|---|---:|---:|---:|---:|---:|"
    baselines = {each.connections: each.rate for each in figures if each.work.name == "empty"}
    for each in figures:
        baseline = bulk if each.work.tracks > 1 else baselines[each.connections]
        goal = GOALS.get(each.work.name)
        ratio = "" if goal is None else f"{each.rate / baseline:.2f}"
        yield (
            f"| {each.connections} | {each.work.title} | {figure(median(each.rates))}"
            f" | {time_text(each.percentile(50))} | {time_text(each.percentile(99))}"
            f" | {ratio} | {'' if goal is None else goal} |"
        )
    yield ""
    yield (
        f"In the process the engine saves {figure(bulk)} tracks/s, {BULK:,} at a time: the tracks"
        f" of the saves of {BATCH} are a ratio to that, the others to the empty handler."
    )


# The load


class _Client(asyncio.Protocol):
    """A connection that sends the next request when the last one is answered."""

    def __init__(
        self, texts: Iterator[bytes], taken: list[float], until: float, pause: float
    ) -> None:
        self._texts, self._taken, self._until, self._pause = texts, taken, until, pause
        self._buffer = b""
        self._started = 0.0
        self._loop = asyncio.get_running_loop()
        self.done = self._loop.create_future()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        self._started = time.perf_counter()
        self._transport.write(next(self._texts))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not end or len(body) < int(length):
            return
        now = time.perf_counter()
        if not head.startswith(b"HTTP/1.1 20"):
            self.done.set_exception(RuntimeError(self._buffer[:500].decode()))
        elif now > self._until:
            self.done.set_result(None)
        else:
            self._taken.append(now - self._started)
            self._buffer = b""
            if self._pause:
                self._loop.call_later(self._pause, self._send)
            else:
                self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("The server has gone."))


async def load(
    port: int, texts: Iterator[bytes], connections: int, seconds: float, pause: float = 0.0
) -> list[float]:
    """How long each request took, of so many connections for so long.

    :param texts: the requests that they send, one after the other, without an end.
    :param pause: seconds between an answer and the next request of its connection.
    """
    taken: list[float] = []
    until = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Client(texts, taken, until, pause), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.done for _, client in made))
    for transport, _ in made:
        transport.close()
    return taken


# The servers


@contextmanager
def serving(name: str, url: str) -> Iterator[int]:
    """A server in a process of its own; its port."""
    command = [sys.executable, "-m", "bench.service", name, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


ROOT = Path(__file__).parent.parent


def main(name: str, url: str) -> None:
    """Serve, and print the port."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from cybertools.tracking.service.app import make_app
    from cybertools.tracking.service.gate import OpenGate
    from cybertools.tracking.service.serving import listening, serve
    from cybertools.tracking.service.settings import Settings

    async def empty(request: Request) -> Response:
        await request.body()
        return Response(b'{"outcome":"stored","id":"0000001"}', 201, media_type="application/json")

    with listening("127.0.0.1", 0) as sock:
        print(sock.getsockname()[1], flush=True)
        if name == "tracks":
            serve(make_app(Settings(url), OpenGate()), sock)
            return
        app = Starlette(routes=[Route("/", empty, methods=["POST"])])
        config = uvicorn.Config(
            app, http="httptools", loop="uvloop", ws="none", access_log=False, log_config=None
        )
        uvicorn.Server(config).run([sock])


if __name__ == "__main__":
    main(*sys.argv[1:])
