"""The page of figures, in Markdown, from the results."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from string import Template

from bench.contenders import CONTENDERS
from bench.datasets import GENERATED, TASKS, USERS
from bench.operations import BULK, OPERATIONS
from bench.results import Case, Results
from bench.targets import TARGETS
from bench.units import bytes_text, time_text, times_text

__all__ = ["page", "targets_table"]

TEMPLATE = Path(__file__).with_name("page.md")
NONE = "-"


def page(results: Results) -> str:
    """The whole page."""
    return Template(TEMPLATE.read_text()).substitute(
        command=results.command,
        date=datetime.fromisoformat(results.date).strftime("%Y-%m-%d %H:%M UTC"),
        machine=_table(("", ""), results.machine.items()),
        targets=targets_table(results),
        dataset_text=(
            f"Generated activity of {USERS} users in {TASKS} tasks."
            " The ratio is to the baseline, at the largest size."
        ),
        operations=_operations(results),
        footprints=_footprints(results),
        parts=_parts(results),
        import_text=_imports(results),
        real=_real(results),
        turns=max((len(m.turns) for m in results.measurements if m.operation == "last"), default=0),
    )


def targets_table(results: Results) -> str:
    """What was promised, beside what was measured."""
    rows = []
    for target in TARGETS:
        finding = target.measure(results)
        if finding is None:
            rows.append((target.subject, target.promise, NONE, "not measured", ""))
            continue
        verdict = "met" if target.is_met(finding) else "**not met**"
        rows.append(
            (target.subject, target.promise, target.unit(finding.value), verdict, finding.figures)
        )
    return _table(("what", "promise", "measured", "", "figures"), rows)


def _operations(results: Results) -> str:
    sizes = results.sizes(GENERATED)
    parts = []
    for operation in (BULK, *OPERATIONS):
        rows = []
        for name in CONTENDERS:
            cells = [_time_cell(results, Case(GENERATED, s, name), operation.name) for s in sizes]
            if any(cell != NONE for cell in cells):
                ratio = _ratio_cell(results, operation.name, name, sizes)
                rows.append((_label(name), *cells, ratio))
        if rows:
            header = ("", *(f"{size:,}" for size in sizes), "ratio")
            parts.append(f"### {operation.title}\n\n{_table(header, rows)}")
    return "\n\n".join(parts)


def _time_cell(results: Results, case: Case, operation: str) -> str:
    found = results.measurement(case, operation)
    if found is None:
        return NONE
    if operation == BULK.name:
        return f"{time_text(found.median)} ({1 / found.median:,.0f}/s)"
    return f"{time_text(found.median)} (p99 {time_text(found.p99)})"


def _ratio_cell(results: Results, operation: str, name: str, sizes: Sequence[int]) -> str:
    baseline = CONTENDERS[name].baseline
    if baseline is None:
        return "1"
    for size in reversed(sizes):
        cases = Case(GENERATED, size, name), Case(GENERATED, size, baseline)
        ratio = results.ratio(operation, *cases)
        if ratio is not None:
            return f"{times_text(ratio)} {baseline}" + (f" at {size:,}" if size < sizes[-1] else "")
    return NONE


def _footprints(results: Results) -> str:
    rows = []
    for dataset in results.datasets():
        for size in results.sizes(dataset)[-1:]:
            for name, entry in CONTENDERS.items():
                found = results.footprint(Case(dataset, size, name))
                if found is not None:
                    file = f"{found.file:,.0f} B" if entry.in_file else NONE
                    share = f"{found.file / found.columns:.2f}" if entry.in_file else NONE
                    rows.append(
                        (
                            f"{dataset}, {size:,}",
                            _label(name),
                            bytes_text(found.memory * size),
                            NONE if entry.in_file else f"{found.memory:,.0f} B",
                            file,
                            f"{found.columns:,.0f} B",
                            share,
                        )
                    )
    header = (
        "dataset",
        "",
        "memory",
        "memory per track",
        "file per track",
        "data columns per track",
        "file / columns",
    )
    return _table(header, rows)


def _parts(results: Results) -> str:
    """The bytes of each table and index of the SQLite engine, at the largest size."""
    sizes = results.sizes(GENERATED)
    found = results.footprint(Case(GENERATED, sizes[-1], "sqlite")) if sizes else None
    if found is None:
        return ""
    ordered = sorted(found.parts.items(), key=lambda part: -part[1])
    rows = [(f"`{name}`", f"{count:.1f} B") for name, count in ordered if count >= 0.05]
    return (
        "The tables and indexes of the SQLite engine, per track, as `info` tells them:\n\n"
        + _table(("", "per track"), rows)
    )


def _imports(results: Results) -> str:
    rows = [
        (
            f"{item.lines:,}",
            ", ".join(time_text(seconds) for seconds in item.seconds),
            ", ".join(time_text(seconds) for seconds in item.raw_seconds),
            bytes_text(item.peak),
        )
        for item in results.imports
    ]
    if not rows:
        return ""
    header = ("lines", "tracks import", "raw bulk save of the same rows", "peak memory")
    return (
        f"## Import\n\nThe command `tracks import`, JSON lines, in turns.\n\n{_table(header, rows)}"
    )


def _real(results: Results) -> str:
    parts = []
    for dataset in results.datasets():
        if dataset == GENERATED:
            continue
        size = results.sizes(dataset)[-1]
        names = [name for name in CONTENDERS if results.footprint(Case(dataset, size, name))]
        rows = []
        for operation in (BULK, *OPERATIONS):
            cells = [_time_cell(results, Case(dataset, size, n), operation.name) for n in names]
            rows.append((operation.title, *cells))
        table = _table(("", *map(_label, names)), rows)
        parts.append(f"### {dataset}, {size:,} tracks\n\n{table}")
    return "## Real activity\n\n" + "\n\n".join(parts) if parts else ""


def _label(name: str) -> str:
    return f"**{name}**" if CONTENDERS[name].is_engine else name


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
