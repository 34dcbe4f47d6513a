"""Commands that move tracks between files and a storage: import, export, sample."""

import gc
import sys
from itertools import chain

import click

from cybertools.tracking.cli.command import Command, done, opened
from cybertools.tracking.cli.criteria import Asked, criteria_options
from cybertools.tracking.cli.output import note, print_rows
from cybertools.tracking.cli.progress import progress
from cybertools.tracking.errors import StorageError
from cybertools.tracking.transfer.drafts import parse_map
from cybertools.tracking.transfer.exporting import (
    FILE_FORMATS,
    FileFormat,
    export_file,
    export_pieces,
    write_file,
)
from cybertools.tracking.transfer.formats import FORMATS, Format
from cybertools.tracking.transfer.gaps import parse_duration
from cybertools.tracking.transfer.importing import Report, import_lines, plan_import
from cybertools.tracking.transfer.writing import Counts

__all__ = ["export", "import_", "sample"]


@click.command(
    name="import",
    cls=Command,
    examples="""
tracks import access.log                        into tracks.db, which is made
tracks import access.log.*.gz access.log        a log in parts; a second time nothing is stored
zcat events.gz | tracks import - --format edx
tracks import visits.csv --map taskId=page,userName=visitor,timeStamp=time
tracks import access.log --runs-by-gap 30m      a run ends when a user pauses for longer
""",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--format",
    type=click.Choice(list(FORMATS)),
    help="Of all the files; each is recognised without it.",
)
@click.option(
    "--map",
    "maps",
    metavar="NAME=COLUMN,…",
    multiple=True,
    help="Which column (or key of a JSON line) is the taskId, runId, userName, timeStamp, data or"
    " key. All others go into data.",
)
@click.option(
    "--runs-by-gap",
    "gap",
    metavar="TIME",
    help="Cut each user's tracks in a task into runs where nothing happened for longer than 90s,"
    " 30m, 2h, 1d. Give all parts of a log in one call, in any order.",
)
@click.option(
    "--salt",
    envvar="TRACKS_SALT",
    metavar="TEXT",
    help="A secret that makes users' names of addresses. By default one of your own is made, and"
    " kept in your configuration folder. [env: TRACKS_SALT]",
)
@click.option(
    "--source",
    default="",
    metavar="TEXT",
    help="Where the lines come from, for files that begin with the same line and are not the same.",
)
@click.option(
    "--rejects",
    metavar="PATH",
    help="The file for lines that cannot be stored; by default FILE.rejects.jsonl, in the present"
    " folder. It is made if there are any.",
)
@click.option("--strict", is_flag=True, help="Exit code 1 where a line was rejected.")
@click.option("--json", "json", is_flag=True, help="Print the summary as one JSON object.")
def import_(
    files: tuple[str, ...],
    format: Format | None,
    maps: tuple[str, ...],
    gap: str | None,
    salt: str | None,
    source: str,
    rejects: str | None,
    strict: bool,
    json: bool,
) -> None:
    """Store the lines of files: JSON lines, CSV, logs of any kind.

    \b
    Files may be plain, gzip or zstd; - is standard input. What they look like:
      jsonl   {"taskId": …, "runId": …, "userName": …, "timeStamp": …, "data": {…}}
      csv     a header, and such columns; tsv: with tabs
      access  Apache's or nginx's combined or common log; the task is the path,
              the user the authenticated name or made of address and agent
      edx     the tracking log of Open edX

    A runId is a label: the task's run of that name is used, or made. Without one it is the task's
    current run. A line without timeStamp has the time of the import.

    Each line is stored once: after an interruption, or when a file has grown, the same command
    stores what is missing. A line is known by its number, its text and the first line of its
    file. Lines that cannot be stored are kept in a file with their numbers and reasons, and the
    others go on.
    """  # noqa: D301
    plan = plan_import(
        files,
        format=format,
        names=parse_map(",".join(maps)) if maps else None,
        salt=salt,
        gap=None if gap is None else parse_duration(gap),
        origin=source,
        rejects=rejects,
    )
    report = Report()
    # What is read here makes no cycles; looking for them takes a tenth of the time.
    gc.set_threshold(100_000)
    try:
        with opened(make=True) as storage, progress("Importing") as tell:
            for report in plan.steps(storage):
                tell(report.done, report.size, report.total("read"))
    except KeyboardInterrupt:
        _print_report(report, json, interrupted=True)
        note("Interrupted: the same command goes on from here.")
        done(130)
    except StorageError:
        if report.files:
            _print_report(report, json, interrupted=True)
        raise
    _print_report(report, json)
    unread = report.total("read") > 0 and report.total("read") == report.total("rejected")
    if unread:
        note("tracks: none of the lines could be stored; is the --format right?")
    failed = unread or (strict and report.total("rejected"))
    done(1 if failed or any(file.error for file in report.files) else 0)


def _print_report(report: Report, json: bool, interrupted: bool = False) -> None:
    for file in report.files:
        if file.error:
            note(f"tracks: {file.error}")
        elif not (file.read or interrupted):
            note(f"tracks: {file.file} has no lines.")
    if json:
        print_rows([{**report.as_dict(), "interrupted": interrupted}], "json")
        return
    several = len(report.files) > 1
    lines = [(f"{file.file} ({file.format})", file.as_dict()) for file in report.files]
    for name, counts in [*lines, *([("all", report.as_dict())] if several else [])]:
        figures = (f"{counts[n]:,} {n}" for n in ("read", "stored", "duplicate", "rejected"))
        print(f"{name}: {', '.join(figures)}")
    print(f"{report.runs:,} new {'run' if report.runs == 1 else 'runs'}")
    for path in dict.fromkeys(file.rejects for file in report.files if file.rejects):
        print(f"The rejected lines, with their reasons, are in {path}.")


@click.command(
    cls=Command,
    examples="""
tracks export > tracks.jsonl
tracks export --out march.csv.gz --from 2026-03-01 --to 2026-03-31
tracks export --user ann --format csv
tracks export tracks.parquet
tracks export | tracks --storage sqlite:copy.db import -
""",
)
@click.argument("file", metavar="[FILE]", required=False)
@click.option("--out", metavar="FILE", help="The same as FILE.")
@click.option(
    "--format",
    type=click.Choice(FILE_FORMATS),
    help="By default that of the file's name, else jsonl.",
)
@criteria_options()
def export(file: str | None, out: str | None, format: FileFormat | None, asked: Asked) -> None:
    """Write tracks as JSON lines, CSV, Parquet or Arrow.

    `tracks import` takes the first two. There a run is given by its label, or its number where it
    has none; in Parquet and Arrow, by its number. A file appears when it is complete, and is
    compressed if its name ends in .gz or .zst.
    """
    if file is not None and out is not None:
        raise click.UsageError("FILE and --out cannot both be given.")
    out = out or file
    with opened(attributes=asked.attributes) as storage:
        if out is None or out == "-":
            for _, piece in export_pieces(storage, format or "jsonl", **asked.criteria):
                sys.stdout.buffer.write(piece)
            return
        whole = storage.countTracks(**asked.criteria) if sys.stderr.isatty() else None
        total = 0
        with progress("Exporting") as tell:
            for total in export_file(storage, out, format, **asked.criteria):
                tell(total, whole, total)
    note(f"{total:,} tracks are in {out}.")


@click.command(
    cls=Command,
    examples="""
tracks sample --tracks 100000 --seed 1 --days 90 --out sample.jsonl.gz
tracks sample --tracks 1000 | tracks import -
tracks sample --tracks 20000 --save      straight into tracks.db
""",
)
@click.option("--tracks", type=click.IntRange(0), default=10_000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Another one: another log.")
@click.option("--days", type=click.IntRange(1, 36_500), default=90, show_default=True)
@click.option("--out", metavar="FILE", help="A file, compressed if it ends in .gz or .zst.")
@click.option("--save", is_flag=True, help="Save the tracks in the storage.")
def sample(tracks: int, seed: int, days: int, out: str | None, save: bool) -> None:
    """Write a plausible activity log of any size.

    It has courses, lessons, quizzes, and users with habits, and begins on 2026-01-05. The same
    options give the same bytes. Saved twice, it is stored once.
    """
    from cybertools.tracking.sample import sample_lines

    if save and out is not None:
        raise click.UsageError("--out and --save cannot both be given.")
    pieces = sample_lines(tracks, seed, days)
    if save:
        lines = chain.from_iterable(piece.splitlines() for piece in pieces)
        counts = Counts()
        with opened(make=True) as storage, progress("Saving") as tell:
            for counts in import_lines(storage, lines, origin=f"sample {tracks} {seed} {days}"):
                tell(counts.read, tracks, counts.read)
        note(f"{counts.stored:,} tracks stored, {counts.duplicate:,} were there before.")
    elif out is None or out == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
    else:
        total = 0
        with progress("Writing") as tell:
            for total in write_file(out, ((piece.count(b"\n"), piece) for piece in pieces)):
                tell(total, tracks, total)
        note(f"{total:,} tracks are in {out}.")
