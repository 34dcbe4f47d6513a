"""Commands for the tokens of the service: token create, token list, token revoke."""

from typing import Any

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
from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.service.access.principal import SCOPES
from cybertools.tracking.service.access.starting import open_tokens, operator
from cybertools.tracking.service.access.tokens import Token, id_in
from cybertools.tracking.transfer.gaps import parse_duration
from cybertools.tracking.values import now, parse_instant, shown

__all__ = ["token"]

COLUMNS = ("id", "name", "scopes", "storages", "origins", "expires", "lastUsed", "state")


@click.group(
    cls=DatabaseGroup,
    examples="""
tracks token create importer --scope write          for a program that sends tracks
tracks token list
tracks token revoke x4k09vq2ma
""",
)
def token() -> None:
    """Say who may use the service, and for what.

    A token stands for a program or a person. It is for some or all storages of a database, and has
    scopes: `write` saves tracks, `read` asks for them, `admin` may do everything.
    """


@token.command(
    examples="""
tracks token create importer --scope write
tracks token create ann --scope read --storage-name tracks --expires 90d
tracks token create me --scope admin
tracks token create shop --origin https://shop.example.org --storage-name tracks
""",
)
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="What it may do; several times for several. With --origin: write.",
)
@click.option(
    "--storage-name",
    "storages",
    metavar="NAME",
    multiple=True,
    help="A storage that it is for; several times for several. [default: all]",
)
@click.option(
    "--expires",
    metavar="WHEN",
    help="When it ends: 12h, 90d, or a date, the end of which (UTC) it is. [default: never]",
)
@click.option(
    "--origin",
    "origins",
    metavar="ORIGIN",
    multiple=True,
    help="Make a public key for the pages of https://HOST; several times for several.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    metavar="NUMBER",
    help="So many requests a second at most. [default: no limit]",
)
@output_option
def create(
    name: str,
    scopes: tuple[str, ...],
    storages: tuple[str, ...],
    expires: str | None,
    origins: tuple[str, ...],
    rate: float | None,
    output: Output | None,
) -> None:
    """Make a token for NAME, and print it, this once.

    Only a hash of it is kept: who loses it gets another one. A token with --origin is a public key
    for web pages: it may only save tracks, and only from pages of these origins.
    """
    if not (scopes or origins):
        raise click.UsageError("What may it do? --scope write, --scope read or --scope admin.")
    with open_tokens(asked(make=True).url) as tokens:
        made = tokens.create(
            name,
            scopes or ["write"],
            operator(),
            storages or None,
            None if expires is None else _end(expires),
            origins,
            rate,
        )
    if output is not None:
        print_rows([{**_row(made.token), "token": made.text}], output)
        return
    print(made.text)
    note("This is the token. Keep it: it is shown only now.")


@token.command(
    "list",
    examples="""
tracks token list
tracks token list --json
""",
)
@output_option
def list_(output: Output | None) -> None:
    """Print the tokens, the oldest first.

    When one was last used is kept once a minute.
    """
    with open_tokens(asked().url) as tokens:
        rows = [_row(each) for each in tokens.all()]
    if output == "json":
        print_rows(rows, output)
    elif output == "csv":
        print_rows(map(joined, rows), output, COLUMNS)
    elif rows:
        print_rows(map(_cells, rows), output, COLUMNS)
    else:
        note("There is no token yet: `tracks token create NAME --scope …` makes one.")


@token.command(
    examples="""
tracks token revoke x4k09vq2ma
""",
)
@click.argument("id")
def revoke(id: str) -> None:
    """End a token, by its ID or by the token itself.

    A running service refuses it some seconds later. Exit code 1 where there is no such token.
    """
    with open_tokens(asked().url) as tokens:
        ended = tokens.revoke(id_in(id) or id, operator())
    if ended is None:
        note("There is no such token: `tracks token list` has their ids.")
        done(1)
    else:
        note(f"The token of {ended.name} is revoked.")


def _end(text: str) -> float:
    """When a token ends that was asked for with this text."""
    try:
        return now() + parse_duration(text)
    except InvalidValue:
        pass
    try:
        seconds = parse_instant(text, "--expires")
    except InvalidValue:
        raise InvalidValue(
            "--expires is a duration like 12h or 90d, or a date like 2030-12-31,"
            f" not {shown(text)}."
        ) from None
    return seconds + 86_400 if len(text.strip()) <= len("2030-12-31") else seconds


def _row(token: Token) -> dict[str, Any]:
    return {**token.as_dict(), "state": token.state(now())}


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a table for people."""
    times = {k: "never" if row[k] is None else utc(row[k]) for k in ("expires", "lastUsed")}
    return {**joined(row), "storages": " ".join(row["storages"] or ["all"]), **times}
