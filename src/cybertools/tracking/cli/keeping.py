"""Commands that look after a storage: info, reindex, check."""

import time

import click

from cybertools.tracking.cli.command import Command, Place, done, opened
from cybertools.tracking.cli.output import (
    Output,
    note,
    output_option,
    print_card,
    print_rows,
)
from cybertools.tracking.opening import without_secrets

__all__ = ["check", "info", "reindex"]


@click.command(
    cls=Command,
    examples="""
tracks info
tracks info --json
""",
)
@output_option
def info(output: Output | None) -> None:
    """Print how much there is, and the bytes that it takes.

    The number of tracks, tasks, users and runs, the time range (UTC), and the size of each table
    and index.
    """
    with opened() as storage:
        found = storage.info()
    place = click.get_current_context().find_root().ensure_object(Place)
    values = {
        "storage": without_secrets(place.url),
        "name": place.name,
        "tracks": found.tracks,
        "tasks": found.tasks,
        "users": found.users,
        "runs": found.runs,
        "timeFrom": found.time_from,
        "timeTo": found.time_to,
        "bytes": found.bytes,
    }
    if output is not None:
        print_rows([{**values, "parts": dict(found.parts)}], output)
        return
    print_card(values)
    if found.parts:
        print()
        print_rows(({"part": name, "bytes": size} for name, size in found.parts.items()), None)


@click.command(
    cls=Command,
    examples="""
tracks reindex
tracks reindex --attribute state --attribute score    also index these data
""",
)
@click.option(
    "--attribute", "attributes", metavar="NAME", multiple=True, help="A name in the data, to index."
)
def reindex(attributes: tuple[str, ...]) -> None:
    """Build all indexes anew, or further ones.

    Data that are often asked for with --where are found faster with an index of their own.
    """
    start = time.monotonic()
    with opened(attributes=attributes) as storage:
        storage.setupIndexes()
        storage.reindexTracks()
        note(f"{len(storage):,} tracks indexed in {time.monotonic() - start:.1f} s.")


@click.command(
    cls=Command,
    examples="""
tracks check && echo all is well
""",
)
@output_option
def check(output: Output | None) -> None:
    """Look for damage in the storage.

    That reads all of it. Exit code 1 where something is wrong.
    """
    with opened() as storage:
        findings = storage.check()
    if output is not None:
        print_rows(({"finding": finding} for finding in findings), output, ["finding"])
    else:
        print("\n".join(findings) or "Nothing is wrong.")
    done(1 if findings else 0)
