"""The command ``tracks report``: one for each report, made of what the report says of itself."""

import json as json_text
from collections.abc import Iterator
from datetime import tzinfo
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import click

from cybertools.tracking.cli.command import Command, Group, opened
from cybertools.tracking.cli.criteria import Asked, criteria_options
from cybertools.tracking.cli.output import (
    Output,
    note,
    output_option,
    print_rows,
    print_table,
    printable,
)
from cybertools.tracking.reports import REPORTS, Column, Parameter, ReportSpec, Table
from cybertools.tracking.reports.kinds import check_zone
from cybertools.tracking.track import METADATA

__all__ = ["report"]

EXAMPLES = {
    "counts": """
tracks report counts
tracks report counts --unit hour --timezone Europe/Berlin --from 2026-03-01 --to 2026-03-07
tracks report counts --by device --plot devices.svg
""",
    "top": """
tracks report top
tracks report top --what userName --task "python/*"
tracks report top --what verb --by users
""",
    "active": """
tracks report active --unit week
""",
    "present": """
tracks report present
tracks report present --within 1h
""",
    "changes": """
tracks report changes --top 5
""",
    "runs": """
tracks report runs
tracks report runs --abandoned 7d --task "python/*"
""",
    "durations": """
tracks report durations
tracks report durations --task python/quiz-01 --plot durations.png
""",
    "times": """
tracks report times --top 10
""",
    "retries": """
tracks report retries --task "python/quiz-*"
""",
    "funnel": """
tracks report funnel python/lesson-01 python/lesson-02 python/quiz-01
tracks report funnel "python/lesson-*" '{"taskId": "python/quiz-*", "state": "passed"}' --window 7d
""",
    "retention": """
tracks report retention --unit week
""",
    "paths": """
tracks report paths
tracks report paths --user anna --gap 2h
""",
    "funnel-tracks": """
tracks report funnel-tracks python/lesson-01 python/lesson-02 --step 2
tracks report funnel-tracks python/lesson-01 python/lesson-02 --what lost --show totals
""",
    "retention-tracks": """
tracks report retention-tracks 2026-W13 --later 2
tracks report retention-tracks 2026-03 --unit month --out came.csv --top 10000
""",
    "paths-tracks": """
tracks report paths-tracks python/lesson-01 --target python/lesson-02
tracks report paths-tracks python/lesson-01
""",
    "journey": """
tracks report journey anna
""",
    "task": """
tracks report task python/quiz-01
""",
}


class _Reports(Group):
    """The reports, each a command of its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Their names, in an order in which they are learnt."""
        return list(REPORTS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """The command of that name."""
        spec = REPORTS.get(cmd_name)
        return None if spec is None else _command(spec)


@click.group(
    cls=_Reports,
    invoke_without_command=True,
    examples="""
tracks report                               what reports there are
tracks report counts --unit week            how much in each week
tracks report top --what userName --csv     who most, for a program
tracks report funnel python/lesson-01 python/quiz-01
""",
)
@click.pass_context
def report(context: click.Context) -> None:
    """Answer a question about many tracks.

    How much, who, how long, where to. Without a name, list the reports.
    """
    if context.invoked_subcommand is None:
        print_rows(
            ({"report": spec.name, "tells": spec.summary} for spec in REPORTS.values()), None
        )


def _command(spec: ReportSpec) -> click.Command:
    """The command for a report: its parameters, the criteria, and where the answer goes."""
    own = {parameter.name.lower(): parameter.name for parameter in spec.parameters}

    @criteria_options(paged=False)
    @click.option("--out", metavar="FILE", help="Write a .csv, .json, .jsonl, .parquet or .arrow.")
    @click.option("--plot", metavar="FILE", help="Draw a .png or .svg.")
    @output_option
    def run(
        asked: Asked, out: str | None, plot: str | None, output: Output | None, **arguments: Any
    ) -> None:
        zone = arguments.get("timezone")
        if not any(parameter.name == "timezone" for parameter in spec.parameters):
            arguments.pop("timezone")
        # click has arguments, not options, in small letters.
        given = {own.get(n, n): value for n, value in arguments.items() if value not in (None, ())}
        if "steps" in given:
            given["steps"] = [_step(text) for text in given["steps"]]
        with opened(attributes=_attributes(asked, given)) as storage:
            table = spec.run(storage, {**given, **asked.criteria})
        _deliver(table, out, plot, output, zone)

    names = {parameter.name for parameter in spec.parameters}
    common = [p for p in reversed(run.__click_params__) if p.name not in names]  # type: ignore[attr-defined]
    options = [_option(parameter) for parameter in spec.parameters]
    if "timezone" not in names:
        options.append(_option(_ZONE))
    return Command(
        spec.name,
        params=[*options, *common],
        callback=run,
        help=f"{spec.summary}\n\n{spec.description}".replace("``", ""),
        examples=EXAMPLES.get(spec.name, f"\ntracks report {spec.name}\n"),
    )


_METAVARS = {"cohort": "PERIOD", "source": "TASK", "taskId": "TASK", "userName": "USER"}
_ZONE = next(p for p in REPORTS["counts"].parameters if p.name == "timezone")


def _option(parameter: Parameter) -> click.Parameter:
    """What is required is an argument, all else an option."""
    kind = parameter.kind
    if parameter.required:
        several = kind.name == "steps"
        return click.Argument(
            [parameter.name],
            metavar="STEP..." if several else _METAVARS[parameter.name],
            nargs=-1 if several else 1,
            required=True,
        )
    types: dict[str, Any] = {"choice": click.Choice(kind.choices), "number": int}
    metavars = {"duration": "TIME", "time": "TIME", "timezone": "ZONE", "attribute": "NAME"}
    default = "" if parameter.default is None else f" [default: {parameter.default}]"
    return click.Option(
        [f"--{parameter.name}", parameter.name],
        type=types.get(kind.name, str),
        metavar=metavars.get(kind.name),
        help=f"{parameter.description}{default}",
        callback=_seconds if kind.name in ("duration", "time") else None,
    )


def _seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
    """A bare number is seconds; any other text is left to the report."""
    try:
        return None if value is None else float(value)
    except ValueError:
        return value


def _step(text: str) -> Any:
    """A task id or prefix, or criteria as a JSON object."""
    if not text.startswith("{"):
        return text
    try:
        return json_text.loads(text)
    except ValueError:
        raise click.UsageError(f"A step is a task id or a JSON object, not {text!r}.") from None


def _attributes(asked: Asked, given: dict[str, Any]) -> tuple[str, ...]:
    """All data that it is asked by, also in steps."""
    names = list(asked.attributes)
    for step in given.get("steps", ()):
        if isinstance(step, dict):
            names += (n for n in step if n not in (*METADATA, "timeFrom", "timeTo", "timeFromTo"))
    return tuple(dict.fromkeys(names))


def _deliver(
    table: Table, out: str | None, plot: str | None, output: Output | None, zone: str | None
) -> None:
    """Write the files that were asked for; without any, print the table."""
    if out or plot:
        from cybertools.tracking.reports.saving import plot_table, save_table

        for path, write in ((out, save_table), (plot, plot_table)):
            if path:
                write(table, path)
                note(f"{table.title}: {len(table):,} rows are in {path}.")
        if output is None:
            return
    if output is not None:
        print_rows(table.as_dicts(), output, [column.name for column in table.columns])
    elif table.chart is not None and table.chart.kind == "grid":
        print_table(*_grid(table))
    elif table.name in _CARDS:
        print_table(*_card(table, zone))
    else:
        print_table(*_bars(table, zone))


Cells: TypeAlias = tuple[Iterator[list[str]], list[str]]

WIDTH = 24
"""Characters of the longest bar."""


def _bars(table: Table, zone: str | None) -> Cells:
    """The table for people, with a bar in each row where there is a chart."""
    shown_in = _shown_in(zone)
    # The name of a period says when it begins.
    hidden = {"start"} if any(c.name == "period" for c in table.columns) else set()
    columns = [c for c in table.columns if c.name not in hidden]
    heads = [*map(_head, columns)]
    places = [table.place(c.name) for c in columns]
    numbers = table.column(table.chart.y) if table.chart else []
    most = max((n for n in numbers if n is not None), default=0)

    def rows() -> Iterator[list[str]]:
        for row_place, row in enumerate(table):
            cells = [
                printable(table.shown(c, row[place], shown_in))
                for c, place in zip(columns, places, strict=True)
            ]
            yield [*cells, bar(numbers[row_place], most)] if table.chart else cells

    return rows(), [*heads, ""] if table.chart else heads


def _card(table: Table, zone: str | None) -> Cells:
    """A row for people, a line for each of its cells."""
    (row,) = table.rows
    cells = zip(table.columns, row, strict=True)
    shown_in = _shown_in(zone)
    lines = ([_head(c), printable(table.shown(c, cell, shown_in))] for c, cell in cells)
    return lines, ["", printable(table.title)]


_CARDS = ("task",)
"""The reports of one row."""


def _shown_in(zone: str | None) -> tzinfo | None:
    return None if zone is None else ZoneInfo(check_zone(zone, "timezone"))


def _head(column: Column) -> str:
    """A column's name, and its unit where that is not said by the name."""
    return column.name + (f" {column.unit}" if column.unit in ("s", "%") else "")


def bar(number: float | None, most: float) -> str:
    """A bar from zero, as long as its number, to an eighth of a character."""
    eighths = round(8 * WIDTH * number / most) if number and most else 0
    full, rest = divmod(eighths, 8)
    return "█" * full + " ▏▎▍▌▋▊▉"[rest].strip()


def _grid(table: Table) -> Cells:
    """Rows and columns of numbers."""
    chart = table.chart
    if chart is None or chart.series is None:
        return iter(()), []
    columns = sorted({*table.column(chart.x)})
    rows: dict[Any, dict[Any, Any]] = {}
    triples = (table.column(name) for name in (chart.series, chart.x, chart.y))
    for row, column, number in zip(*triples, strict=True):
        rows.setdefault(row, {})[column] = number
    unit = table.columns[table.place(chart.y)].unit
    sizes = dict(zip(table.column(chart.series), table.column("size"), strict=True))

    def cells() -> Iterator[list[str]]:
        for name, numbers in rows.items():
            found = (numbers.get(column) for column in columns)
            shares = ("" if n is None else f"{n:.0f}{unit}" for n in found)
            yield [printable(str(name)), f"{sizes[name]:,}", *shares]

    return cells(), [chart.series, "size", *map(str, columns)]
