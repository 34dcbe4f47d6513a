"""Completion of commands and options in the shell."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["completion_options"]

F = TypeVar("F", bound=Callable[..., Any])

SHELLS = ("bash", "zsh", "fish")


def completion_options(function: F) -> F:
    """Give a command ``--install-completion`` and ``--show-completion``."""
    for option, what, callback in (
        ("--show-completion", "Print what makes a shell complete commands and options.", _show),
        ("--install-completion", "Let your shell complete commands and options.", _install),
    ):
        function = click.option(
            option,
            metavar="[SHELL]",
            is_flag=False,
            flag_value="",
            type=click.Choice(["", *SHELLS]),
            is_eager=True,
            expose_value=False,
            callback=callback,
            help=what,
        )(function)
    return function


def _show(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None and not context.resilient_parsing:
        click.echo(_script(context, _shell(value)))
        context.exit()


def _install(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is None or context.resilient_parsing:
        return
    shell = _shell(value)
    path = _place(shell)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_script(context, shell), encoding="utf-8")
    click.echo(f"{path} is written; it works in a new shell.")
    if shell == "zsh":
        click.echo(f"~/.zshrc needs, before compinit: fpath+=({path.parent})")
    context.exit()


def _shell(value: str) -> str:
    shell = value or Path(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        raise click.UsageError(f"Which shell is it? --install-completion {'|'.join(SHELLS)}")
    return shell


def _place(shell: str) -> Path:
    """Where a shell looks for completions of a user."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return {
        "bash": data / "bash-completion" / "completions" / "tracks",
        "zsh": Path.home() / ".zfunc" / "_tracks",
        "fish": config / "fish" / "completions" / "tracks.fish",
    }[shell]


def _script(context: click.Context, shell: str) -> str:
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    kind = {"bash": BashComplete, "fish": FishComplete, "zsh": ZshComplete}[shell]
    return kind(context.command, {}, "tracks", "_TRACKS_COMPLETE").source()
