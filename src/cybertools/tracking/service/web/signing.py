"""Signing in and out."""

import secrets

from cybertools.tracking.errors import InvalidType, InvalidValue
from cybertools.tracking.service.access.sessions import SESSION_SECONDS
from cybertools.tracking.service.gate import Refused
from cybertools.tracking.service.replies import Reply
from cybertools.tracking.service.web.site import Page, View

__all__ = ["PAGES"]

FORM_COOKIE = "tracks-form"


async def front(view: View) -> Reply:
    """The first page of who has signed in."""
    if not view.storages:
        return view.redirect("/storages")
    first = next((n for n in view.service.settings.names if n in view.storages), view.storages[0])
    return view.redirect(view.link("overview", first))


async def ask(view: View) -> Reply:
    """The form to sign in with."""
    return _form(view, view.asked.get("next", ""))


async def sign_in(view: View) -> Reply:
    """Take a token, or a name and a password."""
    values = await view.form(nonce=view.cookies.get(FORM_COOKIE, ""))
    sessions, client = view.site.sessions, view.call.client
    token, name = values.get("token", ""), values.get("name", "")
    try:
        if token.strip():
            cookie = await sessions.with_token(token, client)
        elif name:
            cookie = await sessions.with_password(name, values.get("password", ""), client)
        else:
            raise InvalidValue("Give a token, or a user name and a password.")
    except (Refused, InvalidType, InvalidValue) as error:
        status = getattr(error, "status", 422)
        answer = _form(view, values.get("next", ""), view.refusal(error), status, name)
        wait = getattr(error, "retry_after", None)
        more = [] if wait is None else [(b"retry-after", b"%d" % wait)]
        return answer._replace(headers=[*answer.headers, *more])
    view.set_cookie(view.cookie_name, cookie, SESSION_SECONDS, strict=True)
    return view.redirect(_local(values.get("next", "")))


def _form(view: View, target: str, error: str = "", status: int = 200, name: str = "") -> Reply:
    nonce = view.cookies.get(FORM_COOKIE, "")
    if not nonce.isascii() or len(nonce) != 16:
        nonce = secrets.token_urlsafe(12)
    view.set_cookie(FORM_COOKIE, nonce, 86_400, strict=True)
    return view.render(
        "sign-in.html", status, error=error, nonce=nonce, target=_local(target), name=name
    )


def _local(target: str) -> str:
    """A page of this service; nobody is sent to another one."""
    is_local = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_local and target.isprintable() and target.isascii() else "/"


async def sign_out(view: View) -> Reply:
    """End the session of this browser."""
    await view.form()
    view.set_cookie(view.cookie_name, "", 0, strict=True)
    return view.redirect("/sign-in")


PAGES = [
    Page("GET", "/", front),
    Page("GET", "/sign-in", ask, scope=None),
    Page("POST", "/sign-in", sign_in, scope=None),
    Page("POST", "/sign-out", sign_out),
]
