"""Each report beside SQL written by hand for the same question, on the same tables, in one run.

    python -m bench.reports sqlite:tracks.db            # filled with a sample log where it is empty
    python -m bench.reports postgresql://… --turns 5
    python -m bench.reports sqlite:tracks.db --duckdb   # and DuckDB over the exported Parquet
    python -m bench.reports sqlite:tracks.db --results figures.json --page figures.md

The report and the SQL take turns; the figure is the least of the turns of each. Days are those of
UTC in the SQL, of Berlin in the report.
"""

import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from bench.machine import describe
from bench.reports_page import Row, keep, write_page
from cybertools.tracking import Storage, open_storage
from cybertools.tracking.reports import run_report
from cybertools.tracking.reports.periods import period_edges
from cybertools.tracking.sample import sample_lines
from cybertools.tracking.sql.engine import SqlEngine
from cybertools.tracking.transfer.exporting import export_file
from cybertools.tracking.transfer.importing import import_lines

ZONE = "Europe/Berlin"
STEPS = ["python/lesson-01", "python/lesson-02", "python/quiz-01"]

DAY = {
    "sqlite": "CAST(timeStamp / 86400 AS INTEGER)",
    "postgres": "floor(timeStamp / 86400)",
    "duckdb": "floor(timeStamp / 86400)",
}
FIELD = {
    "sqlite": "data ->> '$.verb'",
    "postgres": "data ->> 'verb'",
    "duckdb": "data ->> '$.verb'",
}
SPANS = (
    "SELECT {greatest}(coalesce(l, startedAt), coalesce(stoppedAt, 0))"
    " - {least}(coalesce(f, startedAt), startedAt) AS v FROM {{tracks}}_runs r LEFT JOIN (SELECT"
    " runId, min(timeStamp) AS f, max(timeStamp) AS l FROM {{tracks}} GROUP BY runId) t"
    " ON t.runId = r.id"
)
SPANS_OF = {
    "sqlite": SPANS.format(greatest="max", least="min"),
    "postgres": SPANS.format(greatest="greatest", least="least"),
    # A file of tracks has no runs.
    "duckdb": "SELECT max(timeStamp) - min(timeStamp) AS v FROM {tracks} GROUP BY runId",
}
VISITS = (
    "SELECT taskId, max(timeStamp) - min(timeStamp) AS v FROM {tracks}"
    " GROUP BY taskId, userName, runId"
)
RANKED = {
    "sqlite": (
        "SELECT {by}count(*), sum(v), min(v), max(v), max(CASE WHEN r = (n + 1) / 2 THEN v END),"
        " max(CASE WHEN r = (n * 90 + 99) / 100 THEN v END) FROM (SELECT {by}v,"
        " row_number() OVER ({part}ORDER BY v) AS r, count(*) OVER ({part}) AS n FROM ({units}) u)"
        " r {group}"
    ),
    "postgres": (
        "SELECT {by}count(*), sum(v), min(v), max(v), percentile_disc(ARRAY[0.5, 0.9])"
        " WITHIN GROUP (ORDER BY v) FROM ({units}) u {group}"
    ),
    "duckdb": (
        "SELECT {by}count(*), sum(v), min(v), max(v), quantile_disc(v, [0.5, 0.9])"
        " FROM ({units}) u {group}"
    ),
}
EDGES = (1, 10, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400)
BINS = "CASE " + " ".join(f"WHEN v < {edge} THEN {n}" for n, edge in enumerate(EDGES)) + " END"


def ranked(kind: str, units: str, by: str = "") -> str:
    """Percentiles, as each database has them."""
    parts = {"by": f"{by}, ", "part": f"PARTITION BY {by} ", "group": f"GROUP BY {by}"}
    return RANKED[kind].format(units=units, **(parts if by else dict.fromkeys(parts, "")))


def by_state(kind: str) -> str:
    """How runs' durations are spread, in all and by what became of the runs."""
    spans = SPANS_OF[kind]
    if kind == "duckdb":
        return ranked(kind, spans)
    state = f"CASE WHEN finished THEN 'finished' WHEN coalesce(l, startedAt) < {NOW} THEN 'a' END"
    units = spans.replace("SELECT ", f"SELECT {state} AS state, ", 1)
    whole = ranked(kind, spans)
    return f"SELECT NULL AS state, x.* FROM ({whole}) x UNION ALL {ranked(kind, units, 'state')}"


NOW = 1_780_000_000


def questions(kind: str) -> dict[str, tuple[str, dict[str, Any], str]]:
    """Of each question: a report, its arguments, and the SQL."""
    day, verb = DAY[kind], FIELD[kind]
    week = day.replace("86400", "604800")
    seen = f"SELECT userName, {week} AS p FROM {{tracks}} GROUP BY 1, 2"
    detail = "count(*), count(DISTINCT {a}), count(DISTINCT runId), min(timeStamp), max(timeStamp)"
    busiest = (
        "SELECT {k}, " + detail + " FROM {{tracks}} WHERE {k} IN (SELECT {k} FROM {{tracks}}"
        " GROUP BY 1 ORDER BY count(*) DESC LIMIT 10) GROUP BY 1 ORDER BY 2 DESC"
    )
    lasts = "userName, timeStamp, taskId AS task"
    window = "PARTITION BY userName ORDER BY timeStamp, number"
    return {
        "counts by day": (
            "counts",
            {"timezone": ZONE},
            f"SELECT {day}, count(*) FROM {{tracks}} GROUP BY 1",
        ),
        "counts by hour": (
            "counts",
            {"timezone": ZONE, "unit": "hour"},
            f"SELECT {day.replace('86400', '3600')}, count(*) FROM {{tracks}} GROUP BY 1",
        ),
        "counts by day and task": (
            "counts",
            {"timezone": ZONE, "by": "taskId"},
            f"SELECT {day}, taskId, count(*) FROM {{tracks}} GROUP BY 1, 2",
        ),
        "counts by day and verb": (
            "counts",
            {"timezone": ZONE, "by": "verb"},
            f"SELECT {day}, {verb}, count(*) FROM {{tracks}} GROUP BY 1, 2",
        ),
        "top tasks": ("top", {}, busiest.format(k="taskId", a="userName")),
        "top users": ("top", {"what": "userName"}, busiest.format(k="userName", a="taskId")),
        "top verbs": (
            "top",
            {"what": "verb"},
            (
                f"SELECT {verb}, count(*), count(DISTINCT taskId), count(DISTINCT userName),"
                " count(DISTINCT runId), min(timeStamp), max(timeStamp) FROM {tracks} GROUP BY 1"
                " ORDER BY 2 DESC LIMIT 10"
            ),
        ),
        "active users by day": (
            "active",
            {"timezone": ZONE},
            f"SELECT {day}, count(DISTINCT userName), count(*) FROM {{tracks}} GROUP BY 1",
        ),
        "present": (
            "present",
            {"at": "2026-04-01T12:00:00Z"},
            (
                "SELECT userName, taskId, runId, count(*), max(timeStamp) FROM {tracks}"
                " WHERE timeStamp BETWEEN 1775043900 AND 1775044800 GROUP BY 1, 2, 3"
            ),
        ),
        "changes": (
            "changes",
            {},
            "SELECT * FROM {tracks} ORDER BY timeStamp DESC, number DESC LIMIT 20",
        ),
        "runs": ("runs", {}, by_state(kind)),
        "durations": (
            "durations",
            {},
            f"SELECT {BINS}, count(*) FROM ({SPANS_OF[kind]}) s GROUP BY 1",
        ),
        "times": ("times", {}, ranked(kind, VISITS, "taskId")),
        "retries": (
            "retries",
            {},
            ranked(
                kind,
                "SELECT taskId, count(DISTINCT runId) AS v FROM {tracks} GROUP BY taskId, userName",
                "taskId",
            ),
        ),
        "funnel": (
            "funnel",
            {"steps": STEPS},
            (
                "WITH a AS (SELECT userName, min(timeStamp) AS t FROM {tracks} WHERE"
                f" taskId = '{STEPS[0]}' GROUP BY 1),"
                " b AS (SELECT x.userName, min(x.timeStamp) AS t FROM {tracks} x"
                " JOIN a ON a.userName = x.userName AND x.timeStamp > a.t"
                f" WHERE taskId = '{STEPS[1]}' GROUP BY 1),"
                " c AS (SELECT x.userName, min(x.timeStamp) AS t FROM {tracks} x"
                " JOIN b ON b.userName = x.userName AND x.timeStamp > b.t"
                f" WHERE taskId = '{STEPS[2]}' GROUP BY 1) SELECT (SELECT count(*) FROM a),"
                " (SELECT count(*) FROM b), (SELECT count(*) FROM c)"
            ),
        ),
        "retention by week": (
            "retention",
            {"timezone": ZONE},
            (
                "SELECT f, p, count(*) FROM (SELECT p, min(p) OVER (PARTITION BY userName) AS f"
                f" FROM ({seen}) s) s GROUP BY 1, 2"
            ),
        ),
        "paths": (
            "paths",
            {},
            (
                "SELECT task, CASE WHEN later - timeStamp <= 1800 THEN following END, count(*) FROM"
                f" (SELECT {lasts}, lead(taskId) OVER ({window}) AS following,"
                f" lead(timeStamp) OVER ({window}) AS later FROM {{tracks}}) s"
                " WHERE following IS NULL OR later - timeStamp > 1800 OR following <> task"
                " GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20"
            ),
        ),
        "journey": (
            "journey",
            {"userName": "anna"},
            (
                "SELECT * FROM {tracks} WHERE userName = 'anna'"
                " ORDER BY timeStamp DESC, number DESC LIMIT 100"
            ),
        ),
    }


MACHINE = ("Processor", "Memory", "System", "Load at the start", "Python", "SQLite")
"""What is told of the machine."""

GOAL = 250
"""Milliseconds of an overview of a million tracks; of ten million, four times that."""


def overview(storage: Storage, days: int | None) -> None:
    """Ask what the overview page asks: of the last days in Berlin, or of all time."""
    within: dict[str, Any] = {}
    before: dict[str, Any] | None = None
    if days is not None:
        (newest,) = storage.query(order="-timeStamp", limit=1)
        *_, end = period_edges(newest.timeStamp, newest.timeStamp, "day", ZONE)
        (start, *_), (earlier, *_) = (
            period_edges(end - 86_400 * (n - 0.5), end, "day", ZONE) for n in (days, 2 * days)
        )
        within = {"timeFrom": start, "timeTo": end - 1e-6}
        before = {"timeFrom": earlier, "timeTo": start - 1e-6}
    unit = {"unit": "week" if days is None else "day", "timezone": ZONE}
    top = {"top": 8, "detail": "none", **within}
    for report, arguments in (
        ("totals", within),
        ("changes", {"top": 8, **within}),
        ("counts", unit | within),
        ("active", unit | within),
        ("top", {"what": "taskId", **top}),
        ("top", {"what": "userName", **top}),
    ):
        run_report(storage, report, arguments)
        if before is not None and report in ("totals", "counts"):
            run_report(storage, report, {**arguments, **before})


def fill(storage: Storage, tracks: int) -> None:
    """A sample log, where the storage is empty."""
    if not len(storage):
        lines = chain.from_iterable(piece.splitlines() for piece in sample_lines(tracks))
        for _ in import_lines(storage, lines, origin="bench"):
            pass


def least(turns: int, *calls: Callable[[], object]) -> list[float]:
    """The least time of each call, in milliseconds; they take turns.

    :param turns: at least so many; of quick ones as many as take half a second.
    """
    found = [float("inf")] * len(calls)
    enough = time.perf_counter() + 0.5
    turn = 0
    while turn < turns or time.perf_counter() < enough:
        turn += 1
        for place, call in enumerate(calls):
            start = time.perf_counter()
            call()
            found[place] = min(found[place], 1_000 * (time.perf_counter() - start))
    return found


def duckdb_over(path: Path) -> Callable[[str], object]:
    """What asks DuckDB about a Parquet file."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(
        "CREATE VIEW tracks AS SELECT id::bigint AS number, taskId, runId, userName,"
        f" epoch_us(timeStamp) / 1e6 AS timeStamp, data::json AS data FROM '{path}'"
    )
    return lambda sql: connection.execute(sql).fetchall()


def main(
    url: str,
    tracks: Annotated[int, typer.Option(help="Of the sample, where there are none.")] = 1_000_000,
    turns: int = 3,
    duckdb: Annotated[bool, typer.Option(help="Ask DuckDB, too.")] = False,
    only: Annotated[str, typer.Option(help="Questions that have this in their names.")] = "",
    results: Annotated[Path | None, typer.Option(help="Keep the figures in this file.")] = None,
    page: Annotated[Path | None, typer.Option(help="Make this page of that file.")] = None,
) -> None:
    """Print a table: milliseconds of each report, of the SQL, and their ratio."""
    with open_storage(url) as storage, TemporaryDirectory() as folder:
        fill(storage, tracks)
        engine = storage.engine
        assert isinstance(engine, SqlEngine)
        kind = "sqlite" if "sqlite" in type(engine).__name__.lower() else "postgres"
        over_parquet = None
        if duckdb:
            parquet = Path(folder) / "tracks.parquet"
            for _ in export_file(storage, str(parquet)):
                pass
            over_parquet = duckdb_over(parquet)
        in_duckdb = questions("duckdb")
        print(f"{len(storage):,} tracks, {kind}\n")
        print("| question | report ms | SQL ms | ratio | DuckDB ms |")
        print("|---|---:|---:|---:|---:|")
        rows: list[Row] = []
        machine = {k: v for k, v in describe(Path(folder)).items() if k in MACHINE}
        for name, (report, arguments, sql) in questions(kind).items():
            if only not in name:
                continue
            calls: list[Callable[[], object]] = [
                lambda report=report, arguments=arguments: run_report(storage, report, arguments),  # type: ignore[misc]
                lambda sql=sql: engine.all(sql.format(tracks=engine.tables.tracks)),  # type: ignore[misc]
            ]
            ours, theirs = least(turns, *calls)
            third = None
            if over_parquet is not None:
                # By itself: with several threads it takes the others' caches from them.
                other = in_duckdb[name][2].format(tracks="tracks")
                (third,) = least(turns, lambda other=other: over_parquet(other))  # type: ignore[misc]
            shown = "" if third is None else f"{third:,.1f}"
            print(
                f"| {name} | {ours:,.1f} | {theirs:,.1f} | {ours / theirs:.2f} | {shown} |",
                flush=True,
            )
            rows.append((name, ours, theirs, third))
            if results is not None:
                keep(results, kind, len(storage), turns, machine, rows)
        goal = GOAL if len(storage) <= 1_000_000 else 4 * GOAL
        print(f"\nOverview (goal: {goal:,} ms)")
        overview(storage, 30)  # the first one makes the rollup
        for name, days in (("30 days", 30), ("all time", None)):
            (ours,) = least(turns, lambda days=days: overview(storage, days))  # type: ignore[misc]
            print(f"{name}: {ours:,.0f} ms")
        if results is not None and page is not None:
            write_page(results, page)


if __name__ == "__main__":
    typer.run(main)
