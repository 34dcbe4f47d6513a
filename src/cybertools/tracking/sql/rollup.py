"""The rollup of a storage: cells that tell how much there is, so that tracks need not be counted.

It is made when somebody asks for what it can answer, of a storage that is large enough, and it is
brought up to date by those who ask: they wait for it, or have a thread do it and do without
meanwhile. Saving knows nothing of it. Its tables:

- the time zones whose days are kept, each with a number: all tracks up to it are in the cells;
- the cells (see `cells`);
- the changes: a trigger notes each track that is removed, or whose time becomes another one, with
  its number and what that adds or takes away. It does so in the transaction of the change, so
  whoever sees one sees the other;
- questions that are answered from slices of time, and these (see `slices`), each question with a
  number like a time zone's. Where it is about data, another trigger notes those that become others.

In every snapshot of the database, then, the cells, the tracks with higher numbers, and the changes
of tracks with numbers that are not higher, are together what the tracks are. Changes of tracks with
higher numbers say nothing: these tracks are looked at themselves.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfoNotFoundError

from cybertools.tracking.errors import StorageError
from cybertools.tracking.questions import Answer, Cohorts, Groups, Question
from cybertools.tracking.sql.cells import Cells, can_answer, series, zone_of
from cybertools.tracking.sql.days import days_of
from cybertools.tracking.sql.slices import Kept, Sliced, Slices, Times, can_slice, name_of

if TYPE_CHECKING:
    from cybertools.tracking.sql.engine import SqlEngine

__all__ = ["FOLD_SECONDS", "LEAST", "Rollup"]

LEAST = 50_000
"""Tracks of a storage that gets a rollup; fewer are counted soon enough."""

PENDING = 1_000
"""So many tracks and changes are added to an answer each time, before they are to the cells."""

STEP = 25_000
"""Tracks that are added to the cells in one transaction: others want to write, too."""

MOST_PENDING = 1_000_000
"""Where more than that, or than a quarter of all, is pending, as somebody makes the rollup, tracks
are counted."""

MOST_ZONES = 4
"""The tracks of a day in further time zones are counted."""

MOST_QUESTIONS = 12
"""Further ones that could be answered from slices are answered from the tracks."""

SLICE_SECONDS = 0.05
"""About so long a transaction makes slices: others want to write, too."""

TABLES = ("zones", "cells", "changes", "questions", "slices")

PAUSE_SECONDS = 0.02
"""Between two steps."""

FOLD_SECONDS = 0.1
"""How long those who only want to bring a rollup up to date wait for others that write."""


ATTEMPTS, AGAIN_SECONDS = 20, 0.5
"""How often a thread begins to bring a rollup up to date again where others write, and when."""

CLOSE_SECONDS = 10.0
"""How long closing waits for a thread, which ends after its step."""


@dataclass(frozen=True, slots=True)
class _Zone:
    """A time zone whose days are kept."""

    id: int
    name: str
    fingerprint: int
    upto: int

    @property
    def is_current(self) -> bool:
        """Whether its days are still those that the cells are of."""
        try:
            return self.fingerprint == days_of(self.name).fingerprint
        except ZoneInfoNotFoundError:  # another machine's Python knows it
            return False


@dataclass(frozen=True, slots=True)
class _State:
    """What a connection sees of the rollup, and what of the tracks it depends on."""

    exists: bool
    zones: list[_Zone]
    questions: list[Kept]
    top: int
    """The highest number of a track."""
    changes: int
    span: tuple[float, float] | None
    """From the first to the last time of tracks and changes; None where there are none."""
    last: float
    """The last time of a track."""

    def pending(self, kept: _Zone | Kept) -> int:
        """How much, at most, there is to add to the cells or slices."""
        return max(0, self.top - kept.upto) + self.changes

    @property
    def most_pending(self) -> int:
        """How much there is to add where most of it is pending."""
        used: list[_Zone | Kept] = [*self.zones]
        used += (kept for kept in self.questions if kept.upto >= 0)
        return max(map(self.pending, used), default=0)

    def is_near(self, kept: _Zone | Kept, pending: int) -> bool:
        """Whether no more is pending than can be added to an answer, or so much."""
        return self.pending(kept) <= max(pending, min(MOST_PENDING, self.top // 4))

    def can_use(self, zone: _Zone) -> bool:
        """Whether the cells of that zone are of use."""
        return zone.is_current and self.last < days_of(zone.name).starts[-1]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be kept from now on: the days of a time zone, or the slices of a question."""

    zone: str | None = None
    question: str | None = None

    def __bool__(self) -> bool:
        return self != _Wanted()


class Rollup:
    """The rollup of an engine's storage."""

    def __init__(self, engine: "SqlEngine") -> None:
        self._engine = engine
        self._tables = engine.tables
        self.least = LEAST
        """Tracks that there are at least where a rollup is made."""
        self.pending = PENDING
        """What may be added to an answer each time."""
        self.step = STEP
        """Tracks that are added to the cells in one transaction."""
        self._is_closed = threading.Event()
        self._starting = threading.Lock()
        self._maker = threading.Thread()
        self._whole = set[str]()
        """Questions whose slices the thread has made, all of them; others may have gaps."""

    @property
    def tables(self) -> list[str]:
        """The names of its tables."""
        return [*map(self._tables.rollup, TABLES)]

    def answer(self, question: Question) -> Answer | None:
        """The answer to a question, where the rollup has it; else the tracks are to be counted."""
        if not self._engine.has_rollup:
            return None
        if self._engine.in_transaction:  # it sees what the cells may not be told yet
            return None
        try:
            if can_slice(question):
                times = question.criteria.time_from, question.criteria.time_to
                about = _Wanted(question=name_of(question))
                return self._asked(about, times, partial(self._from_slices, question))
            if isinstance(question, Groups | Cohorts) and can_answer(question):
                about = _Wanted(zone=zone_of(question))
                return self._asked(about, (None, None), partial(self._from_cells, question))
        except StorageError:
            # This role may only read, say, or others are writing; tracks can still be counted.
            pass
        return None

    def _asked(
        self, about: _Wanted, times: Times, answered: Callable[[Any, _State], Answer | None]
    ) -> Answer | None:
        with self._engine.snapshot() as connection:
            state = self._state(connection)
            wanted = about if self._wants(state, about) else _Wanted()
            is_due = bool(wanted) or state.most_pending > self.pending
            has_gaps = about.question in {kept.name for kept in state.questions} - self._whole
            if not self._engine.is_patient and (is_due or has_gaps):
                self._make(wanted)
            if not self._engine.is_patient or not (is_due or has_gaps):
                return answered(connection, state)
        if is_due:
            self._refresh(state, wanted)
        if about.question is not None:
            self._slice(about.question, times)
        with self._engine.snapshot() as connection:
            return answered(connection, self._state(connection))

    def _from_slices(self, question: Sliced, connection: Any, state: _State) -> Answer | None:
        name = name_of(question)
        for asked in state.questions:
            if asked.name == name and asked.upto >= 0 and state.is_near(asked, self.pending):
                return self._slices(connection, asked, state).answer(question)
        return None

    def _from_cells(
        self, question: Groups | Cohorts, connection: Any, state: _State
    ) -> Answer | None:
        # Days of the zone that was asked for are whole in its own cells.
        zone = zone_of(question)
        for kept in sorted(state.zones, key=lambda kept: kept.name != zone):
            if state.can_use(kept) and state.is_near(kept, self.pending):
                answer = self._cells(connection, kept, state).answer(question)
                if answer is not None:
                    return answer
        return None

    def note(self, connection: Any, numbers: list[int]) -> None:
        """Note that tracks were saved under numbers of others' choice, in their transaction."""
        # Asked after they were written: whoever makes a rollup waits for those who have done that.
        if self._exists(connection):
            condition, values = self._engine.dialect.any_of("number", numbers)
            connection.execute(
                f"INSERT INTO {self._tables.rollup('changes')}"
                " (number, taskId, runId, userName, timeStamp, n)"
                " SELECT number, taskId, runId, userName, timeStamp, 1"
                f" FROM {self._tables.tracks} WHERE {condition}",
                values,
            )

    def drop(self) -> None:
        """Remove it; it is made again when somebody asks."""
        with self._engine.writing() as connection:
            if self._exists(connection):
                self._execute(connection, self._engine.dialect.drop_rollup)

    def check(self) -> list[str]:
        """What is wrong with it."""
        findings: list[str] = []
        if self._engine.in_transaction or not self._engine.has_rollup:
            return findings
        with self._engine.snapshot() as connection:
            state = self._state(connection)
            for zone in state.zones:
                if state.can_use(zone):
                    wrong = self._cells(connection, zone, state).count_wrong()
                    if wrong:
                        findings.append(
                            f"{wrong:,} numbers kept for the days of {zone.name} are not those of"
                            " the tracks; reindexing makes them anew."
                        )
            for asked in state.questions:
                wrong = self._slices(connection, asked, state).count_wrong()
                if wrong:
                    findings.append(
                        f"{wrong:,} answers kept for {asked.name} are not those of the tracks;"
                        " reindexing makes them anew."
                    )
        return findings

    # Keeping it

    def _wants(self, state: _State, about: _Wanted) -> bool:
        """Whether that is to be kept from now on, and is not yet."""
        if about.question is not None:
            names = {kept.name for kept in state.questions}
            is_new, has_room = about.question not in names, len(names) < MOST_QUESTIONS
        else:
            names = {kept.name for kept in state.zones if kept.is_current}
            is_new = about.zone is not None and about.zone not in names
            has_room = len(names) < MOST_ZONES
        return is_new and has_room and state.top >= self.least

    def _refresh(self, state: _State, wanted: _Wanted) -> None:
        """Make it, add to what it keeps, and bring it up to date."""
        if not state.exists:
            with self._engine.writing() as connection:
                if not self._exists(connection):
                    self._execute(connection, self._engine.dialect.drop_rollup)
                    self._execute(connection, self._engine.dialect.rollup)
        settled = self._engine.settled()
        while True:
            with self._engine.folding() as connection:
                if self._step(connection, wanted, settled):
                    return
            if self._is_closed.wait(PAUSE_SECONDS):
                return

    def _slice(self, name: str, times: Times = (None, None)) -> None:
        """Make the slices of a question that are missing within the times."""
        while True:
            with self._engine.snapshot() as connection:
                state = self._state(connection)
                kept = next((each for each in state.questions if each.name == name), None)
                if kept is None or state.span is None:
                    return
                missing = self._slices(connection, kept, state).missing(times)
            if not missing:
                return
            with self._engine.folding() as connection:
                state = self._state(connection)
                for kept in state.questions:
                    if kept.name == name:
                        slices = self._slices(connection, kept, state)
                        there = {*slices.missing(times)}
                        slices.make([n for n in missing if n in there], SLICE_SECONDS)
            if self._is_closed.wait(PAUSE_SECONDS):
                return

    def _make(self, wanted: _Wanted) -> None:
        """Have a thread do that, unless one is at it."""
        with self._starting:
            if not (self._maker.is_alive() or self._is_closed.is_set()):
                self._maker = threading.Thread(
                    target=self._keep_making, args=(wanted,), name="rollup", daemon=True
                )
                self._maker.start()

    def _keep_making(self, wanted: _Wanted) -> None:
        for _ in range(ATTEMPTS):
            try:
                with self._engine.snapshot() as connection:
                    state = self._state(connection)
                self._refresh(state, wanted)
                with self._engine.snapshot() as connection:
                    names = [kept.name for kept in self._state(connection).questions]
                for name in names:
                    self._slice(name)
                    self._whole.add(name)
            except StorageError:  # others write; or this role may not, and they do it or nobody
                if self._is_closed.wait(AGAIN_SECONDS):
                    return
            else:
                return

    def close(self) -> None:
        """Have the thread end that brings it up to date; what it has done so far stays."""
        self._is_closed.set()
        with self._starting:
            if self._maker.is_alive():
                self._maker.join(CLOSE_SECONDS)

    def _step(self, connection: Any, wanted: _Wanted, settled: int) -> bool:
        """Add what is pending, up to some number of tracks; True where nothing is left.

        :param settled: no track of a number up to this one can appear any more.
        """
        state = self._state(connection)
        cells, zones = self._tables.rollup("cells"), self._tables.rollup("zones")
        kept: list[_Zone] = []
        for zone in state.zones:
            if zone.is_current:
                kept.append(zone)
                continue
            first = series(zone.id, "taskId", 0)
            connection.execute(
                f"DELETE FROM {cells} WHERE series >= ? AND series < ?", (first, first + 16)
            )
            connection.execute(f"DELETE FROM {zones} WHERE id = ?", (zone.id,))
        if wanted.zone is not None and wanted.zone not in {zone.name for zone in kept}:
            number = max((zone.id for zone in kept), default=0) + 1
            kept.append(_Zone(number, wanted.zone, days_of(wanted.zone).fingerprint, 0))
            connection.execute(
                f"INSERT INTO {zones} (id, name, fingerprint, upto) VALUES (?, ?, ?, 0)",
                (number, wanted.zone, kept[-1].fingerprint),
            )
        if not all(map(state.can_use, kept)):
            return True
        done = True
        for zone in kept:
            ceiling = max(zone.upto, min(settled, zone.upto + self.step))
            done &= ceiling >= settled
            if state.span is not None:
                self._cells(connection, zone, state).add_pending(ceiling)
            connection.execute(f"UPDATE {zones} SET upto = ? WHERE id = ?", (ceiling, zone.id))
        for asked in state.questions:
            if asked.upto >= 0 and state.span is not None:
                self._slices(connection, asked, state).settle(settled)
        if wanted.question is not None:
            self._keep(connection, state, wanted.question, settled)
        connection.execute(f"DELETE FROM {self._tables.rollup('changes')}")
        connection.execute(f"DELETE FROM {cells} WHERE tracks = 0")
        return done

    def _keep(self, connection: Any, state: _State, name: str, settled: int) -> None:
        """Keep slices of that question from now on; the first of them come later."""
        if name in {kept.name for kept in state.questions}:
            return
        kept = Kept(max((kept.id for kept in state.questions), default=0) + 1, name, settled)
        if kept.is_of_data and not any(each.is_of_data for each in state.questions):
            self._execute(connection, self._engine.dialect.rollup_data)
        connection.execute(
            f"INSERT INTO {self._tables.rollup('questions')} (id, name, upto) VALUES (?, ?, ?)",
            (kept.id, kept.name, kept.upto),
        )

    def _slices(self, connection: Any, kept: Kept, state: _State) -> Slices:
        return Slices(
            connection,
            self._tables,
            self._engine.dialect,
            kept,
            state.span or (0.0, 0.0),
            state.pending(kept) > 0,
        )

    def _cells(self, connection: Any, zone: _Zone, state: _State) -> Cells:
        return Cells(
            connection,
            self._tables,
            self._engine.dialect,
            zone.id,
            days_of(zone.name),
            zone.upto,
            state.span or (0.0, 0.0),
            state.changes > 0,
        )

    def _state(self, connection: Any) -> _State:
        tracks = self._tables.tracks
        ends = "(SELECT min(timeStamp) FROM {0}), (SELECT max(timeStamp) FROM {0})"
        top, first, last = connection.execute(
            f"SELECT (SELECT max(number) FROM {tracks}), {ends.format(tracks)}"
        ).fetchone()
        exists = self._exists(connection)
        zones: list[_Zone] = []
        questions: list[Kept] = []
        changes, times = 0, [first, last]
        if exists:
            noted = self._tables.rollup("changes")
            found = connection.execute(
                f"SELECT id, name, fingerprint, upto FROM {self._tables.rollup('zones')}"
                " ORDER BY id"
            )
            zones = [_Zone(*row) for row in found.fetchall()]
            found = connection.execute(
                f"SELECT id, name, upto FROM {self._tables.rollup('questions')} ORDER BY id"
            )
            questions = [Kept(*row) for row in found.fetchall()]
            changes, *noted_times = connection.execute(
                f"SELECT (SELECT count(*) FROM {noted}), {ends.format(noted)}"
            ).fetchone()
            times += noted_times
        times = [each for each in times if each is not None]
        span = (min(times), max(times)) if times else None
        return _State(exists, zones, questions, top or 0, changes, span, last or 0.0)

    def _exists(self, connection: Any) -> bool:
        name = self._tables.rollup("slices")
        return bool(connection.execute(self._engine.dialect.has_table, (name,)).fetchone()[0])

    def _execute(self, connection: Any, statements: str) -> None:
        names = {what: self._tables.rollup(what) for what in TABLES}
        for statement in statements.strip().split(";\n"):
            connection.execute(
                statement.format(
                    tracks=self._tables.tracks,
                    prefix=self._tables.prefix,
                    **names,
                )
            )
