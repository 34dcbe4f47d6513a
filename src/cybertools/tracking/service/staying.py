"""Who is let in for long: whether that still holds is looked at again while an answer goes on."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from cybertools.tracking.errors import StorageError
from cybertools.tracking.service.gate import Refused
from cybertools.tracking.service.replies import EVENTS, Reply

__all__ = ["while_let_in"]

TOO_MANY = 429


def while_let_in(answer: Reply, admit: Callable[[], Awaitable[object]], seconds: float) -> Reply:
    """The answer; one that is sent bit by bit ends soon after its token does.

    A live stream just ends: who comes back is told why. Lines break off, so that nobody takes them
    for all that there are.

    :param admit: lets the request in again, or raises `Refused`.
    :param seconds: so long it is let in without another look.
    """
    if isinstance(answer.body, bytes):
        return answer
    return answer._replace(body=_parts(answer.body, admit, seconds, answer.kind == EVENTS))


async def _parts(
    body: AsyncGenerator[bytes, None],
    admit: Callable[[], Awaitable[object]],
    seconds: float,
    may_end: bool,
) -> AsyncGenerator[bytes, None]:
    looked = time.monotonic()
    async with aclosing(body):
        async for part in body:
            if time.monotonic() - looked >= seconds:
                try:
                    await admit()
                except Refused as error:
                    if error.status != TOO_MANY:
                        if may_end:
                            return
                        raise
                except StorageError:
                    # The database is away for a while, also for those who would read on.
                    pass
                looked = time.monotonic()
            yield part
