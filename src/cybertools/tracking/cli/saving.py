"""Commands that save: a track, and the runs that tracks belong to."""

import json
import sys
from typing import Any

import click

from cybertools.tracking.cli.command import Command, Group, done, opened
from cybertools.tracking.cli.criteria import text_value
from cybertools.tracking.cli.output import (
    Output,
    note,
    output_option,
    print_card,
    print_line,
    print_rows,
)
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.track import Run
from cybertools.tracking.transfer.times import text_time
from cybertools.tracking.values import track_id

__all__ = ["run", "save"]


@click.command(
    cls=Command,
    examples="""
tracks save algebra/lesson-01 ann verb=opened
tracks save algebra/quiz-01 ann verb=answered score=80 tags='["a", "b"]'
tracks save algebra/quiz-01 ann '{"verb": "answered", "score": 80}'
tracks save video ann second=95 --replace                  in place of ann's last one there
tracks save order ann verb=paid --key payment-17           only once, however often it is sent
tracks save order ann verb=paid --time 2026-03-01T09:28:00+01:00
""",
)
@click.argument("parts", metavar="TASK USER [DATA]...", nargs=-1)
@click.option("--task", help="The same as TASK.")
@click.option("--user", help="The same as USER.")
@click.option("--data", help="The same as DATA.")
@click.option("--run", type=int, default=0, help="A run's number; without it the current run.")
@click.option("--run-label", metavar="LABEL", help="The task's run of that label, made if needed.")
@click.option("--time", metavar="TIME", help="When, as ISO 8601 or seconds; by default now.")
@click.option("--key", help="An idempotency key: saved again with it, nothing is stored.")
@click.option("--replace", is_flag=True, help="Put it in place of the user's last track there.")
@click.option("--update", is_flag=True, help="Merge the data into the user's last track there.")
@click.option("--overwrite", is_flag=True, help="With --update: replace its data.")
@output_option
def save(
    parts: tuple[str, ...],
    task: str | None,
    user: str | None,
    data: str | None,
    run: int,
    run_label: str | None,
    time: str | None,
    key: str | None,
    replace: bool,
    update: bool,
    overwrite: bool,
    output: Output | None,
) -> None:
    """Save a track and print its id.

    DATA is a JSON object, or NAME=VALUE as often as needed, where VALUE is JSON if it can be (80,
    true, [1, 2]), else text; a single - is a JSON object on standard input.
    """
    left = list(parts)
    taskId = _taken(task, left, "TASK")
    userName = _taken(user, left, "USER")
    content = _data([*left, *([data] if data is not None else [])])
    if run_label is not None and run:
        raise click.UsageError("--run and --run-label cannot both be given.")
    with opened(make=True) as storage:
        runId = run if run_label is None else storage.openRun(taskId, run_label)
        saved = storage.save(
            taskId,
            runId,
            userName,
            content,
            replace,
            update,
            overwrite,
            None if time is None else text_time(time),
            key,
        )
    id = track_id(saved.number)
    print_line(id, output, {"id": id, "outcome": saved.outcome})


def _taken(given: str | None, left: list[str], name: str) -> str:
    """What an option gives or, if it is not there, the first of the arguments that are left."""
    if given is not None:
        return given
    if not left:
        raise click.UsageError(f"Missing {name}.")
    return left.pop(0)


def _data(parts: list[str]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for part in parts:
        text = sys.stdin.read() if part == "-" else part
        if text.lstrip().startswith("{"):
            try:
                data |= json.loads(text)
            except ValueError as error:
                raise click.UsageError(f"DATA is no JSON: {error}.") from None
            continue
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError(f"DATA is a JSON object or like score=80, not {part!r}.")
        data[name] = text_value(value)
    return data


@click.group(
    cls=Group,
    examples="""
tracks run start algebra/lesson-01     a new pass begins
tracks run show --task algebra/lesson-01
tracks run stop algebra/lesson-01
""",
)
def run() -> None:
    """Start, open, stop or show a run: one pass through a task."""


@run.command(
    examples="""
tracks run start algebra/lesson-01
""",
)
@click.argument("task", required=False)
@output_option
def start(task: str | None, output: Output | None) -> None:
    """Start a run and print its number. From now on it is the TASK's current one."""
    with opened(make=True) as storage:
        runId = storage.startRun(task)
    print_line(runId, output, {"runId": runId})


@run.command(
    name="open",
    examples="""
tracks run open algebra/lesson-01 session-4711
""",
)
@click.argument("task")
@click.argument("label")
@output_option
def open_run(task: str, label: str, output: Output | None) -> None:
    """Print the number of the TASK's run with that LABEL, which is started if there is none."""
    with opened(make=True) as storage:
        runId = storage.openRun(task, label)
    print_line(runId, output, {"runId": runId})


@run.command(
    examples="""
tracks run stop algebra/lesson-01      the current run
tracks run stop --run 3 --unfinished   a run by its number; it was given up
""",
)
@click.argument("task", required=False)
@click.option("--run", "runId", type=int, default=0, help="A run's number.")
@click.option("--unfinished", is_flag=True, help="It ends, but was not finished.")
@output_option
def stop(task: str | None, runId: int, unfinished: bool, output: Output | None) -> None:
    """Stop the TASK's current run, or any run, and print its number.

    Exit code 1 where there is none to stop.
    """
    if task is None and not runId:
        raise click.UsageError("Say which run: that of a TASK, or --run NUMBER.")
    with opened() as storage:
        stopped = storage.stopRun(task, runId, finish=not unfinished)
    if not stopped:
        note("There is no run to stop.")
        done(1)
    print_line(stopped, output, {"runId": stopped})


@run.command(
    examples="""
tracks run show 3
tracks run show --task algebra/lesson-01      the current run
""",
)
@click.argument("number", metavar="[RUN]", type=int, required=False)
@click.option("--task", help="The task whose current run it is.")
@output_option
def show(number: int | None, task: str | None, output: Output | None) -> None:
    """Print a run by its number, or a task's current one.

    Exit code 1 where there is none.
    """
    if task is None and not number:
        raise click.UsageError("Say which run: its number, or --task TASK.")
    with opened() as storage:
        found = storage.getRun(number or 0, taskId=task)
        tracks = _tracks_of(storage, found)
    if found is None:
        note("There is no such run.")
        done(1)
        return
    values = {**found.as_dict(), "tracks": tracks}
    if output is None:
        print_card(values)
    else:
        print_rows([values], output)


def _tracks_of(storage: Storage, run: Run | None) -> int:
    return 0 if run is None else storage.countTracks(runId=run.id)
