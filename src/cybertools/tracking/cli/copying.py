"""The command that copies storages from one database into another: copy."""

from collections.abc import Sequence
from typing import Any

import click

from cybertools.tracking.cli.command import Command, Place, done, track_type
from cybertools.tracking.cli.output import note, print_rows
from cybertools.tracking.cli.progress import progress
from cybertools.tracking.errors import InvalidValue, StorageUnavailable, Unsupported
from cybertools.tracking.opening import open_storage, storage_names
from cybertools.tracking.transfer.comparing import Compared, compare_storages
from cybertools.tracking.transfer.copying import Copied, copy_storage

__all__ = ["copy"]

NAMED = 10
"""Differences that are named to a person; programs are told of all."""


@click.command(
    cls=Command,
    examples="""
tracks copy sqlite:tracks.db postgresql://ann@db.example/app
tracks copy sqlite:tracks.db zodb:tracks.fs --name comments     the storage of that name
tracks copy sqlite:site.db sqlite:copy.db --all                 all that are in the database
tracks copy sqlite:tracks.db sqlite:copy.db --verify-only       is it still the same?
""",
)
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--all", "all_", is_flag=True, help="All storages of the database, not one.")
@click.option("--to-name", metavar="NAME", help="The storage's name in TO, if it is another.")
@click.option(
    "--attribute",
    "attributes",
    metavar="NAME",
    multiple=True,
    help="A name in the data, to index in TO where the storage is made there.",
)
@click.option(
    "--verify/--no-verify", default=True, help="Compare both in the end; that reads all of both."
)
@click.option("--verify-only", is_flag=True, help="Compare both, and copy nothing.")
@click.option("--json", "json", is_flag=True, help="Print a JSON object for each storage.")
def copy(
    source: str,
    target: str,
    all_: bool,
    to_name: str | None,
    attributes: tuple[str, ...],
    verify: bool,
    verify_only: bool,
    json: bool,
) -> None:
    """Copy a storage into another database, of any engine.

    All stays as it is: ids, runs, time stamps, keys; a save in TO goes on with the next id. TO is
    made if it is not there. It must be empty, or have been copied from FROM before.

    Broken off at any point, even by kill -9, the same command goes on from there. Asked again
    later, it takes over what FROM has gained: so copy while others go on saving in FROM, let them
    stop, and copy the rest. What is saved in FROM meanwhile is left to the next copy; tracks that
    are changed or removed there after they were copied are found by the comparison. Nobody may
    save in TO before the last copy.

    The comparison takes a checksum of each task's tracks on both sides. Exit code 1 where they
    differ.
    """
    if all_ and to_name is not None:
        raise click.UsageError("--all and --to-name cannot both be given.")
    if verify_only and not verify:
        raise click.UsageError("--verify-only and --no-verify cannot both be given.")
    for url, place in ((source, "FROM"), (target, "TO")):
        if _is_in_memory(url):
            raise click.UsageError(
                f"{place} is in the memory of this command: empty when it begins, gone when it"
                " ends. In Python copy_storage takes such a storage."
            )
    equal = True
    try:
        for name in _names(source, all_):
            other = to_name or name
            if verify_only:
                _check_name(target, other, "TO")
            copied, compared = _copy(
                (source, name), (target, other), attributes, verify, not verify_only
            )
            if json:
                print_rows([_as_dict(name, other, copied, compared)], "json")
            else:
                _print(name, copied, compared)
            equal = equal and (compared is None or compared.equal)
    except KeyboardInterrupt:
        note("Interrupted: the same command goes on from here.")
        done(130)
    except StorageUnavailable as error:
        raise StorageUnavailable(f"{error} The same command goes on from here.") from error
    done(0 if equal else 1)


# There are two storages, and both are arguments.
copy.params = [parameter for parameter in copy.params if parameter.name != "storage"]


def _is_in_memory(url: str) -> bool:
    scheme, colon, path = url.partition(":")
    return bool(colon) and (scheme.lower(), path) in _IN_MEMORY


_IN_MEMORY = {("memory", ""), ("sqlite", ""), ("sqlite", ":memory:")}


def _names(url: str, every: bool) -> list[str]:
    """The names of the storages to copy."""
    name = click.get_current_context().find_root().ensure_object(Place).name
    if not every:
        _check_name(url, name, "FROM")
        return [name]
    names = storage_names(url)
    if not names:
        raise InvalidValue("There are no storages in FROM.")
    return names


def _check_name(url: str, name: str, place: str) -> None:
    """Refuse a storage that is not there, which opening it would make."""
    try:
        names = storage_names(url)
    except Unsupported:
        return
    if name not in names:
        there = f"there are: {', '.join(names)}" if names else "there are none"
        raise InvalidValue(f"There is no storage {name!r} in {place}; {there}.")


def _copy(
    source: tuple[str, str],
    target: tuple[str, str],
    attributes: tuple[str, ...],
    verify: bool,
    copy: bool,
) -> tuple[Copied | None, Compared | None]:
    copied = compared = None
    with open_storage(*source) as ours, open_storage(*target, track_type(attributes)) as theirs:
        if copy:
            with progress("Copying") as tell:
                copied = copy_storage(ours, theirs, tell)
        if verify:
            with progress("Comparing") as tell:
                compared = compare_storages(ours, theirs, copied, tell)
    return copied, compared


def _as_dict(
    name: str, other: str, copied: Copied | None, compared: Compared | None
) -> dict[str, Any]:
    return {
        "name": name,
        "toName": other,
        "copied": copied
        and {
            "tracks": copied.tracks,
            "runs": copied.runs,
            "keys": copied.keys,
            "found": copied.found,
            "upTo": copied.up_to,
        },
        "compared": compared
        and {
            "tracks": compared.tracks,
            "tasks": compared.tasks,
            "runs": compared.runs,
            "keys": compared.keys,
            "differentTasks": [task._asdict() for task in compared.different_tasks],
            "differentRuns": compared.different_runs,
            "differentKeys": compared.different_keys,
        },
        "equal": compared and compared.equal,
    }


def _print(name: str, copied: Copied | None, compared: Compared | None) -> None:
    if copied is not None:
        before = f" after {copied.found}" if int(copied.found) else ""
        print(
            f"{name}: {_many(copied.tracks, 'track')} copied{before}, up to {copied.up_to};"
            f" {_many(copied.runs, 'run')}, {_many(copied.keys, 'key')}"
        )
    if compared is None:
        return
    if compared.equal:
        print(
            f"{name}: equal in {_many(compared.tasks, 'task')} ({_many(compared.tracks, 'track')}),"
            f" {_many(compared.runs, 'run')}, {_many(compared.keys, 'key')}"
        )
        return
    tasks = [
        f"{task.taskId!r} (FROM has {_many(task.source, 'track')}, TO {task.target:,})"
        for task in compared.different_tasks
    ]
    _note_different(name, "task", tasks)
    _note_different(name, "run", compared.different_runs)
    _note_different(name, "key", [*map(repr, compared.different_keys)])


def _note_different(name: str, what: str, which: Sequence[object]) -> None:
    if which:
        differ = "differs" if len(which) == 1 else "differ"
        more = ", …" if len(which) > NAMED else ""
        shown = ", ".join(map(str, which[:NAMED]))
        note(f"{name}: {_many(len(which), what)} {differ}: {shown}{more}")


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
