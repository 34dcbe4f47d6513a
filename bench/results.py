"""What was measured: values that go to a JSON file and come back. Times are in seconds."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Case", "Copy", "Crowd", "Footprint", "Import", "Measurement", "Results", "percentile"]


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """A contender with a dataset."""

    dataset: str
    size: int
    contender: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """The times of single calls of an operation."""

    case: Case
    operation: str
    calls: int
    median: float
    p99: float
    least: float
    turns: tuple[float, ...]
    """The median of each turn. Turns of the same place were taken one after the other."""

    @classmethod
    def of(cls, case: Case, operation: str, turns: Sequence[Sequence[float]]) -> "Measurement":
        """The measurement of turns with the times of their calls."""
        times = [time for turn in turns for time in turn]
        return cls(
            case,
            operation,
            len(times),
            statistics.median(times),
            percentile(times, 0.99),
            min(times),
            tuple(statistics.median(turn) for turn in turns),
        )


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a contender takes, in bytes for each track."""

    case: Case
    memory: float
    file: float
    columns: float
    """Of the data columns: UTF-8 text, 8 for each number."""
    parts: dict[str, float]
    """Of each table and index, where the contender can tell."""


@dataclass(frozen=True, slots=True)
class Import:
    """``tracks import`` and the raw bulk save of the same lines, in turns."""

    lines: int
    seconds: tuple[float, ...]
    raw_seconds: tuple[float, ...]
    peak: int
    """The most bytes of memory that a process of ``tracks import`` had."""


@dataclass(frozen=True, slots=True)
class Copy:
    """``tracks copy`` to PostgreSQL and the raw COPY of the same rows, in turns."""

    tracks: int
    seconds: tuple[float, ...]
    raw_seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Saves per second of several processes to one task at once, in turns."""

    processes: int
    rates: tuple[float, ...]
    raw_rates: tuple[float, ...]


@dataclass(slots=True)
class Results:
    """One run of the harness."""

    command: str
    date: str
    machine: dict[str, str]
    measurements: list[Measurement] = field(default_factory=list)
    footprints: list[Footprint] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    crowds: list[Crowd] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)

    def sizes(self, dataset: str) -> list[int]:
        """The sizes of that dataset, ascending."""
        return sorted({f.case.size for f in self.footprints if f.case.dataset == dataset})

    def datasets(self) -> list[str]:
        """The names of the datasets."""
        return list(dict.fromkeys(f.case.dataset for f in self.footprints))

    def measurement(self, case: Case, operation: str) -> Measurement | None:
        """That measurement, if it was made."""
        found = (m for m in self.measurements if m.case == case and m.operation == operation)
        return next(found, None)

    def footprint(self, case: Case) -> Footprint | None:
        """That footprint, if it was taken."""
        return next((f for f in self.footprints if f.case == case), None)

    def ratio(self, operation: str, case: Case, other: Case) -> float | None:
        """How many times as long as the other one it takes: the median over the turns."""
        mine, theirs = self.measurement(case, operation), self.measurement(other, operation)
        if mine is None or theirs is None:
            return None
        return statistics.median(a / b for a, b in zip(mine.turns, theirs.turns, strict=False))

    def write(self, path: Path) -> None:
        """Write the results to a JSON file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_rounded(asdict(self)), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Results":
        """The results in a JSON file."""
        found = json.loads(path.read_text())
        for name, kind in (("measurements", Measurement), ("footprints", Footprint)):
            found[name] = [kind(**item | {"case": Case(**item["case"])}) for item in found[name]]
        found["imports"] = [Import(**item) for item in found["imports"]]
        found["crowds"] = [Crowd(**item) for item in found.get("crowds", ())]
        found["copies"] = [Copy(**item) for item in found.get("copies", ())]
        return cls(**found)


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _rounded(value: Any) -> Any:
    # Four digits are more than the measurements are good for.
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
