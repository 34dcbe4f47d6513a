"""The first look at a storage."""

from cybertools.tracking import open_storage
from cybertools.tracking.overview import overview


def test_overview_counts_and_ranks() -> None:
    tracks = open_storage("memory:")
    tracks.saveUserTracks(
        {"taskId": task, "userName": user, "timeStamp": time, "data": {"n": time}}
        for task, user, time in [
            ("a", "u2", 5),
            ("b", "u1", 9),
            ("b", "u1", 2),
            ("b", "u3", 7),
            ("c", "u2", 4),
            ("c", "u2", 1),
        ]
    )
    seen: list[tuple[int, int]] = []
    found = overview(tracks, top=2, progress=lambda done, total: seen.append((done, total)))
    assert (found.info.tracks, found.info.tasks, found.info.users, found.info.runs) == (6, 3, 3, 3)
    assert found.busiest_tasks == (("b", 3), ("c", 2))
    assert found.busiest_users == (("u2", 3), ("u1", 2))
    assert found.last_track is not None
    assert found.last_track.data == {"n": 5}
    assert seen == [(n, 6) for n in range(1, 7)]


def test_overview_of_nothing() -> None:
    found = overview(open_storage("memory:"))
    assert found.info.tracks == 0
    assert found.busiest_tasks == found.busiest_users == ()
    assert found.last_track is None
