"""What the service tells Prometheus."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TypeAlias

from prometheus_client import CollectorRegistry, generate_latest
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

Labels: TypeAlias = tuple[str | int, ...]


class Metrics:
    """Figures of one service. They name routes and storages, never users or tasks.

    They are counted in the event loop alone, and by plain numbers: the library's counters take
    a lock for each.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counted = _Counted()
        self._registry.register(self._counted)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def watch(self, opened: Callable[[], Mapping[str, Collection]], memory: Memory) -> None:
        """Tell what is going on in storages, and in the memory for bodies."""
        self._registry.register(_Present(opened, memory))

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        counted = self._counted
        request = (method, route, status)
        counted.requests[request] = counted.requests.get(request, 0) + 1
        durations = counted.seconds.get((method, route))
        if durations is None:
            durations = counted.seconds[method, route] = _Spread(SECONDS)
        durations.add(seconds)

    def committed(self, storage: str, answers: list[Answer]) -> None:
        """Count what became of the tracks of a commit."""
        saves = self._counted.saves
        total = 0
        for answer in answers:
            for saved in answer if isinstance(answer, list) else [answer]:
                outcome = (storage, saved.outcome if isinstance(saved, Saved) else "rejected")
                saves[outcome] = saves.get(outcome, 0) + 1
                total += 1
        sizes = self._counted.sizes.get((storage,))
        if sizes is None:
            sizes = self._counted.sizes[(storage,)] = _Spread(TRACKS)
        sizes.add(total)

    def text(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return generate_latest(self._registry)


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


class _Spread:
    """How figures are spread over ranges."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """Up to each of the bounds, above the one before; then the larger ones."""
        self.total = 0.0

    def add(self, figure: float) -> None:
        """Count a figure."""
        self.counts[bisect_left(self.bounds, figure)] += 1
        self.total += figure

    def buckets(self) -> list[tuple[str, float]]:
        """How many there are up to each bound, as Prometheus has it."""
        names = [*map(floatToGoString, self.bounds), "+Inf"]
        return [*zip(names, accumulate(self.counts), strict=True)]


class _Counted(Collector):
    """What has been done since the service started, each by its labels."""

    def __init__(self) -> None:
        self.requests: dict[Labels, int] = {}
        self.seconds: dict[Labels, _Spread] = {}
        self.saves: dict[Labels, int] = {}
        self.sizes: dict[Labels, _Spread] = {}

    def collect(self) -> Iterator[Metric]:
        """See `Collector.collect`."""
        yield _counter("tracks_requests", "Requests.", "method route status", self.requests)
        yield _histogram(
            "tracks_request_seconds",
            "From a request's arrival to the end of its answer.",
            "method route",
            self.seconds,
        )
        yield _counter(
            "tracks_saves", "Tracks by what became of them.", "storage outcome", self.saves
        )
        yield _histogram(
            "tracks_commit_tracks",
            "Tracks that were stored in one transaction.",
            "storage",
            self.sizes,
        )


def _counter(
    name: str, text: str, labels: str, numbers: Mapping[Labels, int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels.split())
    for values, number in numbers.items():
        family.add_metric([*map(str, values)], number)
    return family


def _histogram(
    name: str, text: str, labels: str, spreads: Mapping[Labels, _Spread]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=labels.split())
    for values, spread in spreads.items():
        family.add_metric([*map(str, values)], spread.buckets(), spread.total)
    return family
