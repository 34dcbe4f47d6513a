"""Reading without keeping others waiting: in threads, and small questions several at a time."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

__all__ = ["Reader"]

T = TypeVar("T")
_Question: TypeAlias = tuple[Callable[[], Any], asyncio.Future[Any]]


class Reader:
    """Asks a storage, for one event loop.

    What takes no longer than to wake a thread (`ask`: a look-up by an index) is answered at once
    where the engine is near; else it is handed to a thread that takes all such questions that have
    come and answers them together. What may take long (`work`) has a thread out of a pool.
    """

    def __init__(self, threads: int, is_near: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_near = is_near
        self._pool = ThreadPoolExecutor(threads, "reader")
        self._arrived: list[_Question] = []
        self._queue: SimpleQueue[list[_Question] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._answer_all, name="answers", daemon=True)
        self._thread.start()

    async def ask(self, question: Callable[[], T]) -> T:
        """The answer to a small question."""
        return question() if self._is_near else await self._asked(question)

    def _asked(self, question: Callable[[], T]) -> asyncio.Future[T]:
        future = self._loop.create_future()
        if not self._arrived:
            self._loop.call_soon(self._hand_over)
        self._arrived.append((question, future))
        return future

    def work(self, call: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """The result of a call that may take long."""
        return self._loop.run_in_executor(self._pool, partial(call, *arguments))

    async def close(self) -> None:
        """Answer what was asked, and end the threads."""
        self._hand_over()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._pool.shutdown)

    def _hand_over(self) -> None:
        if self._arrived:
            self._queue.put(self._arrived)
            self._arrived = []

    def _answer_all(self) -> None:
        while (questions := self._queue.get()) is not None:
            answers = [(future, *_answered(question)) for question, future in questions]
            self._loop.call_soon_threadsafe(_deliver, answers)


def _answered(question: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return question(), None
    except BaseException as error:  # noqa: BLE001  # whoever asked gets it
        return None, error


def _deliver(answers: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    for future, answer, error in answers:
        if future.done():  # its request may have been cancelled
            continue
        if error is None:
            future.set_result(answer)
        else:
            future.set_exception(error)
