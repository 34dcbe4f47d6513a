"""Commands for the users of the service: user create, user list, user password, user remove."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cybertools.tracking.cli.command import DatabaseGroup, asked, done
from cybertools.tracking.cli.output import (
    Output,
    joined,
    note,
    output_option,
    print_rows,
    utc,
)
from cybertools.tracking.errors import InvalidValue, Unsupported
from cybertools.tracking.service.access.principal import SCOPES
from cybertools.tracking.service.access.starting import operator

if TYPE_CHECKING:
    from cybertools.tracking.service.access.users import Users

__all__ = ["user"]

COLUMNS = ("name", "scopes", "storages", "created", "changed")

F = TypeVar("F", bound=Callable[..., Any])


@click.group(
    cls=DatabaseGroup,
    examples="""
tracks user create ann                  who may look at the pages of the service
tracks user list
tracks user password ann                give her another password
tracks user remove ann
""",
)
def user() -> None:
    """Say who may sign in to the pages of the service with a password.

    These are the users of the service; `tracks users` prints those that tracks are about. Programs
    use tokens: see `tracks token`.
    """


def _password_option(function: F) -> F:
    return click.option(
        "--password-stdin",
        "from_stdin",
        is_flag=True,
        help="Read the password from standard input, instead of asking for it twice.",
    )(function)


@user.command(
    examples="""
tracks user create ann                            may look at everything
tracks user create bob --storage-name access      may look at one storage
tracks user create me --scope admin
tracks user create ann --password-stdin < password.txt
""",
)
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("read",),
    show_default="read",
    help="What the user may do; several times for several.",
)
@click.option(
    "--storage-name",
    "storages",
    metavar="NAME",
    multiple=True,
    help="A storage that the user may see; several times for several. [default: all]",
)
@_password_option
def create(name: str, scopes: tuple[str, ...], storages: tuple[str, ...], from_stdin: bool) -> None:
    """Make a user who signs in as NAME, and ask for a password."""
    with _opened(make=True) as users:
        if users.get(name) is not None:
            raise InvalidValue(f"There is a user {name} already: `tracks user password {name}`.")
        users.create(name, _password(from_stdin), scopes, operator(), storages or None)
    note(f"{name} may sign in.")


@user.command(
    "list",
    examples="""
tracks user list
tracks user list --json
""",
)
@output_option
def list_(output: Output | None) -> None:
    """Print the users, the oldest first, and when each password was set."""
    with _opened() as users:
        rows = [each.as_dict() for each in users.all()]
    if output == "json":
        print_rows(rows, output)
    elif output == "csv":
        print_rows(map(joined, rows), output, COLUMNS)
    elif rows:
        print_rows(map(_cells, rows), output, COLUMNS)
    else:
        note("There is no user yet: `tracks user create NAME` makes one.")


@user.command(
    examples="""
tracks user password ann
""",
)
@click.argument("name")
@_password_option
def password(name: str, from_stdin: bool) -> None:
    """Give the user NAME another password, which is asked for.

    Exit code 1 where there is no such user.
    """
    with _opened() as users:
        _look_for(users, name)
        users.set_password(name, _password(from_stdin), operator())
    note(f"{name} has another password.")


@user.command(
    examples="""
tracks user remove ann
""",
)
@click.argument("name")
def remove(name: str) -> None:
    """Remove the user NAME, who can sign in no more.

    Exit code 1 where there is no such user.
    """
    with _opened() as users:
        _look_for(users, name)
        users.remove(name, operator())
    note(f"{name} is removed.")


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a table for people."""
    times = {name: utc(row[name]) for name in ("created", "changed")}
    return {**joined(row), "storages": " ".join(row["storages"] or ["all"]), **times}


@contextmanager
def _opened(make: bool = False) -> Iterator["Users"]:
    try:
        from cybertools.tracking.service.access.users import open_users
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"Passwords need {error.name}: pip install 'cybertools-tracking[service]'."
        ) from error
    with open_users(asked(make).url) as users:
        yield users


def _look_for(users: "Users", name: str) -> None:
    if users.get(name) is None:
        note(f"There is no user {name}: `tracks user list` has their names.")
        done(1)


def _password(from_stdin: bool) -> str:
    """The new password."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    from cybertools.tracking.service.access.users import check_password

    return str(
        click.prompt(
            "Password",
            hide_input=True,
            confirmation_prompt=True,
            err=True,
            value_proc=check_password,
        )
    )
