"""What the service tells Prometheus."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from cybertools.tracking.interfaces import Saved
from cybertools.tracking.service.requests import Memory
from cybertools.tracking.service.storages import Collection
from cybertools.tracking.service.writing import Answer

__all__ = ["Metrics"]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
TRACKS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)

M = TypeVar("M", Counter, Histogram)


class Metrics:
    """Figures of one service. They name routes and storages, never users or tasks.

    Requests are counted in the event loop alone, and by plain numbers: the library's counters take
    a lock for each.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._requests: dict[tuple[str, str, int], int] = {}
        self._seconds: dict[tuple[str, str], _Durations] = {}
        self._saved = Counter(
            "tracks_saves",
            "Tracks by what became of them.",
            ["storage", "outcome"],
            registry=registry,
        )
        self._commits = Histogram(
            "tracks_commit_tracks",
            "Tracks that were stored in one transaction.",
            ["storage"],
            buckets=TRACKS,
            registry=registry,
        )
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        # A label's child is found by its values each time; these are few, and asked for often.
        self._outcomes: dict[tuple[object, ...], Counter] = {}
        self._sizes: dict[tuple[object, ...], Histogram] = {}

    def watch(self, opened: Callable[[], Mapping[str, Collection]], memory: Memory) -> None:
        """Tell what is going on in storages, and in the memory for bodies."""
        self._registry.register(_Present(opened, memory))
        self._registry.register(_Answered(self._requests, self._seconds))

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        request = (method, route, status)
        self._requests[request] = self._requests.get(request, 0) + 1
        durations = self._seconds.get((method, route))
        if durations is None:
            durations = self._seconds[method, route] = _Durations()
        durations.counts[bisect_left(SECONDS, seconds)] += 1
        durations.total += seconds

    def committed(self, storage: str, answers: list[Answer]) -> None:
        """Count what became of the tracks of a commit."""
        outcomes: dict[str, int] = {}
        total = 0
        for answer in answers:
            for saved in answer if isinstance(answer, list) else [answer]:
                outcome: str = saved.outcome if isinstance(saved, Saved) else "rejected"
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
                total += 1
        for outcome, number in outcomes.items():
            _child(self._outcomes, self._saved, storage, outcome).inc(number)
        _child(self._sizes, self._commits, storage).observe(total)

    def text(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return generate_latest(self._registry)


def _child(known: dict[tuple[object, ...], M], metric: M, *labels: object) -> M:
    child = known.get(labels)
    if child is None:
        child = known[labels] = metric.labels(*labels)
    return child


class _Present(Collector):
    """What is going on at the moment when somebody asks."""

    def __init__(self, opened: Callable[[], Mapping[str, Collection]], memory: Memory) -> None:
        self._opened, self._memory = opened, memory

    def collect(self) -> Iterator[Metric]:
        """See `Collector.collect`."""
        names = {
            "tracks_waiting": "Tracks that wait to be stored.",
            "tracks_watchers": "Clients that watch.",
            "tracks_streams": "Queries that are sent as lines.",
        }
        families = [GaugeMetricFamily(n, text, labels=["storage"]) for n, text in names.items()]
        for name, collection in self._opened().items():
            figures = (collection.writer.waiting, len(collection.feed), collection.streams)
            for family, figure in zip(families, figures, strict=True):
                family.add_metric([name], figure)
        yield from families
        yield GaugeMetricFamily(
            "tracks_body_bytes", "Bytes that bodies take.", value=self._memory.taken
        )


class _Durations:
    """How long requests took."""

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        """Up to each of `SECONDS`, above the one before; then the longer ones."""
        self.total = 0.0


class _Answered(Collector):
    """The requests that have been answered."""

    def __init__(
        self,
        requests: Mapping[tuple[str, str, int], int],
        seconds: Mapping[tuple[str, str], _Durations],
    ) -> None:
        self._requests, self._seconds = requests, seconds

    def collect(self) -> Iterator[Metric]:
        """See `Collector.collect`."""
        requests = CounterMetricFamily(
            "tracks_requests", "Requests.", labels=["method", "route", "status"]
        )
        for (method, route, status), number in self._requests.items():
            requests.add_metric([method, route, str(status)], number)
        yield requests
        seconds = HistogramMetricFamily(
            "tracks_request_seconds",
            "From a request's arrival to the end of its answer.",
            labels=["method", "route"],
        )
        for labels, durations in self._seconds.items():
            names = [*map(floatToGoString, SECONDS), "+Inf"]
            buckets = [*zip(names, accumulate(durations.counts), strict=True)]
            seconds.add_metric(labels, buckets, durations.total)
        yield seconds
