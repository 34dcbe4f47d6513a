"""Runs: starting, stopping, opening by label, looking at them."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from cybertools.tracking.errors import InvalidType
from cybertools.tracking.interfaces import Storage
from cybertools.tracking.testing.base import BaseContract, Opener, at
from cybertools.tracking.track import Run
from cybertools.tracking.values import now

__all__ = ["RunsContract"]

FUTURE = 2.0**33 - 1


def run_of(tracks: Storage, runId: int) -> Run:
    """The run of that id, which is there."""
    run = tracks.getRun(runId)
    assert run is not None
    return run


class RunsContract(BaseContract):
    """One pass through a task after the other."""

    # Starting

    def test_run_ids_count_from_one(self, tracks: Storage) -> None:
        assert [tracks.startRun(task) for task in ("a001", "a002", "a001", None)] == [1, 2, 3, 4]

    def test_starting_makes_it_the_current_run(self, tracks: Storage) -> None:
        tracks.startRun("a001")
        other = tracks.startRun("a002")
        newer = tracks.startRun("a001")
        assert dict(tracks.currentRuns) == {"a001": newer, "a002": other}
        assert not run_of(tracks, 1).finished

    def test_a_run_without_a_task_is_nobodys_current_run(self, tracks: Storage) -> None:
        run = tracks.startRun()
        assert run_of(tracks, run).taskId is None
        assert tracks.getRun() is None
        assert len(tracks.currentRuns) == 0

    def test_a_new_run(self, tracks: Storage) -> None:
        before = now()
        run = run_of(tracks, tracks.startRun("a001"))
        assert run.start == run.end
        assert before <= run.start <= now()
        assert run == Run(1, "a001", run.start, run.start, False, None)

    # Start and end

    def test_start_and_end_come_from_the_tracks(self, tracks: Storage) -> None:
        for second in (5, 3, 9, 7):
            tracks.saveUserTrack("a001", 0, f"u{second}", {}, timeStamp=at(second))
        run = run_of(tracks, 1)
        assert (run.start, run.end) == (at(3), at(9))
        assert repr(run) == "<Run 1, 2007-05-01 09:28, 2007-05-01 09:28, False>"

    def test_later_tracks_move_the_end_only(self, tracks: Storage) -> None:
        run = tracks.startRun("a001")
        started = run_of(tracks, run).start
        tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=FUTURE)
        assert run_of(tracks, run)[2:4] == (started, FUTURE)

    def test_start_and_end_follow_changes_and_removals(self, tracks: Storage) -> None:
        early, late = (
            tracks.saveUserTrack("a001", 0, user, {}, timeStamp=at(n))
            for user, n in (("u1", 1), ("u2", 9))
        )
        tracks.saveUserTrack("a001", 0, "u2", {}, replace=True, timeStamp=at(5))
        assert run_of(tracks, 1)[2:4] == (at(1), at(5))
        tracks.removeTrack(early)
        assert run_of(tracks, 1)[2:4] == (at(5), at(5))
        tracks.removeTrack(late)
        run = run_of(tracks, 1)
        assert run.start == run.end > at(9)

    def test_the_end_is_the_time_of_stopping(self, tracks: Storage) -> None:
        tracks.saveUserTrack("a001", 0, "u1", {}, timeStamp=at(1))
        before = now()
        tracks.stopRun("a001")
        run = run_of(tracks, 1)
        assert run.start == at(1)
        assert before <= run.end <= now()

    def test_tracks_after_stopping_are_later(self, tracks: Storage) -> None:
        run = tracks.startRun("a001")
        tracks.stopRun("a001")
        stopped = run_of(tracks, run).end
        tracks.saveUserTrack("a001", run, "u1", {}, timeStamp=at(1))
        assert run_of(tracks, run)[2:4] == (at(1), stopped)
        tracks.saveUserTrack("a001", run, "u1", {}, timeStamp=FUTURE)
        assert run_of(tracks, run)[2:4] == (at(1), FUTURE)

    # Stopping

    def test_stopping_the_current_run(self, tracks: Storage) -> None:
        tracks.startRun("a001")
        run = tracks.startRun("a001")
        assert tracks.stopRun("a001") == run
        assert dict(tracks.currentRuns) == {}
        assert tracks.getRun("a001") is None
        assert run_of(tracks, run).finished
        assert not run_of(tracks, 1).finished
        assert list(tracks.finishedRuns) == [run]

    def test_stopping_where_there_is_nothing_to_stop(self, tracks: Storage) -> None:
        assert tracks.stopRun() == tracks.stopRun("a001") == tracks.stopRun("a001", 7) == 0
        assert tracks.stopRun(runId=7) == tracks.stopRun(runId=2**62) == 0
        run = tracks.startRun("a001")
        assert tracks.stopRun() == 0
        assert tracks.stopRun("a002", run) == 0
        assert tracks.stopRun("a001") == run
        assert tracks.stopRun("a001") == tracks.stopRun("a001", run) == 0
        assert list(tracks.finishedRuns) == [run]

    def test_stopping_an_older_run_leaves_the_current_one(self, tracks: Storage) -> None:
        older, newer = tracks.startRun("a001"), tracks.startRun("a001")
        assert tracks.stopRun("a001", older) == older
        assert dict(tracks.currentRuns) == {"a001": newer}
        assert tracks.stopRun(runId=newer) == newer
        assert dict(tracks.currentRuns) == {}
        assert list(tracks.finishedRuns) == [older, newer]

    def test_stopping_without_finishing(self, tracks: Storage) -> None:
        run = tracks.startRun("a001")
        assert tracks.stopRun("a001", finish=False) == run
        assert tracks.stopRun("a001", run, finish=False) == 0
        assert dict(tracks.currentRuns) == {}
        assert not run_of(tracks, run).finished
        assert list(tracks.finishedRuns) == []

    def test_finishing_later_keeps_the_time_of_stopping(self, tracks: Storage) -> None:
        run = tracks.startRun("a001")
        tracks.stopRun("a001", finish=False)
        end = run_of(tracks, run).end
        assert tracks.stopRun("a001", run) == run
        assert run_of(tracks, run) == Run(run, "a001", run_of(tracks, run).start, end, True, None)
        assert tracks.stopRun("a001", run) == tracks.stopRun("a001", run, finish=False) == 0
        assert run_of(tracks, run).finished

    def test_a_run_without_a_task_is_stopped_by_its_id(self, tracks: Storage) -> None:
        one, two = tracks.startRun(), tracks.startRun()
        assert tracks.stopRun(runId=one) == one
        assert tracks.stopRun("a001", two) == two
        assert list(tracks.finishedRuns) == [one, two]

    # Labels

    def test_a_label_opens_one_run(self, tracks: Storage) -> None:
        current = tracks.startRun("a001")
        run = tracks.openRun("a001", "s-1")
        assert tracks.openRun("a001", "s-1") == run
        assert tracks.openRun("a001", "s-2") != run
        assert tracks.openRun("a002", "s-1") != run
        assert run_of(tracks, run).label == "s-1"
        assert run_of(tracks, run).taskId == "a001"
        assert dict(tracks.currentRuns) == {"a001": current}
        assert len(tracks.runs) == 4

    def test_runs_are_opened_together(self, tracks: Storage) -> None:
        current = tracks.startRun("a001")
        known = tracks.openRun("a001", "s-2")
        places = [("a002", "s-1"), ("a001", "s-2"), ("a001", "s-1"), ("a002", "s-1")]
        first, second, third, again = tracks.engine.open_runs(places)
        assert (second, again) == (known, first)
        assert current < known < first < third
        assert [run_of(tracks, run)[1] for run in (first, third)] == ["a002", "a001"]
        assert [run_of(tracks, run).label for run in (first, third)] == ["s-1", "s-1"]
        assert tracks.engine.open_runs([]) == []
        assert dict(tracks.currentRuns) == {"a001": current}
        assert len(tracks.runs) == 4

    def test_labels_are_texts_of_their_own(self, tracks: Storage) -> None:
        labels = ["s", "S", "s ", "ü", "u\u0308", "1", "x" * 1000]
        runs = {tracks.openRun("a001", label): label for label in labels}
        assert len(runs) == len(labels)
        assert {run.id: run.label for run in tracks.runs.values()} == runs

    def test_an_opened_run_that_was_stopped_is_still_the_same(self, tracks: Storage) -> None:
        run = tracks.openRun("a001", "s-1")
        assert tracks.stopRun("a001") == 0
        assert tracks.stopRun("a001", run) == run
        assert tracks.openRun("a001", "s-1") == run
        assert tracks[tracks.saveUserTrack("a001", run, "u1", {})].runId == run

    # Looking

    def test_a_run_is_got_in_several_ways(self, tracks: Storage) -> None:
        older, newer = tracks.startRun("a001"), tracks.startRun("a001")
        assert run_of(tracks, older).id == older
        assert tracks.getRun("a001") == tracks.getRun(taskId="a001") == run_of(tracks, newer)
        assert tracks.getRun(0, "a001") == tracks.getRun(None, "a001") == run_of(tracks, newer)
        assert tracks.getRun(older, "a001") == tracks.getRun(runId=older) == run_of(tracks, older)

    def test_a_run_that_is_not_there(self, tracks: Storage) -> None:
        run = tracks.startRun("a001")
        for missing in (0, None, -1, 2, 99, 2**62, 2**63, 10**30):
            assert tracks.getRun(missing) is None
        assert tracks.getRun("a002") is None
        assert tracks.getRun(run, "a002") is None

    def test_a_run_of_no_task_goes_with_any(self, tracks: Storage) -> None:
        run = tracks.startRun()
        assert tracks.getRun(run, "a001") == run_of(tracks, run)

    def test_runs_are_mappings(self, tracks: Storage) -> None:
        tracks.startRun("b")
        tracks.startRun("a")
        tracks.stopRun("b")
        tracks.startRun("b")
        tracks.openRun("a", "s-1")
        tracks.stopRun(runId=4, finish=False)
        assert list(tracks.runs) == [1, 2, 3, 4]
        assert list(tracks.finishedRuns) == [1]
        assert dict(tracks.currentRuns) == {"a": 2, "b": 3}
        for runs in (tracks.runs, tracks.finishedRuns):
            assert isinstance(runs, Mapping)
            assert len(runs) == len(list(runs)) == len(runs.values())
            assert [run.id for run in runs.values()] == list(runs)
            assert dict(runs.items()) == {id: run_of(tracks, id) for id in runs}
            assert all(runs[id] == run_of(tracks, id) and id in runs for id in runs)
        assert len(tracks.currentRuns) == 2
        assert set(tracks.currentRuns.items()) == {("a", 2), ("b", 3)}
        assert tracks.currentRuns["a"] == 2
        assert repr(tracks.currentRuns) in ("{'a': 2, 'b': 3}", "{'b': 3, 'a': 2}")

    @pytest.mark.parametrize("missing", [0, -1, 5, 2**63, "1", None, 1.5])
    def test_runs_that_are_not_in_the_mappings(self, tracks: Storage, missing: Any) -> None:
        tracks.startRun("a001")
        for runs in (tracks.runs, tracks.finishedRuns, tracks.currentRuns):
            assert missing not in runs
            assert runs.get(missing) is None
            with pytest.raises(KeyError, match=re.escape(repr(missing))):
                runs[missing]
        assert 1 not in tracks.finishedRuns

    @pytest.mark.parametrize("name", ["runs", "finishedRuns", "currentRuns"])
    def test_runs_cannot_be_written(self, tracks: Storage, name: str) -> None:
        tracks.startRun("a001")
        runs: Any = getattr(tracks, name)
        with pytest.raises(TypeError):
            runs["a001"] = 7
        with pytest.raises(TypeError):
            del runs[1]
        with pytest.raises(AttributeError):
            setattr(tracks, name, {})
        run: Any = run_of(tracks, 1)
        with pytest.raises(AttributeError):
            run.finished = True
        assert not run_of(tracks, 1).finished

    def test_the_mappings_are_live(self, tracks: Storage) -> None:
        runs, finished, current = tracks.runs, tracks.finishedRuns, tracks.currentRuns
        tracks.startRun("a001")
        assert (list(runs), list(finished), dict(current)) == ([1], [], {"a001": 1})
        tracks.stopRun("a001")
        assert (list(runs), list(finished), dict(current)) == ([1], [1], {})

    def test_many_runs(self, tracks: Storage) -> None:
        tracks.saveUserTracks(
            {"taskId": f"t{n:04d}", "userName": "u1", "data": {}, "timeStamp": at(n)}
            for n in range(1_100)
        )
        assert list(tracks.runs) == list(range(1, 1_101))
        assert [run.end for run in tracks.runs.values()] == [at(n) for n in range(1_100)]
        assert len(tracks.currentRuns) == 1_100
        assert dict(tracks.currentRuns) == {f"t{n:04d}": n + 1 for n in range(1_100)}

    # Keeping

    def test_runs_are_kept(self, open: Opener, reopens: bool) -> None:
        if not reopens:
            pytest.skip("the engine keeps nothing when it is closed")
        with open() as tracks:
            tracks.startRun("a001")
            tracks.stopRun("a001")
            tracks.startRun("a001")
            tracks.openRun("a002", "s-1")
            tracks.saveUserTrack("a002", 3, "u1", {}, timeStamp=at(1))
            before = dict(tracks.runs)
        with open() as tracks:
            assert dict(tracks.runs) == before
            assert list(tracks.finishedRuns) == [1]
            assert dict(tracks.currentRuns) == {"a001": 2}
            assert tracks.openRun("a002", "s-1") == 3
            assert tracks.startRun("a002") == 4

    # Arguments

    def test_task_ids_and_labels_that_cannot_be(self, tracks: Storage) -> None:
        wrong: Any
        for wrong, kind in (
            ("", ValueError),
            ("\0", ValueError),
            ("\ud800", ValueError),
            (7, TypeError),
        ):
            with pytest.raises(kind, match=r"^taskId must "):
                tracks.startRun(wrong)
            with pytest.raises(kind, match=r"^taskId must "):
                tracks.stopRun(wrong)
            with pytest.raises(kind, match=r"^taskId must "):
                tracks.openRun(wrong, "label")
            with pytest.raises(kind, match=r"^label must "):
                tracks.openRun("a001", wrong)
            with pytest.raises(kind, match=r"^taskId must "):
                tracks.getRun(taskId=wrong)
        assert len(tracks.runs) == 0

    @pytest.mark.parametrize("wrong", [1.0, True, [1], b"1"])
    def test_run_ids_that_cannot_be(self, tracks: Storage, wrong: Any) -> None:
        tracks.startRun("a001")
        with pytest.raises(InvalidType, match=r"^runId must be a whole number, not "):
            tracks.getRun(wrong)
        with pytest.raises(InvalidType, match=r"^runId must be a whole number, not "):
            tracks.stopRun(runId=wrong)
        assert list(tracks.finishedRuns) == []

    def test_two_task_ids_for_one_run(self, tracks: Storage) -> None:
        with pytest.raises(InvalidType, match=r"^runId must be a whole number"):
            tracks.getRun("a001", "a002")
