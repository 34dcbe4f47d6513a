"""Commands about a service: run one, and watch one."""

import os
import socket
from contextlib import closing
from typing import Literal

import click

from cybertools.tracking.cli.command import Command, Place
from cybertools.tracking.cli.output import note
from cybertools.tracking.errors import Unsupported

__all__ = ["serve"]


@click.command(
    cls=Command,
    examples="""
tracks serve                                         tracks.db on http://127.0.0.1:8080
tracks serve postgresql://localhost/tracks --port 9000
tracks serve sqlite:tracks.db --storage-name access --storage-name comments
tracks serve --port 0 --log-format json              a free port, which it prints
""",
)
@click.argument("url", required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="0: a free one."
)
@click.option(
    "--storage-name",
    "names",
    metavar="NAME",
    multiple=True,
    help="A storage that is made if it is not there. [default: that of --name]",
)
@click.option(
    "--index", "attributes", metavar="NAME", multiple=True, help="Data that get an index."
)
@click.option(
    "--origin",
    "origins",
    metavar="ORIGIN",
    multiple=True,
    help="A web page whose scripts may use the service: https://example.org.",
)
@click.option(
    "--proxy",
    "proxies",
    metavar="ADDRESS",
    multiple=True,
    help="A reverse proxy whose X-Forwarded-For is believed.",
)
@click.option(
    "--segment-map",
    metavar="MAPPING",
    default="",
    help="How messages of Segment's libraries become tracks: page=properties.url,run=context.sid.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Lines for people, or JSON lines for programs, on standard error.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning"]),
    default="info",
    show_default=True,
    help="debug has a line for each request.",
)
def serve(
    url: str | None,
    host: str,
    port: int,
    names: tuple[str, ...],
    attributes: tuple[str, ...],
    origins: tuple[str, ...],
    proxies: tuple[str, ...],
    segment_map: str,
    log_format: Literal["text", "json"],
    log_level: Literal["debug", "info", "warning"],
) -> None:
    """Serve the storages of a database over HTTP.

    URL is the database, by default that of --storage. Each save is answered when it is on disk.
    SIGTERM ends the service when all that was begun is answered.
    """
    place = click.get_current_context().find_root().ensure_object(Place)
    try:
        from cybertools.tracking.service.access.gate import Gate
        from cybertools.tracking.service.access.sessions import Sessions
        from cybertools.tracking.service.access.signing_in import SignIn
        from cybertools.tracking.service.access.starting import (
            first_token,
            open_tokens,
            require_tokens,
        )
        from cybertools.tracking.service.access.users import open_users
        from cybertools.tracking.service.app import make_app
        from cybertools.tracking.service.logs import set_up
        from cybertools.tracking.service.segment import parse_mapping
        from cybertools.tracking.service.serving import listening
        from cybertools.tracking.service.serving import serve as serve_app
        from cybertools.tracking.service.settings import Settings
        from cybertools.tracking.service.web import pages
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"A service needs {error.name}: pip install 'cybertools-tracking[service]'."
        ) from None
    settings = Settings(
        url=url or place.url,
        names=names or (place.name,),
        attributes=attributes,
        origins=origins,
        segment=parse_mapping(segment_map),
    )
    with open_tokens(settings.url) as tokens, open_users(settings.url) as users:
        require_tokens(host, tokens)
        first = first_token(host, tokens)
        if first is not None:
            note(f"The first token, for everything. Keep it: it is shown only now.\n{first}")
        with (
            closing(Gate(tokens)) as gate,
            closing(SignIn(users)) as sign_in,
            listening(host, port) as sock,
        ):
            sessions = Sessions(gate, sign_in, users, os.environ.get("TRACKS_SECRET"))
            app = make_app(settings, gate, pages(sessions, tokens))
            set_up(log_format, log_level)
            serve_app(app, sock, lambda: note(f"{settings.url} is served at {_url(sock)}"), proxies)


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
