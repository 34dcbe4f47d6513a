"""From a page's handler to an endpoint: who asks, in which language and zone, for what."""

import asyncio
import gzip
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache, partial
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote, unquote, urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cybertools.tracking.codec import problem_of
from cybertools.tracking.errors import InvalidValue, StorageNotFound, TrackingError
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.reports import Table, run_report
from cybertools.tracking.service.access.keeping import Tokens
from cybertools.tracking.service.access.principal import Principal
from cybertools.tracking.service.access.sessions import Sessions, SignedIn
from cybertools.tracking.service.endpoints import Endpoint, Handler
from cybertools.tracking.service.gate import Refused, Scope
from cybertools.tracking.service.replies import HTML, Header, Reply
from cybertools.tracking.service.requests import Call
from cybertools.tracking.service.service import Service
from cybertools.tracking.service.staying import while_let_in
from cybertools.tracking.service.storages import Collection, with_attributes
from cybertools.tracking.service.web.assets import address_of
from cybertools.tracking.service.web.charts import Bar, bar, lanes, time_chart
from cybertools.tracking.service.web.periods import (
    Period,
    as_parameters,
    check_zone,
    chosen_period,
)
from cybertools.tracking.service.web.refusals import refusal
from cybertools.tracking.service.web.words import LANGUAGES, Format, locale_for, translations
from cybertools.tracking.values import now, shown

__all__ = ["Page", "Site", "View"]

T = TypeVar("T")
PageHandler: TypeAlias = "Callable[[View], Awaitable[Reply]]"

POLICY = (
    b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:;"
    b" connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none';"
    b" base-uri 'none'"
)

SECURITY: list[Header] = [
    (b"content-security-policy", POLICY),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"vary", b"Accept-Encoding, Accept-Language, Cookie"),
]

YEAR = 365 * 86_400

KEPT_FACTOR, KEPT_MOST = 20.0, 30.0
"""An answer is used again for so many times as long as it took to find, and for so many seconds at
the most: what is quick is always fresh."""

ANSWERS = 500
"""Answers that are kept, at most."""

LATE, LATE_SECONDS = 100, 60.0
"""Pages that are made while their readers look at one that says so: so many at most, each kept for
so long."""

PATIENCE = 20.0
"""How long the second request for such a page waits, in seconds."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page: where it is, who may see it, what makes it."""

    method: str
    path: str
    handler: PageHandler
    scope: Scope | None = "read"
    """What one has to be allowed; None: one need not have signed in."""
    is_shown: bool = True
    """A browser shows it, and may show that it is being made until it is."""


class Site:
    """The pages of a service, and what they share. For one event loop."""

    def __init__(self, sessions: Sessions, tokens: Tokens) -> None:
        """Pages for those whom the sessions know.

        :param tokens: those that the page of tokens is about.
        """
        self.sessions = sessions
        self.tokens = tokens
        self._answers: OrderedDict[str, tuple[float, float, asyncio.Future[Any]]] = OrderedDict()
        self._late: OrderedDict[str, asyncio.Future[Reply]] = OrderedDict()

    def endpoint(self, page: Page) -> Endpoint:
        """A page as an endpoint of the service."""
        return Endpoint(page.method, page.path, None, self._handler(page))

    def _handler(self, page: Page) -> Handler:
        async def answer(service: Service, call: Call) -> Reply:
            view = View(self, service, call)
            try:
                view.choose()
                if page.scope is None:
                    return await page.handler(view)
                await view.sign_in(page.scope)
                if page.is_shown and page.method == "GET" and call.wants(b"text/html"):
                    return await self._shown(view, page.handler)
                answer = await page.handler(view)
                again = partial(view.sign_in, page.scope)
                return while_let_in(answer, again, service.settings.admitted_seconds)
            except TrackingError as error:
                return _refusal(view, error)

        return answer

    async def _shown(self, view: "View", handler: PageHandler) -> Reply:
        """The page; where it takes long, one that says so and has the browser ask again.

        Who asks again waits for the page that is being made already, and looks at the other one.
        """
        made = self._late.pop(view.identity, None)
        seconds = view.service.settings.page_seconds if made is None else PATIENCE
        made = asyncio.ensure_future(handler(view)) if made is None else made
        await asyncio.wait({made}, timeout=seconds)
        if made.done():
            return made.result()
        made.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._late[view.identity] = made
        if len(self._late) > LATE:
            self._late.popitem(last=False)
        asyncio.get_running_loop().call_later(LATE_SECONDS, self._forget, view.identity, made)
        return view.render("wait.html", target=view.here())

    def _forget(self, identity: str, made: asyncio.Future[Reply]) -> None:
        if self._late.get(identity) is made:
            del self._late[identity]

    async def kept(self, key: str, make: Callable[[], Awaitable[T]]) -> tuple[T, float]:
        """An answer that was found a moment ago, or is being found; and when that was.

        Whoever asks for the same at the same time waits for the same.
        """
        found = self._answers.get(key)
        if found is not None and (not found[2].done() or time.monotonic() < found[0]):
            return await asyncio.shield(found[2]), found[1]
        begun, moment = time.monotonic(), now()
        task = asyncio.ensure_future(make())
        self._answers[key] = (float("inf"), moment, task)
        if len(self._answers) > ANSWERS:
            self._answers.popitem(last=False)
        try:
            answer = await asyncio.shield(task)
        except BaseException:
            self._answers.pop(key, None)
            raise
        took = time.monotonic() - begun
        until = time.monotonic() + min(took * KEPT_FACTOR, KEPT_MOST)
        self._answers[key] = (until, moment, task)
        return answer, moment


class View:
    """A request for a page, and the page that is being made."""

    def __init__(self, site: Site, service: Service, call: Call) -> None:
        self.site, self.service, self.call = site, service, call
        self.moment = now()
        self.counted_at = self.moment
        self.asked: dict[str, str] = {}
        self.signed_in: SignedIn | None = None
        self.storages: list[str] = []
        self.without_address: list[str] = []
        """Storages that there can be no pages about."""
        self.period = Period("all", "UTC")
        self.cookies = _cookies(call)
        self._set: list[str] = []
        self.language = "en"
        self.last_time: float | None = None
        """Of the last track; None where there is none."""
        self.format = Format(locale_for(None, ""), ZoneInfo("UTC"))
        self.zone = "UTC"

    # Who and what

    def choose(self) -> None:
        """Find out the language and the zone."""
        self._speak()  # what is wrong with the parameters is said in the language known so far
        for name, value in self.call.pairs:
            self.asked.setdefault(name, value.strip())
        chosen, zone = self.asked.get("lang", ""), self.asked.get("zone", "")
        if chosen in LANGUAGES:
            self._keep("tracks-lang", chosen)
            self._speak()
        if zone and not check_zone(zone):
            raise InvalidValue(
                f"zone must be a time zone like Europe/Berlin or UTC, not {shown(zone)}."
            )
        if zone:
            self._keep("tracks-zone", zone)
        self.zone = check_zone(self.cookies.get("tracks-zone", "")) or "UTC"
        self._speak()

    def _speak(self) -> None:
        accepted = self.call.headers.get(b"accept-language", b"").decode("latin-1")
        locale = locale_for(self.cookies.get("tracks-lang"), accepted)
        self.language = locale.language
        self.format = Format(locale, ZoneInfo(self.zone))

    def _keep(self, name: str, value: str) -> None:
        self.set_cookie(name, quote(value, safe=""), YEAR)
        self.cookies[name] = value

    async def sign_in(self, scope: Scope) -> None:
        """Let in who has signed in, and open the storage that the path names."""
        name = self.call.parts.get("storage")
        cookie = self.cookies.get(self.cookie_name)
        self.signed_in = await self.site.sessions.admit(cookie, scope, name, self.call.client)
        self.call.principal = self.signed_in.principal
        names = await self.service.storages.names()
        reached = [each for each in names if self.principal.reaches(each)]
        self.storages = [*filter(_has_address, reached)]
        self.without_address = [each for each in reached if each not in self.storages]
        if name is not None:
            if name not in self.storages:
                raise StorageNotFound(f"There is no storage {name!r}.")
            self.call.collection = await self.service.storages.get(name)

    @property
    def principal(self) -> Principal:
        """Who has signed in."""
        if self.signed_in is None:
            raise Refused("Sign in to see this page.", 401)
        return self.signed_in.principal

    @property
    def identity(self) -> str:
        """Of requests with the same one, one answer is that of all."""
        accepted = self.call.headers.get(b"accept-encoding", b"").decode("latin-1")
        nonce = self.signed_in.nonce if self.signed_in else ""
        asked = [nonce, self.call.request["path"], self.call.pairs, str(self.format.locale)]
        return json.dumps([*asked, self.zone, accepted])

    @property
    def is_secure(self) -> bool:
        """Whether the browser's way to the service is encrypted."""
        return str(self.call.request.get("scheme")) == "https"

    @property
    def cookie_name(self) -> str:
        """The session's; with https one that no other host can set."""
        return "__Host-tracks-session" if self.is_secure else "tracks-session"

    def set_cookie(self, name: str, value: str, age: int, strict: bool = False) -> None:
        """Have the browser keep something."""
        text = f"{name}={value}; Path=/; Max-Age={age}; SameSite={'Strict' if strict else 'Lax'}"
        text += "; HttpOnly" if strict else ""
        self._set.append(text + ("; Secure" if self.is_secure else ""))

    async def form(self, nonce: str | None = None) -> dict[str, str]:
        """What a form has sent, if it is one of this session.

        :raises Refused: it is not.
        """
        site = self.call.headers.get(b"sec-fetch-site", b"same-origin")
        if site not in (b"same-origin", b"none"):
            raise Refused("This form was sent by a page of another site.", 403)
        values = dict(await self.call.form())
        if nonce is None:
            nonce = self.signed_in.nonce if self.signed_in else ""
        self.site.sessions.check_form(values.pop("form", ""), nonce)
        return values

    # Data

    @property
    def collection(self) -> Collection:
        """The storage that the page is about, with its threads."""
        return self.call.collection

    @property
    def storage(self) -> Storage:
        """The storage that the page is about."""
        return self.call.collection.storage

    async def work(self, function: Callable[..., T], *arguments: Any) -> T:
        """What a function that reads the storage gives."""
        return await self.collection.reader.work(function, *arguments)

    async def choose_period(self, exact: bool = False, short: bool = False) -> Period:
        """The period that the page is about.

        :param exact: the page reads its bounds itself.
        :param short: the usual one is shorter, as the page has to read all tracks of it.
        """
        newest = await self.work(lambda: self.storage.query(order="-timeStamp", limit=1))
        self.last_time = newest[0].timeStamp if newest else None
        asked = {"period": "all"} if exact else self.asked
        self.period = chosen_period(asked, self.zone, self.moment, self.last_time, short)
        return self.period

    async def report(
        self, name: str, attributes: tuple[str, ...] = (), /, **arguments: Any
    ) -> Table:
        """A report about the page's storage: see `report_of`."""
        return await self.report_of(self.collection, name, attributes, **arguments)

    async def report_of(
        self,
        collection: Collection,
        name: str,
        attributes: tuple[str, ...] = (),
        /,
        **arguments: Any,
    ) -> Table:
        """A report about a storage, counted now or a few seconds ago.

        :param attributes: the names in the data that are among the criteria.
        """
        given = {key: value for key, value in arguments.items() if value is not None}
        storage = with_attributes(collection.storage, attributes)
        key = json.dumps([storage.name, name, given], sort_keys=True, default=str)

        async def make() -> Table:
            return await collection.reader.work(run_report, storage, name, given)

        table, moment = await self.site.kept(key, make)
        self.counted_at = min(self.counted_at, moment)
        return table

    # The page

    def link(self, page: str, storage: str | None = None, /, **parameters: Any) -> str:
        """The address of a page about the storage, with the period that was asked for."""
        name = storage or self.call.parts.get("storage", "")
        kept = {k: self.asked[k] for k in ("period", "from", "to", "zone") if k in self.asked}
        if {"period", "from", "to"} & {*parameters}:
            kept = {k: v for k, v in kept.items() if k == "zone"}
        merged: dict[str, Any] = dict(kept) | parameters
        pairs = [(k, v) for k, v in merged.items() if v not in (None, "", [])]
        query = urlencode(pairs, doseq=True)
        return f"/storages/{quote(name, safe='')}/{page}" + (f"?{query}" if query else "")

    def here(self, **changes: Any) -> str:
        """The address of this page with other parameters."""
        kept = self.others(*changes)
        query = urlencode([*kept, *((k, v) for k, v in changes.items() if v is not None)])
        return str(self.call.request["path"]) + (f"?{query}" if query else "")

    def others(self, *names: str) -> list[tuple[str, str]]:
        """The parameters of this page that are not of these names, for its forms."""
        return [pair for pair in self.call.pairs if pair[0] not in (*names, "after", "lang")]

    def say(self, text: str, **values: Any) -> str:
        """A text in the reader's language."""
        said = translations(self.language).gettext(text)
        return said % values if values else said

    def refusal(self, error: TrackingError) -> str:
        """What is wrong, in the reader's language."""
        return refusal(error, self.language, self.format.number)

    def render(self, template: str, status: int = 200, **values: Any) -> Reply:
        """The page."""
        text = (
            _environment(self.language)
            .get_template(template)
            .render(
                view=self,
                fmt=self.format,
                link=self.link,
                storage=self.call.parts.get("storage"),
                period_parameters=as_parameters(self.period),
                languages=LANGUAGES,
                asset=address_of,
                bar=bar,
                form_token=self.form_token,
                **values,
            )
        )
        return self.reply(text.encode(), status)

    # What templates need

    @property
    def base(self) -> str:
        """The address of the service, as the browser has it."""
        host = self.call.headers.get(b"host", b"127.0.0.1:8080").decode("latin-1")
        return f"{self.call.request.get('scheme', 'http')}://{host}"

    def chart(self, bars: list[Bar], what: str) -> Markup:
        """Bars over time, of so much of something."""
        before = self.say("before")

        def title(each: Bar) -> str:
            text = f"{each.label}: {self.format.number(each.value)} {what}"
            if each.before is None:
                return text
            return f"{text}\n{before}: {self.format.number(each.before)}"

        return time_chart(bars, title, lambda value: self.format.number(value, 1))

    lanes = staticmethod(lanes)

    @staticmethod
    def pretty(text: str) -> str:
        """JSON over several lines."""
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)

    def form_token(self, nonce: str | None = None) -> str:
        """What a form has to bring along."""
        known = self.signed_in.nonce if self.signed_in else ""
        return self.site.sessions.form_token(known if nonce is None else nonce)

    def reply(self, body: bytes, status: int = 200, kind: bytes = HTML) -> Reply:
        """An answer of that text."""
        headers = [*SECURITY, *((b"set-cookie", text.encode()) for text in self._set)]
        if len(body) > 1_000 and b"gzip" in self.call.headers.get(b"accept-encoding", b""):
            body = gzip.compress(body, 5, mtime=0)
            headers.append((b"content-encoding", b"gzip"))
        return Reply(status, body, kind, headers)

    def redirect(self, target: str) -> Reply:
        """Send the browser to another page."""
        answer = self.reply(b"", 303)
        return answer._replace(headers=[*answer.headers, (b"location", target.encode())])


def _refusal(view: View, error: TrackingError) -> Reply:
    """What a reader gets instead of the page."""
    if isinstance(error, Refused):
        status = error.status
        if status == 401 and view.call.request["method"] == "GET":
            query = view.call.request["query_string"].decode("latin-1")
            target = f"{view.call.request['path']}?{query}".rstrip("?")
            if view.call.headers.get(b"sec-fetch-site") == b"cross-site":
                # A link on another site does not bring the session along; a page of this one does.
                return view.render("again.html", target=target)
            return view.redirect("/sign-in?" + urlencode({"next": target}))
    else:
        status = problem_of(error, getattr(error, "kind", ""))["status"]
    answer = view.render("error.html", status, error=view.refusal(error), code=status)
    wait = getattr(error, "retry_after", None)
    if wait is None:
        return answer
    return answer._replace(headers=[*answer.headers, (b"retry-after", b"%d" % wait)])


def _has_address(name: str) -> bool:
    """Whether a storage's name can be a part of a URL's path."""
    return "/" not in name and name not in (".", "..")


def _cookies(call: Call) -> dict[str, str]:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(call.headers.get(b"cookie", b"").decode("latin-1"))
    except CookieError:
        return {}
    return {name: unquote(morsel.value) for name, morsel in jar.items()}


@cache
def _environment(language: str) -> Environment:
    loader = PackageLoader(__package__ or "")
    environment = Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    environment.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    return environment
