"""Who has signed in: a signed cookie that says who it is, and nothing that opens another door.

A token's text is not in it, only its public id; of a user the name, and when the password was set.
Both are looked at again for each request, so a token that is revoked, a user who is removed and a
password that is changed end all sessions within seconds.
"""

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from itsdangerous import BadSignature, URLSafeTimedSerializer

from cybertools.tracking.service.access.gate import VALID, Gate
from cybertools.tracking.service.access.principal import Principal
from cybertools.tracking.service.access.signing_in import SignIn
from cybertools.tracking.service.access.tokens import id_in
from cybertools.tracking.service.access.users import User, Users
from cybertools.tracking.service.gate import Refused, Scope

__all__ = ["SESSION_SECONDS", "Sessions", "SignedIn"]

SESSION_SECONDS = 7 * 86_400
"""After that long one has to sign in again."""

ENDED = "The session has ended: sign in again."


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who has signed in, and what the forms of that session are told by."""

    principal: Principal
    nonce: str


class Sessions:
    """The sessions of a service. For one event loop."""

    def __init__(
        self,
        gate: Gate,
        sign_in: SignIn,
        users: Users,
        secret: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Sessions of those whom a gate knows.

        :param users: the caller's to close, as the gate and the sign-in are.
        :param secret: what cookies are signed with. Without one it is made by chance: sessions end
            with the process, and no other process knows them.
        :param monotonic: seconds from any beginning.
        """
        key = secret or secrets.token_hex(32)
        self._gate, self._sign_in, self._users = gate, sign_in, users
        self._cookies = URLSafeTimedSerializer(key, salt="session")
        self._form_key = hmac.digest(key.encode(), b"forms", "sha256")
        self._monotonic = monotonic
        self._seen: dict[str, tuple[float, User | None]] = {}

    async def with_token(self, text: str, client: str) -> str:
        """The cookie of who holds a token.

        :raises Refused: it is none, or not one to read with.
        """
        await self._gate.admit(text.strip(), "read", None, None, client)
        return self._cookie({"t": id_in(text.strip())})

    async def with_password(self, name: str, password: str, client: str) -> str:
        """The cookie of a user.

        :raises Refused: the name or the password is wrong, or there were too many attempts.
        """
        user = await self._sign_in.sign_in(name, password, client)
        return self._cookie({"u": user.name, "c": user.changed})

    async def admit(
        self, cookie: str | None, scope: Scope, storage: str | None, client: str
    ) -> SignedIn:
        """Who has signed in, if it may do that.

        :param cookie: its value, as the request has it.
        :raises Refused: nobody (401), it may not (403), or too often (429).
        """
        if not cookie:
            raise Refused("Sign in to see this page.", 401)
        try:
            session: Any = self._cookies.loads(cookie, max_age=SESSION_SECONDS)
        except BadSignature:
            raise Refused(ENDED, 401) from None
        nonce = str(session["n"])
        if "t" in session:
            admitted = await self._gate.admit_holder(session["t"], scope, storage, client)
            return SignedIn(admitted, nonce)
        user = await self._user(session["u"])
        if user is None or user.changed != session["c"]:
            raise Refused(ENDED, 401)
        return SignedIn(await self._gate.admit_user(user, scope, storage, client), nonce)

    # Forms: what is sent has to come from a page that was made for the same session.

    def form_token(self, nonce: str) -> str:
        """What a form of that session has to bring along. It is another one each time."""
        salt = secrets.token_urlsafe(9)
        return f"{salt}.{self._form_digest(salt, nonce)}"

    def check_form(self, token: str, nonce: str) -> None:
        """Refuse a form that is not of that session.

        :raises Refused: so it is.
        """
        salt, _, digest = token.partition(".")
        right = self._form_digest(salt, nonce)
        if not (nonce and hmac.compare_digest(digest.encode(), right.encode())):
            raise Refused("This form is not from a page of this session: load it again.", 403)

    def _form_digest(self, salt: str, nonce: str) -> str:
        return hmac.digest(self._form_key, f"{salt}.{nonce}".encode(), "sha256").hex()

    def _cookie(self, session: dict[str, Any]) -> str:
        return str(self._cookies.dumps({**session, "n": secrets.token_urlsafe(12)}))

    async def _user(self, name: str) -> User | None:
        moment = self._monotonic()
        read_at, user = self._seen.get(name, (float("-inf"), None))
        if moment - read_at >= VALID:
            user = await asyncio.to_thread(self._users.get, name)
            # As many as there are users: names come from signed cookies only.
            self._seen[name] = (moment, user)
        return user
