"""The service about itself: its health, its figures, its interface for programs and for people."""

import asyncio
import re
from functools import cache
from itertools import pairwise

from markdown_it import MarkdownIt

from cybertools.tracking.codec import encode
from cybertools.tracking.errors import StorageUnavailable
from cybertools.tracking.service.endpoints import Endpoint
from cybertools.tracking.service.openapi import document
from cybertools.tracking.service.reference import markdown
from cybertools.tracking.service.replies import HTML, JSON, PAGE_SECURITY, TEXT, Reply
from cybertools.tracking.service.requests import Call
from cybertools.tracking.service.service import Service

__all__ = ["ENDPOINTS"]

PATIENCE = 2.0
"""Seconds in which a database has to answer, for the service to be ready."""


async def is_alive(_service: Service, call: Call) -> Reply:
    """Whether the service runs."""
    call.parameters()
    return Reply(200, b"ok\n", TEXT)


async def is_ready(service: Service, call: Call) -> Reply:
    """Whether it can take requests."""
    call.parameters()
    if service.is_stopping:
        raise StorageUnavailable("The service stops.")
    opened = [*service.storages.opened().values()]
    if any(collection.writer.is_full for collection in opened):
        raise StorageUnavailable("Too many tracks wait to be stored.")
    for collection in opened[:1]:  # they are all in one database
        try:
            track = collection.storage.engine.track
            await asyncio.wait_for(collection.reader.work(track, 1), PATIENCE)
        except TimeoutError:
            raise StorageUnavailable("The database does not answer.") from None
    return Reply(200, b"ready\n", TEXT)


async def get_metrics(service: Service, call: Call) -> Reply:
    """Figures for Prometheus."""
    call.parameters()
    return Reply(200, await asyncio.to_thread(service.metrics.text), METRICS)


METRICS = b"text/plain; version=0.0.4; charset=utf-8"


async def get_document(_service: Service, call: Call) -> Reply:
    """The OpenAPI document."""
    call.parameters()
    return Reply(200, _document(), JSON)


async def get_reference(_service: Service, call: Call) -> Reply:
    """The same for people."""
    call.parameters()
    return Reply(200, _page(), HTML, PAGE_SECURITY)


@cache
def _document() -> bytes:
    return encode(document())


STYLE = """
:root { color-scheme: light dark; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; line-height: 1.5;
  font-family: system-ui, sans-serif; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
pre { padding: 0.75rem; overflow-x: auto; border: 1px solid #8885; border-radius: 4px; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 0.75rem 0.25rem 0;
  border-bottom: 1px solid #8885; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #8885; }
"""


@cache
def _page() -> bytes:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown(document()))
    for opening, text in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", "-".join(re.findall(r"\w+", text.content.lower())))
    content = parser.renderer.render(tokens, parser.options, {})
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>cybertools.tracking</title>'
        f"<style>{STYLE}</style></head><body>{content}</body></html>"
    ).encode()


ENDPOINTS = [
    Endpoint("GET", "/healthz", None, is_alive),
    Endpoint("GET", "/readyz", None, is_ready),
    Endpoint("GET", "/metrics", None, get_metrics),
    Endpoint("GET", "/openapi.json", None, get_document),
    Endpoint("GET", "/docs", None, get_reference),
]
