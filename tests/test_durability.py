"""What was acknowledged survives ``kill -9`` of the writer, and nothing is there by halves."""

import json
import random
from pathlib import Path

import pytest

from cybertools.tracking import Track, open_storage
from cybertools.tracking.testing import ids
from tests import writer
from tests.engines import ENGINES, EngineUnderTest, fresh_url
from tests.test_processes import start

KILLS = 10
"""Of each engine and job; each after another number of acknowledged calls."""

LASTING = [engine for engine in ENGINES if engine.reopens]

lasting = pytest.mark.parametrize("engine", LASTING, ids=str)


def killed(url: str, user: str, job: str, calls: int) -> list[list[str]]:
    """What a writer has acknowledged that was killed at work, after so many calls or some more."""
    with start(url, user, job, 0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        said = [process.stdout.readline() for _ in range(calls)]
        process.kill()
        said += process.stdout.readlines()
        assert process.stderr.read() == ""
        assert process.wait() == -9
    return [json.loads(line) for line in said if line.endswith("\n")]


def hold(found: list[Track], calls: list[list[str]], each: int) -> None:
    """The tracks are those of the acknowledged calls and, perhaps, of the one that was at work."""
    acknowledged = [id for call in calls for id in call]
    assert ids(found)[: len(acknowledged)] == acknowledged
    assert len(found) - len(acknowledged) in (0, each)
    for place, track in enumerate(found):
        assert track.data == writer.data_of(place // each)


@lasting
@pytest.mark.parametrize(("job", "each"), [("save", 1), ("bulk", writer.BATCH), ("together", 3)])
def test_what_was_acknowledged_is_there(
    engine: EngineUnderTest, job: str, each: int, tmp_path: Path
) -> None:
    if job == "together" and not engine.transactional:
        pytest.skip("the engine has no transactions")
    chance = random.Random(f"{engine} {job}")
    acknowledged: dict[str, list[list[str]]] = {}
    with fresh_url(engine, tmp_path) as url:
        for number in range(KILLS):
            # The first is killed while it makes the database, perhaps.
            calls = chance.randint(1, 12) if number else 0
            acknowledged[f"u{number}"] = killed(url, f"u{number}", job, calls)
            with open_storage(url) as tracks:
                assert tracks.check() == []
                for user, said in acknowledged.items():
                    hold(tracks.query(userName=user), said, each)
                assert len(tracks.runs) == len(tracks.currentRuns)
                before = list(tracks)
                assert tracks.saveUserTrack("b", 0, "checker", {}) > max(before, default="")


@lasting
def test_a_track_is_replaced_as_a_whole(engine: EngineUnderTest, tmp_path: Path) -> None:
    chance = random.Random(f"{engine} replace")
    with fresh_url(engine, tmp_path) as url:
        for number in range(KILLS):
            said = killed(url, f"u{number}", "replace", chance.randint(1, 12))
            with open_storage(url) as tracks:
                assert tracks.check() == []
                (track,) = tracks.query(userName=f"u{number}")
                assert said == [[track.id]] * len(said)
                assert track.data in (writer.data_of(len(said) - 1), writer.data_of(len(said)))
                assert len(tracks) == number + 1
