"""The command that brings the tables of a database up to date: migrate."""

import click

from cybertools.tracking.cli.command import Command, Place
from cybertools.tracking.cli.output import note
from cybertools.tracking.opening import migrate_storage

__all__ = ["migrate"]


@click.command(
    cls=Command,
    examples="""
tracks migrate --storage postgresql://db/app --dry-run    what would be done
tracks migrate --storage postgresql://db/app              do it
tracks migrate --storage postgresql://db/app --distribute --dry-run
""",
)
@click.option("--dry-run", is_flag=True, help="Print the statements, but do nothing.")
@click.option(
    "--distribute",
    is_flag=True,
    help="Also lay this storage out to be distributed by its users, and with Citus distribute it.",
)
def migrate(dry_run: bool, distribute: bool) -> None:
    """Bring the tables of a PostgreSQL database up to date.

    That is for all storages in it, after a new version of this program was installed. They may be
    used meanwhile. Each step is printed as SQL before it is done; one that was cut off is done
    again by the next call. Files (sqlite:, zodb:) are brought up to date whenever they are opened.
    """
    place = click.get_current_context().find_root().ensure_object(Place)
    count = 0
    for step in migrate_storage(place.url, place.name, distribute, dry_run):
        print(step, flush=True)
        count += 1
    if not count:
        note("Nothing is to be done.")
    elif dry_run:
        note(f"{count:,} steps are to be done.")
    else:
        note(f"{count:,} steps are done.")
