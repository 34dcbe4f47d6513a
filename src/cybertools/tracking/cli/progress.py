"""How far a long command is, for people: on standard error, if that is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from cybertools.tracking.cli.output import coloured

__all__ = ["Tell", "progress"]

Tell: TypeAlias = Callable[[int, int | None, int], None]
"""Is told how much is done, of how much (None: nobody knows), and the lines or tracks so far."""


@contextmanager
def progress(what: str) -> Iterator[Tell]:
    """Show what is going on, with its rate and the time that is left."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[lines]:,} at {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True, color_system="auto" if coloured() else None)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None, lines=0, rate=0.0)

        def tell(done: int, whole: int | None, lines: int) -> None:
            elapsed = bar.tasks[0].elapsed or 0.0
            rate = lines / elapsed if elapsed else 0.0
            bar.update(task, completed=done, total=whole, lines=lines, rate=rate)

        yield tell
