"""The command line of the measurements."""

import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.contenders import CONTENDERS
from bench.copying import measure_copy
from bench.crowd import measure_crowd
from bench.datasets import generated, real
from bench.harness import measure
from bench.imports import measure_import
from bench.machine import describe
from bench.postgres import server
from bench.report import page, targets_table
from bench.results import Results

ROOT = Path(__file__).parent.parent
LATEST = ROOT / "bench" / "results" / "latest.json"
REAL = ROOT.parent / "shared" / "data"
SIZES = "10000,100000,300000,1000000"
TURNS = 15
IMPORT_TURNS = 3
CROWD_TURNS = 3
COPIED = 300_000
"""Tracks that are copied, or the nearest size that there is."""

app = typer.Typer(
    help="Measure the engines against the baselines.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Sizes = Annotated[str, typer.Option(help="Numbers of generated tracks, with commas between.")]
DataFiles = Annotated[
    list[Path] | None,
    typer.Option("--data", help="A real log, up to the largest size; may be repeated."),
]
Only = Annotated[
    str, typer.Option(help=f"Some of the contenders, with commas between: {', '.join(CONTENDERS)}.")
]
Imports = Annotated[bool, typer.Option(help="Measure the commands tracks import and copy as well.")]
Scratch = Annotated[
    Path | None, typer.Option("--dir", help="Where the files are written while it runs.")
]
ResultsFile = Annotated[Path, typer.Option("--results", help="The results, as JSON.")]
Docs = Annotated[Path, typer.Option(help="Where bench.md and its pictures go.")]


@app.command(name="all")
def all_(
    sizes: Sizes = SIZES,
    data: DataFiles = None,
    only: Only = "",
    turns: Annotated[int, typer.Option(help="Turns of each operation.")] = TURNS,
    imports: Imports = True,
    scratch: Scratch = None,
    results_file: ResultsFile = LATEST,
    docs: Docs = ROOT / "docs",
) -> None:
    """Measure everything; write the results, the page and its pictures.

    With the sizes that it has by default: half an hour, 6 GB of memory, 5 GB of disk.
    """
    import bench.picture  # noqa: F401  # what it needs is missed now, not when all is measured

    files = _real_files() if data is None else data
    results = _measure(_numbers(sizes), files, only, turns, IMPORT_TURNS if imports else 0, scratch)
    results.write(results_file)
    report(results_file, docs)


@app.command()
def quick(
    sizes: Sizes = "1000,10000",
    data: DataFiles = None,
    only: Only = "",
    turns: Annotated[int, typer.Option(help="Turns of each operation.")] = 5,
    imports: Imports = True,
    scratch: Scratch = None,
) -> None:
    """Measure a little, in less than a minute, and print the page."""
    print(page(_measure(_numbers(sizes), data or [], only, turns, int(imports), scratch)))


@app.command()
def report(results_file: ResultsFile = LATEST, docs: Docs = ROOT / "docs") -> None:
    """Write the page and its pictures anew from the results."""
    from bench.picture import draw

    results = Results.read(results_file)
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "bench.md").write_text(page(results))
    draw(results, docs / "bench")
    print(targets_table(results))


@app.command()
def service(
    url: Annotated[str, typer.Option(help="An empty database; by default a SQLite file.")] = "",
    turns: Annotated[int, typer.Option(help="Turns of each kind of request.")] = 7,
    seconds: Annotated[float, typer.Option(help="Of each turn.")] = 1.0,
    scratch: Scratch = None,
) -> None:
    """Measure the service against an empty handler, and print the figures."""
    from bench.service import measure_service, service_table

    with tempfile.TemporaryDirectory(dir=scratch) as place, _progress() as tell:
        figures, bulk = measure_service(url or f"sqlite:{place}/tracks.db", turns, seconds, tell)
    print("\n".join(service_table(figures, bulk)))


@app.command()
def soak(
    url: Annotated[str, typer.Option(help="An empty database; by default a SQLite file.")] = "",
    seconds: Annotated[float, typer.Option(help="For how long.")] = 600.0,
    connections: Annotated[int, typer.Option(help="Clients at the same time.")] = 64,
    share: Annotated[float, typer.Option(help="Of the rate that it could do.")] = 0.33,
    scratch: Scratch = None,
) -> None:
    """Keep the service at work, and see whether its memory stays the same; 1 if it grows."""
    from bench.soak import is_flat, soaked, table

    with tempfile.TemporaryDirectory(dir=scratch) as place, _progress() as tell:
        database = url or f"sqlite:{place}/tracks.db"
        samples = soaked(database, seconds, connections, share, tell)
    print("\n".join(table(samples)))
    raise typer.Exit(0 if is_flat(samples) else 1)


def _measure(
    sizes: list[int],
    files: Sequence[Path],
    only: str,
    turns: int,
    import_turns: int,
    scratch: Path | None,
) -> Results:
    contenders = only.split(",") if only else list(CONTENDERS)
    for name in contenders:
        if name not in CONTENDERS:
            raise typer.BadParameter(f"There is no {name!r}; there are: {', '.join(CONTENDERS)}.")
    with tempfile.TemporaryDirectory(dir=scratch) as place, _progress() as tell, server():
        directory = Path(place)
        results = Results(
            shlex.join(["python", "-m", "bench", *sys.argv[1:]]),
            datetime.now(UTC).isoformat(timespec="seconds"),
            describe(directory),
        )
        datasets = generated(directory, sizes)
        measure(results, datasets, contenders, turns, directory, tell)
        for file in files:
            measure(
                results, [real(directory, file, max(sizes))], contenders, turns, directory, tell
            )
        if "postgres" in contenders:
            measure_crowd(results, CROWD_TURNS, directory, tell)
            if import_turns:
                copied = min(datasets, key=lambda dataset: abs(dataset.size - COPIED))
                measure_copy(results, copied, import_turns, directory, tell)
        if import_turns:
            measure_import(results, datasets[-1], import_turns, directory, tell)
    return results


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    console = Console(stderr=True)
    start = datetime.now(UTC)
    with console.status("") as status:

        def tell(text: str) -> None:
            took = (datetime.now(UTC) - start).total_seconds()
            status.update(f"{took:.0f} s  {text}")

        yield tell


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(number) for number in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 100:
        raise typer.BadParameter(f"Sizes are whole numbers from 100, not {text!r}.")
    return numbers


def _real_files() -> list[Path]:
    return sorted(p for p in REAL.glob("*") if p.suffix in (".jsonl", ".gz", ".log"))


if __name__ == "__main__":
    app()
