"""The storages there are, and the tokens of those who use them."""

import asyncio
from typing import Any

from cybertools.tracking.errors import InvalidValue, TrackingError
from cybertools.tracking.interfaces import Info
from cybertools.tracking.service.access.principal import SCOPES
from cybertools.tracking.service.replies import Reply
from cybertools.tracking.service.storages import Collection
from cybertools.tracking.service.web.site import Page, View
from cybertools.tracking.transfer.gaps import parse_duration

__all__ = ["PAGES"]


async def storages(view: View) -> Reply:
    """What each storage holds; what that takes only if it is asked for."""
    with_sizes = "sizes" in view.asked

    async def held(name: str) -> dict[str, Any]:
        collection = await view.service.storages.get(name)
        totals = await view.report_of(collection, "totals")
        return {
            "name": name,
            "totals": totals.as_dicts()[0],
            "size": await _size(view, collection) if with_sizes else None,
            "attributes": collection.attributes,
        }

    found = await asyncio.gather(*map(held, view.storages))
    return view.render("storages.html", found=found, with_sizes=with_sizes)


async def _size(view: View, collection: Collection) -> int | None:
    """The bytes of a storage. SQLite reads a page of each table and index to know them."""

    async def read() -> Info:
        return await collection.reader.work(collection.storage.info)

    info, _ = await view.site.kept(f"info {collection.storage.name}", read)
    return sum(info.parts.values()) if info.parts else info.bytes


async def tokens(view: View) -> Reply:
    """Who may use the service."""
    return await _tokens(view)


async def _tokens(view: View, status: int = 200, **values: Any) -> Reply:
    all_tokens = await asyncio.to_thread(lambda: [*view.site.tokens.all()])
    found = [
        {"token": token, "state": token.state(view.moment)}
        for token in sorted(all_tokens, key=lambda token: -token.created)
    ]
    given = {"made": None, "text": "", "error": "", "given": {}} | values
    return view.render("tokens.html", status, found=found, scopes=SCOPES, **given)


async def make_token(view: View) -> Reply:
    """Make a token, and show it once."""
    values = await view.form()
    try:
        made = await asyncio.to_thread(_made, view, values)
    except TrackingError as error:
        return await _tokens(view, 422, error=view.refusal(error), given=values)
    return await _tokens(view, 201, made=made.token, text=made.text)


def _made(view: View, values: dict[str, str]) -> Any:
    name = values.get("name", "").strip()
    if not name:
        raise InvalidValue("A token needs a name: who or what it is for.")
    expires = values.get("expires", "").strip()
    origins = values.get("origins", "").split()
    chosen = values.get("storages", "").split()
    return view.site.tokens.create(
        name,
        [scope for scope in SCOPES if f"scope-{scope}" in values],
        view.principal.name,
        chosen or None,
        view.moment + parse_duration(expires) if expires else None,
        origins,
    )


async def revoke_token(view: View) -> Reply:
    """End a token."""
    values = await view.form()
    id = values.get("id", "")
    found = await asyncio.to_thread(view.site.tokens.revoke, id, view.principal.name)
    if found is None:
        return await _tokens(view, 404, error=view.say("There is no such token."))
    return view.redirect("/tokens")


PAGES = [
    Page("GET", "/storages", storages),
    Page("GET", "/tokens", tokens, scope="admin"),
    Page("POST", "/tokens", make_token, scope="admin"),
    Page("POST", "/tokens/revoke", revoke_token, scope="admin"),
]
