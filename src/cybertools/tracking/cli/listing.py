"""Commands that list what there is: tasks, users, runs, and an overview of all."""

from collections.abc import Callable, Iterable
from heapq import nlargest
from itertools import islice
from typing import Any, get_args

import click

from cybertools.tracking.cli.command import Command, opened
from cybertools.tracking.cli.output import (
    Output,
    output_option,
    print_card,
    print_rows,
)
from cybertools.tracking.interfaces import RunState, Storage
from cybertools.tracking.track import Run

__all__ = ["overview", "runs", "tasks", "users"]


def _list_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option, help, kwargs in (
        ("--top", "Only the so many with the most tracks.", {"type": click.IntRange(1)}),
        ("--count", "With the number of tracks of each.", {"is_flag": True}),
    ):
        function = click.option(option, help=help, **kwargs)(function)
    return function


def _print_names(
    name: str,
    values: Iterable[str],
    number_of: Callable[[str], int],
    count: bool,
    top: int | None,
    output: Output | None,
) -> None:
    """Print ids or names, with the numbers of their tracks if they are wanted."""
    if not (count or top):
        print_rows(({name: value} for value in values), output, [name])
        return
    counted: Iterable[tuple[str, int]] = ((value, number_of(value)) for value in values)
    if top:
        counted = _most(counted, top)
    rows = ({name: value, "tracks": number} for value, number in counted)
    print_rows(rows, output, [name, "tracks"])


@click.command(
    cls=Command,
    examples="""
tracks tasks                the ids of all tasks
tracks tasks --top 10       the busiest ones
tracks tasks --count --csv
""",
)
@_list_options
@output_option
def tasks(count: bool, top: int | None, output: Output | None) -> None:
    """Print the ids of all tasks with tracks, sorted."""
    with opened() as storage:
        _print_names(
            "taskId",
            storage.getTaskIds(),
            lambda task: storage.countTracks(taskId=task),
            count,
            top,
            output,
        )


@click.command(
    cls=Command,
    examples="""
tracks users                        all users
tracks users algebra/lesson-01      those with tracks in a task
tracks users --top 10               the most active ones
""",
)
@click.argument("tasks", metavar="[TASK]...", nargs=-1)
@click.option("--task", "more", multiple=True, help="The same as TASK.")
@_list_options
@output_option
def users(
    tasks: tuple[str, ...],
    more: tuple[str, ...],
    count: bool,
    top: int | None,
    output: Output | None,
) -> None:
    """Print the names of all users with tracks, or of those in tasks."""
    chosen = [*tasks, *more]
    with opened() as storage:
        criteria = {"taskId": chosen} if chosen else {}
        _print_names(
            "userName",
            _users_of(storage, chosen),
            lambda user: storage.countTracks(userName=user, **criteria),
            count,
            top,
            output,
        )


def _users_of(storage: Storage, tasks: list[str]) -> list[str]:
    names: set[str] = set()
    for task in tasks or storage.getTaskIds():
        names.update(storage.getUserNames(task))
    return sorted(names)


RUN_COLUMNS = ("runId", "taskId", "label", "start", "end", "finished")


@click.command(
    cls=Command,
    examples="""
tracks runs                           all runs
tracks runs --task algebra/quiz-01    those of a task
tracks runs --state current           the current run of each task
""",
)
@click.option("--task", help="Only those of that task.")
@click.option("--state", type=click.Choice(get_args(RunState)), default="all", show_default=True)
@click.option("--limit", type=click.IntRange(0), help="So many at most.")
@output_option
def runs(task: str | None, state: RunState, limit: int | None, output: Output | None) -> None:
    """Print the runs, with their starts and ends (UTC)."""
    with opened() as storage:
        found: Iterable[Run]
        if state == "current":
            found = (storage.runs[runId] for runId in storage.currentRuns.values())
        else:
            found = (storage.runs if state == "all" else storage.finishedRuns).values()
        chosen = (run.as_dict() for run in found if task in (None, run.taskId))
        print_rows(islice(chosen, limit), output, RUN_COLUMNS)


@click.command(
    cls=Command,
    examples="""
tracks overview
tracks overview --top 3 --json
""",
)
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="So many tasks.")
@click.option("--json", "json", is_flag=True, help="Print one JSON object.")
def overview(top: int, json: bool) -> None:
    """Print a first report.

    How much there is, the busiest tasks, and the last track of the most active user.
    """
    with opened() as storage:
        info = storage.info()
        count = storage.countTracks
        tasks = _most(((task, count(taskId=task)) for task in storage.getTaskIds()), top)
        users = _most(((user, count(userName=user)) for user in _users_of(storage, [])), 1)
        found = storage.query(userName=users[0][0], order="-timeStamp", limit=1) if users else []
    times = {"timeFrom": info.time_from, "timeTo": info.time_to}
    counts = {"tracks": info.tracks, "tasks": info.tasks, "users": info.users, "runs": info.runs}
    busiest = [{"taskId": task, "tracks": number} for task, number in tasks]
    if json:
        active = {"userName": users[0][0], "tracks": users[0][1]} if users else None
        last = found[0].as_dict() if found else None
        rest = {"busiestTasks": busiest, "mostActiveUser": active, "lastTrack": last}
        print_rows([{**counts, **times, **rest}], "json")
        return
    print_card({**counts, **times})
    if found:
        last_track = found[0]
        print("\nThe busiest tasks")
        print_rows(busiest, None)
        print(f"\nThe last track of the most active user ({users[0][1]:,} tracks)")
        print_card({**last_track.as_dict(), "data": last_track.json})


def _most(counted: Iterable[tuple[str, int]], top: int) -> list[tuple[str, int]]:
    """Those with the highest numbers; among equals, those that come first."""
    return nlargest(top, counted, key=lambda pair: pair[1])
