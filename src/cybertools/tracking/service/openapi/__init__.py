"""The OpenAPI document of the service, in parts as the rooms of the service are."""

from importlib.metadata import version
from typing import Any

from cybertools.tracking.service.openapi import managing, moving, pages, reporting, tracks, ways
from cybertools.tracking.service.openapi.schemas import SCHEMAS

__all__ = ["document"]

ABOUT = """\
A service for tracks: what users do, in which task, in which run, when, with what data.

An answer to a save is given when the track is on disk. Send a `key` with each track, and a save
whose answer was lost can be sent again: it is stored once.

A request carries its token as `Authorization: Bearer TOKEN`, or as the user name of Basic. There
are three scopes: `write` may save and open runs, `read` may ask, `admin` may do all; a token may be
for one storage only.

Bodies may be compressed (`Content-Encoding: gzip` or `zstd`). Whatever is wrong is answered with a
problem (`application/problem+json`, RFC 9457): its `type` tells programs which error it is, its
`detail` tells people what was wrong and what would be right. `408`, `429`, and `503` of the type
`overloaded`, mean that nothing was stored; `Retry-After` says when to try again. After any other
`5xx`, or none at all, it may have been stored: with a `key` it can be sent again. A parameter that
does not exist is refused.

A body may take 20 s to come, and a second more for each 1,024 bytes that have come; one that is
slower is answered with `408`, and the connection is closed.
"""


def document() -> dict[str, Any]:
    """The document, as OpenAPI 3.1 has it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cybertools.tracking",
            "version": version("cybertools-tracking"),
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": tracks.PATHS
        | managing.PATHS
        | moving.PATHS
        | reporting.PATHS
        | ways.PATHS
        | pages.PATHS,
        "components": {
            "schemas": SCHEMAS | moving.SCHEMAS | reporting.SCHEMAS | ways.SCHEMAS,
            "parameters": {},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The token is the user name; there is no password.",
                },
                "key": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "key",
                    "description": "A public write key, as it stands in web pages.",
                },
            },
        },
        "security": [{"bearer": []}, {"basic": []}],
        "tags": [
            {"name": "Tracks", "description": "What users did."},
            {"name": "Runs", "description": "Passes through tasks."},
            {"name": "Lists", "description": "Tasks and users."},
            {"name": "Reports", "description": "Questions about many tracks."},
            {"name": "Storages", "description": "Named collections of tracks and runs."},
            {
                "name": "Copies",
                "description": "Contents as they are stored, which `tracks copy` moves: ids, runs,"
                " times and keys stay as they are. Tracks are read as everywhere.",
            },
            {
                "name": "Segment",
                "description": "Segment's HTTP API, for its libraries: their events are tracks.",
            },
            {"name": "Web pages", "description": "The browser script, and what it sends."},
            {"name": "Service", "description": "The service itself. No token is needed."},
        ],
    }
