"""The page of the reports' figures, from results that are kept."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

__all__ = ["Row", "keep", "write_page"]

Row = tuple[str, float, float, float | None]
"""A question; the milliseconds of the report, of the SQL, and of DuckDB if it was asked."""

TEMPLATE = Path(__file__).with_name("reports_page.md")
NAMES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}


def keep(
    path: Path,
    kind: str,
    tracks: int,
    turns: int,
    machine: dict[str, str],
    rows: Sequence[Row],
) -> None:
    """Put the results of one database beside those of the others."""
    results = json.loads(path.read_text()) if path.exists() else {}
    results[kind] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "tracks": tracks,
        "turns": turns,
        "machine": machine,
        "rows": [[name, *(None if t is None else round(t, 2) for t in ms)] for name, *ms in rows],
    }
    path.write_text(json.dumps(results, indent=1) + "\n")


def write_page(results: Path, page: Path) -> None:
    """Make the page of results."""
    found = json.loads(results.read_text())
    parts = "\n\n".join(_part(NAMES[kind], found[kind]) for kind in NAMES if kind in found)
    page.write_text(Template(TEMPLATE.read_text()).substitute(parts=parts))


def _part(name: str, run: dict[str, Any]) -> str:
    lines = [
        f"## {name}, {run['tracks']:,} tracks",
        "",
        f"{run['date']}; the least of {run['turns']} turns, of quick ones of more. "
        + "; ".join(f"{what}: {value}" for what, value in run["machine"].items())
        + ".",
        "",
        "| question | report ms | SQL by hand ms | ratio | DuckDB ms |",
        "|---|---:|---:|---:|---:|",
    ]
    for question, ours, theirs, other in run["rows"]:
        third = "" if other is None else f"{other:,.1f}"
        ratio = f"{ours / theirs:.2f}"
        lines.append(f"| {question} | {ours:,.1f} | {theirs:,.1f} | {ratio} | {third} |")
    above = [row[0] for row in run["rows"] if row[1] > GOAL * row[2]]
    lines += ["", f"Above {GOAL} times the SQL: {', '.join(above) or 'none'}."]
    return "\n".join(lines)


GOAL = 1.5
"""A report is to take no longer than so many times the SQL."""
