"""What was promised, beside what was measured."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from bench.datasets import GENERATED
from bench.operations import QUERY
from bench.results import Case, Results
from bench.units import bytes_text, time_text, times_text

__all__ = ["TARGETS", "Finding", "Target"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was measured: the value that the bound is for, and where it comes from."""

    value: float
    figures: str


@dataclass(frozen=True, slots=True)
class Target:
    """A promise: a value at most, or at least, that bound."""

    subject: str
    promise: str
    bound: float
    measure: Callable[[Results], Finding | None]
    """None where the run did not measure it."""
    at_least: bool = False
    unit: Callable[[float], str] = times_text

    def is_met(self, finding: Finding) -> bool:
        """Whether the promise was kept."""
        return finding.value >= self.bound if self.at_least else finding.value <= self.bound


Measure = Callable[[Results], Finding | None]


def _times(operation: str, contender: str, baseline: str) -> Measure:
    """How many times as long as the baseline: of all sizes, the worst."""

    def measure(results: Results) -> Finding | None:
        found = []
        for size in results.sizes(GENERATED):
            finding = _times_at(results, operation, contender, baseline, size)
            if finding is not None:
                found.append(finding)
        return max(found, key=lambda finding: finding.value, default=None)

    return measure


def _times_at(
    results: Results, operation: str, contender: str, baseline: str, size: int
) -> Finding | None:
    mine, theirs = Case(GENERATED, size, contender), Case(GENERATED, size, baseline)
    ratio = results.ratio(operation, mine, theirs)
    if ratio is None:
        return None
    texts = [
        time_text(measurement.median)
        for case in (mine, theirs)
        if (measurement := results.measurement(case, operation))
    ]
    return Finding(ratio, f"{texts[0]} against {texts[1]} at {size:,}")


def _as_fast(operation: str, contender: str, baseline: str, at: int | None = None) -> Measure:
    """How many times as fast as the baseline, at the size or (of all sizes) at worst."""

    def measure(results: Results) -> Finding | None:
        if at is None:
            slower = _times(operation, contender, baseline)(results)
        else:
            size = _nearest(results, at)
            slower = _times_at(results, operation, contender, baseline, size) if size else None
        return None if slower is None else Finding(1 / slower.value, slower.figures)

    return measure


def _growth(operation: str, contender: str, start: int, end: int) -> Measure:
    def measure(results: Results) -> Finding | None:
        small, large = _nearest(results, start), _nearest(results, end)
        if not small or large < end / 2:  # less says nothing about the promise
            return None
        cases = [Case(GENERATED, size, contender) for size in (large, small)]
        ratio = results.ratio(operation, *cases)
        found = [results.measurement(case, operation) for case in cases]
        texts = [f"{time_text(m.median)} at {m.case.size:,}" for m in found if m is not None]
        return None if ratio is None else Finding(ratio, " against ".join(texts))

    return measure


def _memory(results: Results) -> Finding | None:
    size = _nearest(results, 1_000_000)
    mine, theirs = (
        results.footprint(Case(GENERATED, size, name)) for name in ("memory", "catalogue")
    )
    if mine is None or theirs is None:
        return None
    texts = [f"{bytes_text(footprint.memory)}" for footprint in (mine, theirs)]
    return Finding(
        mine.memory / theirs.memory, f"{texts[0]} against {texts[1]} a track at {size:,}"
    )


ENOUGH = 5_000
"""Tracks from which on a file's empty pages do not count more than what it holds."""


def _file_bytes(results: Results) -> Finding | None:
    found = []
    for dataset in results.datasets():
        for size in results.sizes(dataset):
            footprint = results.footprint(Case(dataset, size, "sqlite"))
            if footprint is not None and size >= ENOUGH:
                found.append((footprint.file / footprint.columns, footprint))
    if not found:
        return None
    worst, footprint = max(found, key=lambda item: item[0])
    return Finding(
        worst,
        f"{footprint.file:.0f} B a track, {footprint.columns:.0f} B of data columns:"
        f" {footprint.case.dataset}, {footprint.case.size:,}",
    )


def _import_rate(results: Results) -> Finding | None:
    if not results.imports:
        return None
    found = max(results.imports, key=lambda item: item.lines)
    pairs = zip(found.seconds, found.raw_seconds, strict=True)
    rates = [
        f"{found.lines / statistics.median(seconds):,.0f}"
        for seconds in (found.seconds, found.raw_seconds)
    ]
    return Finding(
        statistics.median(raw / mine for mine, raw in pairs),
        f"{rates[0]} lines/s against {rates[1]} rows/s, {found.lines:,} lines",
    )


def _import_peak(results: Results) -> Finding | None:
    if not results.imports:
        return None
    found = max(results.imports, key=lambda item: item.lines)
    return Finding(found.peak, f"{found.lines:,} lines")


def _crowd_rate(results: Results) -> Finding | None:
    if not results.crowds:
        return None
    found = results.crowds[-1]
    pairs = zip(found.rates, found.raw_rates, strict=True)
    rates = [f"{statistics.median(r):,.0f}" for r in (found.rates, found.raw_rates)]
    return Finding(
        statistics.median(mine / raw for mine, raw in pairs),
        f"{rates[0]} against {rates[1]} saves/s of {found.processes} processes",
    )


def _copy_rate(results: Results) -> Finding | None:
    if not results.copies:
        return None
    found = max(results.copies, key=lambda item: item.tracks)
    pairs = zip(found.seconds, found.raw_seconds, strict=True)
    rates = [
        f"{found.tracks / statistics.median(seconds):,.0f}"
        for seconds in (found.seconds, found.raw_seconds)
    ]
    return Finding(
        statistics.median(raw / mine for mine, raw in pairs),
        f"{rates[0]} tracks/s, compared as well, against {rates[1]} rows/s, {found.tracks:,}",
    )


def _nearest(results: Results, size: int) -> int:
    """The size of this run that is nearest to the one of the promise; 0 if there is none."""
    return min(results.sizes(GENERATED), key=lambda found: abs(found - size), default=0)


RAW = "raw sqlite3"
RAW_POSTGRES = "raw psycopg"

TARGETS = (
    Target(
        "memory: one save",
        "at least 1.5 times as fast as catalogue",
        1.5,
        _as_fast("save", "memory", "catalogue"),
        at_least=True,
    ),
    Target(
        "memory: last track, 300,000",
        "at least 20 times as fast as catalogue",
        20,
        _as_fast("last", "memory", "catalogue", at=300_000),
        at_least=True,
    ),
    Target(
        "memory: last track, growth",
        "at 1,000,000 at most 1.5 times its time at 10,000",
        1.5,
        _growth("last", "memory", 10_000, 1_000_000),
    ),
    Target("memory: bytes of memory per track", "no more than catalogue", 1.0, _memory),
    Target(
        "sqlite: bulk save",
        "at most 1.5 times raw executemany of the same rows",
        1.5,
        _times("save_all", "sqlite", RAW),
    ),
    Target(
        "sqlite: one durable save",
        "at most 1.5 times a raw autocommitted insert",
        1.5,
        _times("save", "sqlite", RAW),
    ),
    Target(
        "sqlite: last track",
        "at most 2 times a raw SELECT plus JSON decoding",
        2.0,
        _times("last", "sqlite", RAW),
    ),
    Target(
        f"sqlite: query of {QUERY:,} tracks",
        "at most 2 times a raw SELECT plus JSON decoding",
        2.0,
        _times("within", "sqlite", RAW),
    ),
    Target(
        "sqlite: bytes of the file per track",
        "at most 2.5 times the bytes of the data columns",
        2.5,
        _file_bytes,
    ),
    Target(
        "import: rate",
        "at least 0.4 of the raw bulk rate",
        0.4,
        _import_rate,
        at_least=True,
    ),
    Target("import: peak memory", "under 150 MB", 150e6, _import_peak, unit=bytes_text),
    Target(
        "postgres: bulk save",
        "at most 1.3 times raw COPY of the same rows",
        1.3,
        _times("save_all", "postgres", RAW_POSTGRES),
    ),
    Target(
        "postgres: one save",
        "at most 1.3 times a raw prepared INSERT",
        1.3,
        _times("save", "postgres", RAW_POSTGRES),
    ),
    Target(
        "postgres: last track",
        "at most 1.5 times a raw SELECT plus JSON decoding",
        1.5,
        _times("last", "postgres", RAW_POSTGRES),
    ),
    Target(
        "postgres: one save, growth",
        "at 10,000,000 at most 1.5 times its time at 10,000",
        1.5,
        _growth("save", "postgres", 10_000, 10_000_000),
    ),
    Target(
        "postgres: last track, growth",
        "at 10,000,000 at most 1.5 times its time at 10,000",
        1.5,
        _growth("last", "postgres", 10_000, 10_000_000),
    ),
    Target(
        "postgres: eight processes to one task",
        "at least 0.8 of eight raw inserters",
        0.8,
        _crowd_rate,
        at_least=True,
    ),
    Target(
        "tracks copy, SQLite to PostgreSQL",
        "at least 0.3 of raw COPY",
        0.3,
        _copy_rate,
        at_least=True,
    ),
)
