"""The picture of growth: one panel for each operation, one line for each contender."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.contenders import CONTENDERS
from bench.datasets import GENERATED
from bench.operations import BULK, OPERATIONS, title_of
from bench.results import Case, Results
from bench.units import time_text

__all__ = ["draw"]

COLUMNS = 3
LABEL_GAP = 0.062
"""The least distance of two labels, as a share of a panel's height."""


class Look(NamedTuple):
    """The colours of a page: one for each contender, in the order of the list."""

    ground: str
    text: str
    grid: str
    lines: tuple[str, ...]


# Neighbours on the list differ in lightness as well as in hue; each is legible on its ground.
LOOKS = {
    "light": Look(
        "#ffffff",
        "#24292f",
        "#e1e4e8",
        (
            "#b3261e",
            "#8a6d00",
            "#0b57d0",
            "#3c4043",
            "#7b3fa0",
            "#00796b",
            "#8d5a3b",
            "#c2185b",
            "#5f6b00",
        ),
    ),
    "dark": Look(
        "#0d1117",
        "#e6edf3",
        "#30363d",
        (
            "#ff8a80",
            "#e3c55b",
            "#8ab4f8",
            "#c4c7c5",
            "#d0a6f0",
            "#66d1c1",
            "#d7a98c",
            "#ff80ab",
            "#cddc6a",
        ),
    ),
}


def draw(results: Results, directory: Path) -> list[Path]:
    """Draw the picture for light and for dark pages; the files."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "growth", "font.size": 9}):
        for name, look in LOOKS.items():
            path = directory / f"growth-{name}.svg"
            _figure(results, look).savefig(path, facecolor=look.ground, metadata={"Date": None})
            paths.append(path)
    return paths


def _figure(results: Results, look: Look) -> Figure:
    sizes = results.sizes(GENERATED)
    every = {o.name: _lines(results, o.name, sizes) for o in (BULK, *OPERATIONS)}
    # What no baseline has a way for is not drawn: there is nothing to compare.
    shown = [
        (operation, lines)
        for operation, lines in every.items()
        if not all(CONTENDERS[name].is_engine for name in lines)
    ]
    rows = math.ceil(len(shown) / COLUMNS)
    figure = Figure(figsize=(12, 3.3 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).flat
    decades = max(math.log10(max(ts) / min(ts)) for _, lines in shown if (ts := _all_times(lines)))
    for panel, (operation, lines) in zip(panels, shown, strict=False):
        _panel(panel, operation, lines, sizes, math.ceil(decades * 4 + 1.2) / 4, look)
    for panel in list(panels):
        panel.set_visible(False)
    return figure


def _lines(
    results: Results, operation: str, sizes: Sequence[int]
) -> dict[str, list[tuple[int, float]]]:
    """By contender: its sizes and medians."""
    lines = {}
    for name in CONTENDERS:
        found = [results.measurement(Case(GENERATED, size, name), operation) for size in sizes]
        points = [(m.case.size, m.median) for m in found if m is not None]
        if points:
            lines[name] = points
    return lines


def _all_times(lines: dict[str, list[tuple[int, float]]]) -> list[float]:
    return [time for points in lines.values() for _, time in points]


def _panel(
    panel: Any,
    operation: str,
    lines: dict[str, list[tuple[int, float]]],
    sizes: Sequence[int],
    decades: float,
    look: Look,
) -> None:
    times = _all_times(lines)
    middle = (math.log10(min(times)) + math.log10(max(times))) / 2
    low, high = middle - decades / 2, middle + decades / 2
    panel.set(xscale="log", yscale="log", facecolor=look.ground)
    panel.set_title(title_of(operation), loc="left", color=look.text, fontsize=10)
    # To the right of the largest size there is room for the labels.
    span = max(sizes[-1] / sizes[0], 10)
    panel.set_xlim(sizes[0] / span**0.05, sizes[-1] * span**0.6)
    panel.set_ylim(10**low, 10**high)
    panel.set_xticks(sizes, [_short(size) for size in sizes], color=look.text)
    panel.set_xticks([], minor=True)
    ticks = [10.0**n for n in range(math.ceil(low), math.floor(high) + 1)]
    panel.set_yticks(ticks, [_round_time(t) for t in ticks], color=look.text)
    panel.set_yticks([], minor=True)
    panel.grid(visible=True, color=look.grid, linewidth=0.7)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    start = 10 ** (low + 0.06 * decades)
    panel.plot(
        (sizes[0], sizes[-1]),
        (start, start * sizes[-1] / sizes[0]),
        color=look.text,
        linewidth=0.8,
        linestyle=":",
        alpha=0.5,
    )
    colours = dict(zip(CONTENDERS, look.lines, strict=True))
    places = _label_places({name: points[-1][1] for name, points in lines.items()}, low, high)
    for name, points in lines.items():
        width = 2.4 if CONTENDERS[name].is_engine else 1.2
        panel.plot(
            *zip(*points, strict=True),
            color=colours[name],
            linewidth=width,
            marker="o",
            markersize=width * 1.6,
        )
        size, time = points[-1]
        panel.annotate(
            f"{name}  {time_text(time)}",
            (size, time),
            (sizes[-1] * span**0.06, 10 ** places[name]),
            color=colours[name],
            fontsize=8,
            fontweight="bold" if CONTENDERS[name].is_engine else "normal",
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": colours[name],
                "linewidth": 0.6,
                "relpos": (0, 0.5),
                "shrinkA": 0,
            },
        )


def _label_places(ends: dict[str, float], low: float, high: float) -> dict[str, float]:
    """Where each label stands: as near to its line's end as the others allow."""
    gap = (high - low) * LABEL_GAP
    names = sorted(ends, key=lambda name: ends[name])
    places = {name: math.log10(ends[name]) for name in names}
    for _ in range(200):
        for below, above in pairwise(names):
            lack = gap - (places[above] - places[below])
            if lack > 0:
                places[below] -= lack / 2
                places[above] += lack / 2
        places[names[0]] = max(places[names[0]], low + gap / 2)
        places[names[-1]] = min(places[names[-1]], high - gap / 2)
    return places


def _short(size: int) -> str:
    return f"{size // 1_000_000} M" if size % 1_000_000 == 0 else f"{size / 1_000:g} k"


def _round_time(seconds: float) -> str:
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")):
        if seconds >= factor * 0.999:
            return f"{seconds / factor:g} {unit}"
    return f"{seconds:g} s"
