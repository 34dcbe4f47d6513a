"""The command ``tracks``: its commands, and how it ends."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NoReturn

import click

from cybertools.tracking.cli.command import Group, Place
from cybertools.tracking.cli.completion import completion_options
from cybertools.tracking.errors import StorageError, TrackingError, TrackNotFound

__all__ = ["cli", "main"]

OK, FAILED, USAGE, STORAGE, INTERRUPTED = 0, 1, 2, 3, 130

HELP = """Record what users do, and ask about it: who did what, in which task, when, and what last.

\b
A track has a task (taskId), a run (runId: one pass through the task), a user
(userName), a time (timeStamp, seconds since 1970 UTC) and data.

\b
Exit codes: 0 done; 1 not found, findings, or a file not read to its end;
2 wrong arguments; 3 the storage cannot be opened or used; 130 interrupted.
"""

EXAMPLES = """
tracks import access.log                    read a log into tracks.db
tracks overview                             what is there
tracks query --user ann --from 2026-03-01   who did what, when
tracks last --user ann                      and what last
tracks --storage sqlite:other.db count      another database
TRACKS_STORAGE=sqlite:other.db tracks info  the same for all commands
"""


COMMANDS = {
    "import": "moving.import_",
    "export": "moving.export",
    "copy": "copying.copy",
    "sample": "moving.sample",
    "save": "saving.save",
    "run": "saving.run",
    "query": "asking.query",
    "last": "asking.last",
    "count": "asking.count",
    "tasks": "listing.tasks",
    "users": "listing.users",
    "runs": "listing.runs",
    "overview": "listing.overview",
    "report": "reporting.report",
    "info": "keeping.info",
    "reindex": "keeping.reindex",
    "check": "keeping.check",
    "serve": "serving.serve",
    "watch": "watching.watch",
    "token": "tokens.token",
    "user": "accounts.user",
    "migrate": "migrating.migrate",
}


class _Commands(Group):
    """The commands, each imported when it is used: most calls need one of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Their names, in an order in which they are learnt."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(".")
        command: click.Command = getattr(import_module(f"{__package__}.{module}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. It is no failure if who reads its output has seen enough."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return _unread()


@click.group(cls=_Commands, help=HELP, examples=EXAMPLES)
@click.option(
    "--storage",
    metavar="URL",
    envvar="TRACKS_STORAGE",
    help="The database: sqlite:PATH, zodb:PATH, memory:, … [env: TRACKS_STORAGE; default:"
    " sqlite:tracks.db]",
)
@click.option(
    "--name",
    metavar="NAME",
    envvar="TRACKS_NAME",
    help="Which storage of the database. [env: TRACKS_NAME; default: tracks]",
)
@completion_options
@click.version_option(package_name="cybertools-tracking", message="%(version)s")
@click.pass_context
def cli(context: click.Context, storage: str | None, name: str | None) -> None:
    """See HELP."""
    place = context.ensure_object(Place)
    place.url = storage or place.url
    place.name = name or place.name


def main(arguments: Sequence[str] | None = None, prog_name: str = "tracks") -> NoReturn:
    """Run the command, say in one line what was wrong, and end with an exit code."""
    _open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    # What a library logs would come between; what matters of it is in the error at the end.
    logging.getLogger().addHandler(logging.NullHandler())
    with _interrupted_by_sigterm():
        status = _status(arguments, prog_name)
    sys.exit(status)


def _open_standard_streams() -> None:
    """Those that were closed by whoever started the command lead nowhere.

    Else the next file that is opened, the database perhaps, would have such a stream's number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does: with its receipt, and no file half written."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _status(arguments: Sequence[str] | None, prog_name: str) -> int:
    try:
        status = cli.main(arguments, prog_name, standalone_mode=False) or OK
        sys.stdout.flush()
        return int(status)
    except BrokenPipeError:
        return _unread()
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return USAGE
    except click.UsageError as error:
        hint = f" See: {error.ctx.command_path} --help" if error.ctx else ""
        return _failed(error.format_message() + hint, USAGE)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except TrackNotFound as error:
        return _failed(str(error), FAILED)
    except StorageError as error:
        return _failed(str(error), STORAGE)
    except TrackingError as error:
        return _failed(str(error), USAGE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failed(f"{where}{error.strerror or error}.", FAILED)


def _unread() -> int:
    """The output is not read any more: what is still in the buffer goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return OK


def _failed(message: str, status: int) -> int:
    lines = [" ".join(line.split()) for line in message.splitlines()]
    print("tracks:", "; ".join(lines).replace(":;", ":"), file=sys.stderr)
    return status
