"""Drafts into a storage: in batches, each once, with their runs."""

from binascii import b2a_base64
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias

from cybertools.tracking.errors import TrackingError, Unsupported
from cybertools.tracking.interfaces import Storage, attributes_of
from cybertools.tracking.record import Record
from cybertools.tracking.transfer.drafts import Draft, Entry
from cybertools.tracking.values import decode_data

__all__ = ["Counts", "Reject", "key_maker", "store"]

BATCH = 10_000
"""Lines whose tracks are stored in one transaction, with one flush of the disk."""

BATCH_BYTES = 8 << 20
"""Bytes of lines at which a batch is full as well."""

RUNS_KNOWN = 50_000
"""Runs whose ids are remembered."""

Reject: TypeAlias = Callable[[int, str, bytes], object]
"""Is told a line that cannot be stored: its number, the reason, its text."""


@dataclass
class Counts:
    """What has become of lines."""

    read: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0


def store(
    storage: Storage, entries: Iterable[Entry], counts: Counts, reject: Reject, origin: str = ""
) -> Iterator[None]:
    """Store what entries hold, and count it; yields after each batch.

    What is counted is stored. The same entries again are duplicates.

    :param origin: where the lines come from. It sets them apart from equal lines of elsewhere.
    """
    runs = _Runs(storage)
    check = _attribute_check(storage)
    key_of: Callable[[int, bytes], str] | None = None
    for batch in _batches(entries):
        refused: list[tuple[int, str, bytes]] = []
        drafts: list[Draft] = []
        keys: list[str] = []
        for number, line, made in batch:
            if check is not None and isinstance(made, Draft):
                made = check(made)  # noqa: PLW2901
            if isinstance(made, str):
                refused.append((number, made, line))
                continue
            if key_of is None:
                key_of = key_maker(made.mark, origin)
            drafts.append(made)
            keys.append(made[6] or key_of(number, made[5]))
        duplicate = _save(storage, runs, drafts, keys)
        for number, reason, line in refused:
            reject(number, reason, line)
        counts.read += len(batch)
        counts.stored += len(drafts) - duplicate
        counts.duplicate += duplicate
        counts.rejected += len(refused)
        yield


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += len(entry[1])
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _save(storage: Storage, runs: "_Runs", drafts: list[Draft], keys: list[str]) -> int:
    """Save a batch; the number of duplicates in it."""
    duplicate = 0
    with suppress(_NothingNew), ExitStack() as stack:
        with suppress(Unsupported):  # over HTTP; a run may then be opened for nothing
            stack.enter_context(storage.transaction())
        stack.enter_context(runs.opening())
        ids = runs.of(drafts)
        receipt = storage.saveBatch(
            _new(Record, (task, runId, user, time, json, key))
            for (task, _, user, time, json, _, _), runId, key in zip(drafts, ids, keys, strict=True)
        )
        duplicate = len(receipt.duplicates)
        if duplicate == len(drafts):
            raise _NothingNew
    return duplicate


_new = tuple.__new__  # half the time of calling the class, for each track


class _NothingNew(Exception):
    """Undoes a batch of duplicates, with the runs that were opened for it."""


class _Runs:
    """The ids of the runs that drafts belong to."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._known: dict[tuple[str, str], int] = {}

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Runs that are opened within are forgotten if it fails, as they are undone."""
        if len(self._known) > RUNS_KNOWN:
            self._known.clear()
        before = len(self._known)
        try:
            yield
        except BaseException:
            for _ in range(len(self._known) - before):
                self._known.popitem()
            raise

    def of(self, drafts: list[Draft]) -> list[int]:
        """The run id of each draft, 0 for the current run."""
        known = self._known
        # Each once, in order; and together, which for a distant storage is one request.
        wanted = dict.fromkeys((draft[0], draft[1]) for draft in drafts if draft[1] is not None)
        new = [(task, label) for task, label in wanted if label and (task, label) not in known]
        if new:
            known |= zip(new, self._storage.engine.open_runs(new), strict=True)
        return [0 if label is None else known[task, label] for task, label, *_ in drafts]


def _attribute_check(storage: Storage) -> Callable[[Draft], Draft | str] | None:
    """A function that gives a draft, or the reason why the track type's indexes refuse it."""
    if not attributes_of(storage.trackFactory):
        return None

    def check(draft: Draft) -> Draft | str:
        try:
            storage.check_attributes(decode_data(draft.json))
        except TrackingError as error:
            return str(error)
        return draft

    return check


_BY_VALUE = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz",
)


def key_maker(first: bytes, origin: str = "") -> Callable[[int, bytes], str]:
    """A function that makes the idempotency key of a line from its number and its text.

    A file is known by its first good line: so it has the same keys under another name, compressed,
    after it has grown, and where a line of it was mended. Keys of 16 characters are in the order
    of the lines, so that the index of the keys grows at one place.

    :param first: the file's first good line.
    :param origin: sets files apart that begin with the same line.
    """
    file = blake2b(b"\n".join((origin.encode(), first.rstrip(), b"")), digest_size=8)

    def key(number: int, line: bytes) -> str:
        digest = file.copy()
        digest.update(line.rstrip())
        place = (number & 0xFFFF_FFFF).to_bytes(4, "big")
        return b2a_base64(place + digest.digest(), newline=False).translate(_BY_VALUE).decode()

    return key
