"""A service with pages, its tokens and users: for the tests of pages."""

import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx

from cybertools.tracking import open_storage
from cybertools.tracking.service.access.gate import Gate
from cybertools.tracking.service.access.keeping import Tokens
from cybertools.tracking.service.access.sessions import Sessions
from cybertools.tracking.service.access.signing_in import SignIn
from cybertools.tracking.service.access.starting import open_tokens
from cybertools.tracking.service.access.users import Users, open_users
from cybertools.tracking.service.web import pages
from tests.service.running import PATIENCE, Running, running

__all__ = ["EVIL", "PASSWORD", "Paged", "filled", "form_token", "paged", "sign_in"]

PASSWORD = "a horse with four legs"  # noqa: S105  # of nobody

EVIL = "<script>alert(1)</script>"
"""What must stay text, wherever it stands."""


class Paged:
    """The service, and what it is made of."""

    def __init__(self, service: Running, tokens: Tokens, users: Users, skip: list[float]) -> None:
        self.service, self.tokens, self.users = service, tokens, users
        self.base = service.base
        self._skip = skip

    def token(self, *scopes: str, storages: Any = None, expires: Any = None) -> str:
        """A new token's text."""
        return self.tokens.create("someone", scopes, "test", storages, expires).text

    def later(self, seconds: float) -> None:
        """Let the gate and the sessions believe that so much time went by."""
        self._skip[0] += seconds

    @contextmanager
    def visitor(self, token: str = "", **headers: str) -> Iterator[httpx.Client]:
        """A browser without a screen, signed in where there is a token."""
        with httpx.Client(base_url=self.base, timeout=60, headers=headers) as client:
            if token:
                assert sign_in(client, token=token).status_code == 303
            yield client


def form_token(page: str) -> str:
    """What the first form of a page brings along."""
    found = re.search(r'name="form" value="([^"]+)"', page)
    assert found, page
    return found[1]


def sign_in(client: httpx.Client, target: str = "", **values: str) -> httpx.Response:
    """Fill the form in, and send it."""
    form = client.get("/sign-in", params={"next": target} if target else None)
    assert form.status_code == 200
    return client.post(
        "/sign-in", data={"form": form_token(form.text), "next": target or "/"} | values
    )


@contextmanager
def paged(url: str, **settings: Any) -> Iterator[Paged]:
    """A service of that database with pages, until the context ends."""
    skip = [0.0]

    def clock() -> float:
        return time.monotonic() + skip[0]

    with (
        open_tokens(url) as tokens,
        open_users(url) as users,
        closing(Gate(tokens, monotonic=clock)) as gate,
        closing(SignIn(users, monotonic=clock)) as signing_in,
    ):
        sessions = Sessions(gate, signing_in, users, "a secret of the test", clock)
        # What is asked for is what comes, however busy the machine is.
        settings = {"page_seconds": PATIENCE} | settings
        with running(url, gate, tuple(pages(sessions, tokens)), **settings) as service:
            yield Paged(service, tokens, users, skip)


def filled(url: str, name: str = "tracks", now: float | None = None) -> None:
    """Save tracks of the last days, and one with markup in all of its fields."""
    moment = time.time() if now is None else now
    with open_storage(url, name) as storage:
        storage.saveUserTracks(tracks(moment))
        storage.stopRun(f"{EVIL}/task")


def tracks(moment: float) -> Iterator[dict[str, Any]]:
    """Some users, who go through some tasks, one each hour."""
    for number in range(240):
        yield {
            "taskId": f"course/lesson-{number % 5}",
            "userName": f"user-{number % 7}",
            "timeStamp": moment - 3_600 * number - 60,
            "data": {"state": "passed" if number % 3 else "failed", "score": number % 10},
        }
    yield {
        "taskId": f"{EVIL}/task",
        "userName": f"{EVIL}user",
        "timeStamp": moment - 30,
        "data": {f"{EVIL}key": f"{EVIL}value", "state": EVIL},
    }
