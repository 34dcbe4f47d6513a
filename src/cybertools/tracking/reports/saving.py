"""A report's table as a file, in the format of its name; pictures with matplotlib."""

import io
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cybertools.tracking.errors import InvalidValue, Unsupported
from cybertools.tracking.reports.periods import period_edges
from cybertools.tracking.reports.table import Chart, Table
from cybertools.tracking.transfer.exporting import write_file

__all__ = ["MOST_SERIES", "plot_table", "save_table"]

MOST_SERIES = 10
"""Lines that can be told apart; of more the largest are drawn, and the title says so."""

MOST_BARS = 50


def save_table(table: Table, path: str) -> None:
    """Write a table to a file: CSV, JSON (all of it), JSON lines (the rows), Parquet or Arrow.

    The file appears when it is complete, and is compressed if its name ends in .gz or .zst.

    :raises InvalidValue: the name has no such ending.
    :raises Unsupported: Parquet and Arrow need pyarrow, which is not installed.
    """
    name = Path(path).name.lower().removesuffix(".gz").removesuffix(".zst")
    write = _FORMATS.get(Path(name).suffix)
    if write is None:
        raise InvalidValue(f"{path} must end in one of {', '.join(_FORMATS)}.")
    _write(path, write(table))


def _write(path: str, content: bytes) -> None:
    for _ in write_file(path, [(1, content)]):
        pass


def _arrow(table: Table, format: Any) -> bytes:
    from cybertools.tracking.transfer.arrow import arrow_pieces

    pieces = arrow_pieces(table.to_arrow().to_reader(), format)
    return b"".join(piece for _, piece in pieces)


def _lines(table: Table) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table.as_dicts())


_FORMATS: dict[str, Callable[[Table], bytes]] = {
    ".csv": lambda table: table.to_csv().encode(),
    ".json": lambda table: f"{table.to_json()}\n".encode(),
    ".jsonl": lambda table: _lines(table).encode(),
    ".parquet": lambda table: _arrow(table, "parquet"),
    ".arrow": lambda table: _arrow(table, "arrow"),
}


# Pictures


def plot_table(table: Table, path: str) -> None:
    """Draw a table's chart into a file, PNG or SVG. Axes of numbers begin at zero.

    :raises InvalidValue: the report has no chart, or the name another ending.
    :raises Unsupported: matplotlib is not installed.
    """
    format = Path(path).suffix.lower().removeprefix(".")
    if format not in ("png", "svg"):
        raise InvalidValue(f"{path} must end in .png or .svg.")
    if table.chart is None:
        raise InvalidValue(f"The report {table.name!r} is a list: there is no chart of it.")
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise Unsupported(
            "Pictures need matplotlib: pip install 'cybertools-tracking[plot]'."
        ) from error
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    more = _DRAWN[table.chart.kind](axes, table, table.chart)
    axes.set_title(table.title + more, loc="left", parse_math=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)  # a dollar is a dollar
    content = io.BytesIO()
    # Equal tables make equal files.
    undated = {"Date": None} if format == "svg" else None
    figure.savefig(content, format=format, dpi=150, metadata=undated)
    _write(path, content.getvalue())


def _named(table: Table, name: str) -> str:
    """An axis's label: the column and its unit."""
    unit = table.columns[table.place(name)].unit
    return name if unit in ("", name) else f"{name} ({unit})"


def _text(value: object) -> str:
    text = "(none)" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _line(axes: Any, table: Table, chart: Chart) -> str:
    moments = [datetime.fromtimestamp(x, UTC) for x in table.column(chart.x)]
    numbers = table.column(chart.y)
    axes.xaxis_date(table.zone)
    axes.set_ylabel(_named(table, chart.y), parse_math=False)
    axes.grid(axis="y", alpha=0.3)
    more = ""
    if chart.series is None:
        axes.plot(moments, numbers, marker="." if len(moments) < 100 else "")
    else:
        series = table.column(chart.series)
        totals: Counter[Any] = Counter()
        for name, number in zip(map(_text, series), numbers, strict=True):
            totals[name] += number
        shown = [name for name, _ in totals.most_common(MOST_SERIES)]
        # A period without tracks has no row, and is zero all the same.
        told = table.parameters
        ends = min(table.column(chart.x), default=0), max(table.column(chart.x), default=0)
        edges = period_edges(*ends, told["unit"], told["timezone"])[:-1]
        places = {datetime.fromtimestamp(edge, UTC): place for place, edge in enumerate(edges)}
        lines = {name: [0] * len(places) for name in shown}
        for name, moment, number in zip(map(_text, series), moments, numbers, strict=True):
            if name in lines:
                lines[name][places[moment]] += number
        for name, values in lines.items():
            axes.plot(list(places), values, label=name, marker="." if len(places) < 100 else "")
        if lines:
            legend = axes.legend(frameon=False, fontsize="small")
            for label in legend.get_texts():
                label.set_parse_math(False)
        if len(totals) > len(shown):
            more = f": the {len(shown)} with most of {len(totals):,}"
    axes.set_ylim(bottom=0)
    return more


def _bar(axes: Any, table: Table, chart: Chart) -> str:
    labels = [_text(value) for value in table.column(chart.x)][:MOST_BARS]
    numbers = [value or 0 for value in table.column(chart.y)][:MOST_BARS]
    places = range(len(labels))
    bars = axes.barh(places, numbers)
    axes.bar_label(bars, padding=3, fontsize="small", fmt="{:,.6g}")
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel(_named(table, chart.y), parse_math=False)
    return f": the first {MOST_BARS} of {len(table):,}" if len(table) > MOST_BARS else ""


def _grid(axes: Any, table: Table, chart: Chart) -> str:
    rows = list(dict.fromkeys(table.column(chart.series or chart.x)))
    columns = sorted({*table.column(chart.x)})
    cells = [[float("nan")] * len(columns) for _ in rows]
    triples = zip(
        table.column(chart.series or chart.x),
        table.column(chart.x),
        table.column(chart.y),
        strict=True,
    )
    for row, column, number in triples:
        cells[rows.index(row)][columns.index(column)] = number
    if rows:
        picture = axes.imshow(cells, aspect="auto", cmap="Blues", vmin=0, vmax=100)
        axes.figure.colorbar(picture, ax=axes, label=_named(table, chart.y))
    axes.set_yticks(range(len(rows)), [_text(row) for row in rows])
    axes.set_xlabel(_named(table, chart.x), parse_math=False)
    return ""


_DRAWN: dict[str, Callable[[Any, Table, Chart], str]] = {
    "line": _line,
    "bar": _bar,
    "grid": _grid,
}
