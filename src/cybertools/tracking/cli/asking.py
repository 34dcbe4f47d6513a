"""Commands that ask for tracks: query, last, count."""

import click

from cybertools.tracking.cli.command import Command, done, opened
from cybertools.tracking.cli.criteria import Asked, criteria_options
from cybertools.tracking.cli.output import (
    Output,
    note,
    output_option,
    print_card,
    print_line,
    print_rows,
    print_tracks,
)
from cybertools.tracking.errors import InvalidValue

__all__ = ["count", "last", "query"]


@click.command(
    cls=Command,
    examples="""
tracks query --user ann                              all that ann did
tracks query --task 'algebra/*' --from 2026-03-01    since then, in tasks that begin so
tracks query --user ann --user bob --order=-timeStamp --limit 10
tracks query --where state=failed --where score=40   by what is in the data
tracks query --limit 100 --after 0000100 --json      a page, for a program
""",
)
@criteria_options()
@output_option
def query(asked: Asked, output: Output | None) -> None:
    """Print the tracks that meet all criteria, in order of their ids.

    An option that is given several times means any of its values. Without criteria these are all
    tracks. Data that are often asked for with --where get an index by `tracks reindex`.
    """
    with opened(attributes=asked.attributes) as storage:
        if not print_tracks(storage, asked.criteria, output) and output is None:
            note("No track meets the criteria.")


@click.command(
    cls=Command,
    examples="""
tracks last                           the last track of all
tracks last algebra/lesson-01 ann     ann's last track in a task
tracks last algebra/lesson-01 ann --run 3
tracks last --user ann --where verb=completed
""",
)
@click.argument("task", required=False)
@click.argument("user", required=False)
@criteria_options(paged=False)
@output_option
def last(task: str | None, user: str | None, asked: Asked, output: Output | None) -> None:
    """Print the last track: of all, of a TASK, of a USER in a task.

    The last one has the highest time stamp and, among equals, the highest id. --run 0 is the task's
    current run. Exit code 1 where there is none.
    """
    criteria = asked.criteria
    for name, value in (("taskId", task), ("userName", user)):
        if value is not None:
            if name in criteria:
                raise click.UsageError(f"There are two values for {name}.")
            criteria[name] = value
    with opened(attributes=asked.attributes) as storage:
        if criteria.get("runId") == 0:
            tasks = criteria.get("taskId")
            if not isinstance(tasks, str):
                raise InvalidValue("--run 0 is the current run of a task: say of which.")
            criteria["runId"] = storage.currentRuns.get(tasks, 0)
        found = storage.query(**criteria, order="-timeStamp", limit=1)
    if not found:
        note("There is no such track.")
        done(1)
    values = found[0].as_dict()
    if output is None:
        print_card({**values, "data": found[0].json})
    else:
        print_rows([values], output)


@click.command(
    cls=Command,
    examples="""
tracks count                           all tracks
tracks count --task 'algebra/*'        those of tasks that begin so
tracks count --user ann --from 2026-03-01 --to 2026-03-31
""",
)
@criteria_options(paged=False)
@output_option
def count(asked: Asked, output: Output | None) -> None:
    """Print how many tracks meet the criteria."""
    with opened(attributes=asked.attributes) as storage:
        number = storage.countTracks(**asked.criteria)
    print_line(number, output, {"count": number})
