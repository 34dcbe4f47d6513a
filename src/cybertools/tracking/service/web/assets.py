"""The style sheet, the script and the icon: kept by browsers until they change."""

import gzip
from functools import cache
from hashlib import blake2b
from importlib.resources import files

from cybertools.tracking.service.endpoints import Endpoint
from cybertools.tracking.service.problems import Bad
from cybertools.tracking.service.replies import Header, Reply
from cybertools.tracking.service.requests import Call
from cybertools.tracking.service.service import Service

__all__ = ["ENDPOINTS", "address_of"]

KINDS = {
    "style.css": b"text/css; charset=utf-8",
    "pages.js": b"text/javascript; charset=utf-8",
    "icon.svg": b"image/svg+xml",
}


@cache
def _contents(name: str) -> tuple[bytes, bytes, str]:
    plain = files(__package__ or "").joinpath(f"static/{name}").read_bytes()
    return plain, gzip.compress(plain, mtime=0), blake2b(plain, digest_size=6).hexdigest()


def address_of(name: str) -> str:
    """Where browsers get a file: another address whenever it has changed."""
    return f"/static/{name}?v={_contents(name)[2]}"


async def get_asset(_service: Service, call: Call) -> Reply:
    """A file."""
    name = call.parts["file"]
    if name not in KINDS:
        raise Bad("not-found", "There is nothing at this path.")
    plain, packed, _ = _contents(name)
    headers: list[Header] = [
        (b"cache-control", b"public, max-age=31536000, immutable"),
        (b"vary", b"Accept-Encoding"),
    ]
    if b"gzip" in call.headers.get(b"accept-encoding", b""):
        return Reply(200, packed, KINDS[name], [*headers, (b"content-encoding", b"gzip")])
    return Reply(200, plain, KINDS[name], headers)


ENDPOINTS = [Endpoint("GET", "/static/{file}", None, get_asset)]
