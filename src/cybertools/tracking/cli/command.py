"""What all commands have in common: examples in their help, and the storage that they work on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cybertools.tracking.errors import StorageError
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.opening import open_storage
from cybertools.tracking.track import Track

__all__ = [
    "Command",
    "DatabaseCommand",
    "DatabaseGroup",
    "Group",
    "Place",
    "asked",
    "done",
    "opened",
    "track_type",
]


@dataclass
class Place:
    """The storage that was asked for."""

    url: str = "sqlite:tracks.db"
    name: str = "tracks"


def _take(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    # The command's own option comes after that of the group, and wins.
    if value is not None:
        place = context.find_root().ensure_object(Place)
        setattr(place, "url" if parameter.name == "storage" else "name", value)


def _storage_options() -> list[click.Parameter]:
    return [
        click.Option([option], metavar=metavar, help=help, callback=_take, expose_value=False)
        for option, metavar, help in (
            ("--storage", "URL", "The database, as before the command: tracks --storage URL …"),
            ("--name", "NAME", "Which storage of the database."),
        )
    ]


class Command(click.Command):
    """A command on a storage, whose help ends in examples."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {"max_content_width": 100})
        super().__init__(*args, **kwargs)
        self.examples = examples
        if not isinstance(self, click.Group):
            self.params += _storage_options()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are, one a line."""
        with formatter.section("Examples"):
            for line in self.examples.strip().splitlines():
                formatter.write(f"  {line}\n")
        super().format_epilog(ctx, formatter)


class Group(Command, click.Group):
    """A command with commands of its own."""

    command_class = Command


class DatabaseCommand(Command):
    """A command on a whole database, not on one of its storages: it has no ``--name``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [each for each in self.params if "--name" not in each.opts]


class DatabaseGroup(Group):
    """A command with commands on a whole database."""

    command_class = DatabaseCommand


@contextmanager
def opened(make: bool = False, attributes: tuple[str, ...] = ()) -> Iterator[Storage]:
    """The storage that was asked for.

    :param make: make the file if it is not there; else that is an error that tells what would.
    :param attributes: data that are queried by.
    """
    place = asked(make)
    with open_storage(place.url, place.name, track_type(attributes)) as storage:
        yield storage


def asked(make: bool = False) -> Place:
    """The database and storage that were asked for, not opened.

    :param make: the file need not be there; else that is an error that tells what would make it.
    """
    place = click.get_current_context().find_root().ensure_object(Place)
    missing = None if make else _missing_file(place.url)
    if missing is not None:
        raise StorageError(
            f"There is no {missing} here yet: `tracks import FILE` or `tracks save …` makes it."
        )
    return place


def track_type(attributes: tuple[str, ...]) -> type[Track]:
    """The type of tracks that are queried by these data as well."""
    if not attributes:
        return Track
    names = (*Track.index_attributes, *attributes)
    return type("Track", (Track,), {"__slots__": (), "index_attributes": names})


def _missing_file(url: str) -> str | None:
    scheme, _, path = url.partition(":")
    if scheme.lower() not in ("sqlite", "zodb") or path in ("", ":memory:"):
        return None
    if path.startswith("//"):  # sqlite:///home/me/tracks.db
        path = "/" + path.lstrip("/")
    return None if Path(path).expanduser().exists() else path


def done(status: int) -> None:
    """End the program with that exit code."""
    click.get_current_context().exit(status)
