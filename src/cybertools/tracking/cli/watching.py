"""A command that follows a service: what is saved, as it is saved."""

import os
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import click

from cybertools.tracking.cli.command import Command, Place
from cybertools.tracking.cli.criteria import Asked, criteria_options
from cybertools.tracking.cli.output import note, printable, utc
from cybertools.tracking.codec import Pairs, decode, encode, error_from, parameters_of
from cybertools.tracking.criteria import parse_criteria
from cybertools.tracking.errors import InvalidValue, StorageError, StorageUnavailable, Unsupported

__all__ = ["watch"]

PAUSE = 1.0
"""Seconds before it asks again, when the service has gone."""

SILENCE = 60.0
"""Seconds without a sign of life after which the connection is taken for dead."""


@click.command(
    cls=Command,
    examples="""
tracks watch http://127.0.0.1:8080
tracks watch http://127.0.0.1:8080 --task "algebra/*" --where verb=answered
tracks watch http://127.0.0.1:8080 --json --after 0000100     first what came after that track
""",
)
@click.argument("url")
@criteria_options(paged=False)
@click.option("--after", "since", metavar="ID", help="Begin with what came after that track.")
@click.option("--token", metavar="TOKEN", envvar="TRACKS_TOKEN", help="[env: TRACKS_TOKEN]")
@click.option("--json", "json", is_flag=True, help="Print JSON, an object a line.")
def watch(url: str, asked: Asked, since: str | None, token: str | None, json: bool) -> None:
    """Print the tracks that a service at URL saves, until interrupted.

    A connection that breaks is made again, and goes on where it was.
    """
    name = click.get_current_context().find_root().ensure_object(Place).name
    parameters = parameters_of(parse_criteria(asked.attributes, asked.criteria))
    for text in _events(f"{url.rstrip('/')}/api/storages/{name}/stream", parameters, since, token):
        if json:
            print(text, flush=True)
        else:
            _print(text)


def _events(url: str, parameters: Pairs, after: str | None, token: str | None) -> Iterator[str]:
    """The data of the events of a stream, for ever."""
    try:
        import httpx
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"Watching needs {error.name}: pip install 'cybertools-tracking[service]'."
        ) from None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    has_begun = False
    while True:
        if after:
            headers["Last-Event-ID"] = after
        try:
            with httpx.stream(
                "GET", url, params=urlencode(parameters), headers=headers, timeout=SILENCE
            ) as answer:
                if answer.status_code != 200:
                    _refuse(answer.status_code, answer.read(), has_begun)
                has_begun = True
                for line in answer.iter_lines():
                    if line.startswith("id: "):
                        after = line.removeprefix("id: ")
                    elif line.startswith("data: "):
                        yield line.removeprefix("data: ")
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise InvalidValue(f"URL must be like http://127.0.0.1:8080: {error}") from None
        except httpx.TransportError as error:
            if not has_begun:
                raise StorageUnavailable(f"There is no service at {url}: {error}.") from None
        note("The connection has ended; it is made again.")
        time.sleep(PAUSE)


def _refuse(status: int, body: bytes, has_begun: bool) -> None:
    """Raise the error that an answer is, unless it may pass."""
    try:
        problem = decode(body)
    except InvalidValue:
        problem = None
    if not isinstance(problem, dict):
        raise StorageError(f"The answer is {status}, not one of a tracks service.")
    error = error_from(problem)
    if not (has_begun and isinstance(error, StorageUnavailable)):
        raise error


def _print(text: str) -> None:
    """Print a track for people."""
    track: dict[str, Any] = decode(text.encode())
    cells = [
        track["id"],
        utc(track["timeStamp"]),
        printable(track["userName"]),
        printable(track["taskId"]),
        printable(encode(track["data"]).decode()),
    ]
    if not (sys.stdout.isatty() and not os.environ.get("NO_COLOR")):
        print("  ".join(cells), flush=True)
        return
    from rich.console import Console
    from rich.text import Text

    styles = ("dim", "dim", "green", "cyan", "none")
    line = Text("  ").join(Text(c, style=s) for c, s in zip(cells, styles, strict=True))
    Console(highlight=False).print(line, no_wrap=True, overflow="ellipsis")
