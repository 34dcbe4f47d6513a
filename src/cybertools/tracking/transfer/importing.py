"""Import: from files of many formats into a storage, so that it can be broken off at any point.

A line is read into a draft or refused (`drafts`, a module for each format), drafts are stored in
batches (`writing`). Each track has a key made from its file and its line's place in it, so the same
import again, after whatever ended the first one, stores what is missing and nothing twice.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from cybertools.tracking.errors import InvalidValue
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.transfer.drafts import Draft, Entry, Reading
from cybertools.tracking.transfer.formats import ANONYMOUS, FORMATS, MAPPED, Format, format_of
from cybertools.tracking.transfer.gaps import GapRuns
from cybertools.tracking.transfer.jsonlines import read_json_lines
from cybertools.tracking.transfer.rejects import Rejects
from cybertools.tracking.transfer.sources import Feed, Source, open_source
from cybertools.tracking.transfer.visitors import visitor_names
from cybertools.tracking.transfer.writing import Counts, store
from cybertools.tracking.values import check_text, now

__all__ = ["FileReport", "Plan", "Report", "import_files", "import_lines", "plan_import"]

SEEN_AT_ONCE = 5_000
"""Tracks between two steps of the look through all of them that runs by inactivity need."""


@dataclass
class FileReport(Counts):
    """What has become of the lines of a file. ``read`` is the sum of the other counts."""

    file: str = ""
    format: str = ""
    rejects: str | None = None
    """The file of its rejected lines."""
    error: str | None = None
    """Why it could not be read to its end."""

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "file": self.file,
            "format": self.format,
            "read": self.read,
            "stored": self.stored,
            "duplicate": self.duplicate,
            "rejected": self.rejected,
            "rejects": self.rejects,
            "error": self.error,
        }


@dataclass
class Report:
    """What has become of an import; it is exact after each step."""

    files: list[FileReport] = field(default_factory=list)
    runs: int = 0
    """Runs that the storage has more than before."""
    done: int = 0
    """Bytes read, as they are stored."""
    size: int | None = None
    """Bytes of all files; None where that is not known."""

    def total(self, count: str) -> int:
        """The sum of a count over the files."""
        return sum(getattr(report, count) for report in self.files)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        counts = {name: self.total(name) for name in ("read", "stored", "duplicate", "rejected")}
        return {**counts, "runs": self.runs, "files": [report.as_dict() for report in self.files]}


def import_files(storage: Storage, files: Iterable[str], **options: Any) -> Report:
    """Import files and tell what has become of their lines; for the options see `plan_import`."""
    return deque(plan_import(files, **options).steps(storage), maxlen=1).pop()


def plan_import(
    files: Iterable[str],
    *,
    format: Format | None = None,
    names: Mapping[str, str] | None = None,
    salt: str | None = None,
    gap: float | None = None,
    origin: str = "",
    rejects: str | None = None,
) -> "Plan":
    """An import of files that were all found to be there, and readable.

    :param files: paths; ``-`` is standard input. Plain text, gzip or zstd.
    :param format: of all the files; each is recognised without it.
    :param names: the files' own names for ``taskId`` and so on.
    :param salt: what users' names that are made of addresses depend on; see `visitor_names`.
    :param gap: seconds; runs are made by inactivity, whatever runs the lines name.
    :param origin: sets lines apart from equal lines of other files; see `key_maker`.
    :param rejects: the file for rejected lines. Without it each file has its own in the working
        directory: ``NAME.rejects.jsonl``.
    :raises InvalidValue: a file is not there, not readable, or of no known format.
    """
    if origin:
        check_text(origin, "source")
    jobs = _jobs(files, format, again=gap is not None, rejects=rejects)
    for job in jobs:
        if names and job.format not in MAPPED:
            raise InvalidValue(
                f"{job.source.name} is of format {job.format}, whose names are known;"
                f" a mapping is for {', '.join(MAPPED)}."
            )
    reading = Reading(now(), _visitor(jobs, salt), {} if names is None else names)
    for job in jobs:  # a header that is none is found now
        next(job.entries(job.source.head.split(b"\n"), reading), None)
    return Plan(jobs, reading, gap, origin)


@dataclass(frozen=True, slots=True)
class Plan:
    """An import that can begin."""

    jobs: list["_Job"]
    reading: Reading
    gap: float | None
    origin: str

    def steps(self, storage: Storage) -> Iterator[Report]:
        """Import, with a report after each step: always the same one, brought up to date.

        :raises StorageError: the database cannot do its part; what the report counts is stored.
        """
        passes = 1 if self.gap is None else 2
        report = Report([job.report for job in self.jobs], size=_size(self.jobs, passes))
        by_gap = None if self.gap is None else GapRuns(self.gap)
        try:
            if by_gap is not None:
                yield from self._see_all(by_gap, report)
            yield from self._store_all(storage, by_gap, report)
        finally:
            for job in self.jobs:
                job.rejects.close()
                job.source.close()
            if by_gap is not None:
                by_gap.close()
        yield report

    def _see_all(self, by_gap: GapRuns, report: Report) -> Iterator[Report]:
        for job in self.jobs:
            feed = Feed(job.source)
            start = report.done
            entries = job.entries(feed, self.reading)
            drafts = (made for _, _, made in entries if isinstance(made, Draft))
            while chunk := list(islice(drafts, SEEN_AT_ONCE)):
                by_gap.see(chunk)
                report.done = start + feed.position
                yield report
        by_gap.cut()

    def _store_all(
        self, storage: Storage, by_gap: GapRuns | None, report: Report
    ) -> Iterator[Report]:
        runs = len(storage.runs)
        for job in self.jobs:
            feed = Feed(job.source)
            start = report.done
            entries = job.entries(feed, self.reading, by_gap)
            for _ in store(storage, entries, job.report, job.reject, self.origin):
                report.done = start + feed.position
                report.runs = len(storage.runs) - runs
                job.rejects.flush()
                yield report
            job.end(feed)


def import_lines(storage: Storage, lines: Iterable[bytes], origin: str = "") -> Iterator[Counts]:
    """Import JSON lines that come from anywhere, with the counts so far after each step.

    :param origin: see `plan_import`.
    """
    counts = Counts()
    entries = read_json_lines(lines, Reading(now(), _nobody))
    for _ in store(storage, entries, counts, lambda *_: None, origin):
        yield counts


@dataclass(frozen=True, slots=True)
class _Job:
    """A file to import."""

    source: Source
    format: Format
    rejects: Rejects
    report: FileReport

    def entries(
        self, lines: Iterable[bytes], reading: Reading, by_gap: GapRuns | None = None
    ) -> Iterator[Entry]:
        """What its lines hold."""
        entries = FORMATS[self.format](lines, reading)
        return entries if by_gap is None else map(partial(_relabelled, by_gap), entries)

    def reject(self, number: int, reason: str, line: bytes) -> None:
        """Keep a line that cannot be stored."""
        self.rejects.add(self.source.name, number, reason, line)
        self.report.rejects = str(self.rejects.path)

    def end(self, feed: Feed) -> None:
        """Take note of where and why the file could not be read on."""
        if feed.broken is None:
            return
        self.report.error = f"{self.source.name} could not be read to its end: {feed.broken}."
        if feed.tail:
            self.report.read += 1
            self.report.rejected += 1
            self.reject(feed.count + 1, "The file breaks off within this line.", feed.tail)


def _jobs(
    files: Iterable[str], format: Format | None, again: bool, rejects: str | None
) -> list[_Job]:
    """The files, each found to be there, readable, and of a format."""
    jobs: list[_Job] = []
    opened: dict[str, Rejects] = {}
    for name in files:
        source = open_source(name, again)
        known = format or format_of(source)
        stem = "stdin" if name == "-" else Path(name).name
        path = rejects or f"{stem}.rejects.jsonl"
        if path not in opened:
            opened[path] = Rejects(Path(path))
        report = FileReport(file=name, format=known)
        jobs.append(_Job(source, known, opened[path], report))
    return jobs


def _visitor(jobs: list[_Job], salt: str | None) -> Callable[[str, str], str]:
    """Names for users without a name. A salt is only looked for where it is needed."""
    return visitor_names(salt) if any(job.format in ANONYMOUS for job in jobs) else _nobody


def _nobody(_address: str, _agent: str) -> str:
    raise InvalidValue("The format has names of users.")


def _size(jobs: list[_Job], passes: int) -> int | None:
    sizes = [job.source.size for job in jobs]
    return None if None in sizes else passes * sum(size or 0 for size in sizes)


def _relabelled(by_gap: GapRuns, entry: Entry) -> Entry:
    number, line, made = entry
    if isinstance(made, Draft):
        made = made._replace(label=by_gap.label(made))
    return number, line, made
