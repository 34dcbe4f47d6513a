"""A plausible activity log of any size: courses, lessons, quizzes, and users with habits.

The same arguments give the same bytes, on any machine: chance comes from ``random()`` alone, whose
sequence Python guarantees, and no function is used that differs between mathematical libraries.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import islice
from random import Random
from typing import Any

import orjson

from cybertools.tracking.errors import InvalidValue

__all__ = ["sample_lines", "sample_tracks"]

START = datetime(2026, 1, 5, tzinfo=UTC).timestamp()
"""A Monday: the first day of the log."""

COURSES = {
    "algebra": 24,
    "biology": 18,
    "french": 30,
    "history": 16,
    "python": 28,
    "statistics": 20,
}
"""Lessons of each course. A quiz comes after each three of them."""

QUESTIONS = 5
PASSED = 60
"""Points out of 100."""

NAMES = (
    *("ada", "alan", "amir", "anna", "ben", "carla", "chen", "dora", "emil", "farah"),
    *("grace", "hugo", "ines", "ivan", "jana", "kofi", "lena", "mia", "noor", "omar"),
    *("petra", "quinn", "rosa", "sam", "tara", "uwe", "vera", "wim", "yuki", "zoe"),
)

HOURS = (2, 1, 1, 1, 1, 2, 5, 12, 22, 30, 32, 28, 20, 24, 28, 27, 24, 22, 25, 32, 34, 26, 14, 6)
"""How much is done in each hour of a day (UTC)."""

WEEKDAYS = (10, 11, 11, 10, 8, 4, 6)
"""How much is done on each day of a week, from Monday."""

SLOT = 2_000
"""Tracks that are made at a time, at most."""


@dataclass(slots=True)
class _User:
    """Somebody with habits, who is somewhere in a course."""

    name: str
    first: float
    """The day of the first session; a fraction of all days, as is the last."""
    last: float
    hour: int
    """The favourite one."""
    skill: float
    device: str
    course: int
    step: int = 0
    attempts: int = 0
    sessions: int = 0


def sample_lines(tracks: int, seed: int = 1, days: int = 90) -> Iterator[bytes]:
    """The tracks of `sample_tracks` as JSON lines, in pieces of many lines."""
    made = sample_tracks(tracks, seed, days)
    while piece := b"".join(
        orjson.dumps(track, option=orjson.OPT_APPEND_NEWLINE) for track in islice(made, 1_000)
    ):
        yield piece


def sample_tracks(tracks: int, seed: int = 1, days: int = 90) -> Iterator[dict[str, Any]]:
    """So many tracks, in order of time, in constant memory.

    The ``runId`` is a label: a session, of which a user has one in each task that it comes to.

    :param seed: another one gives another log.
    :param days: they are spread over so many, from 2026-01-05.
    :raises InvalidValue: there cannot be so many tracks or days.
    """
    if tracks < 0:
        raise InvalidValue(f"tracks must not be negative: {tracks}.")
    if not 1 <= days <= 36_500:
        raise InvalidValue(f"days must be from 1 to 36,500, not {days}.")
    chance = Random(seed)  # noqa: S311 (plausible, not secret)
    users = _users(chance, max(3, min(20_000, tracks // 150)))
    waiting: list[tuple[int, int, dict[str, Any]]] = []
    made = due = 0
    for start, length, quota in _slots(tracks, days):
        due += quota
        day = (start - START) / 86_400
        while made < due:  # the last session may make more, which the next parts have less
            user = _somebody(chance, users, day / days, int(start // 3600) % 24)
            moment = start + chance.random() * length
            for track in islice(_session(chance, user, moment), tracks - made):
                heappush(waiting, (track["timeStamp"], made, track))
                made += 1
        while waiting and waiting[0][0] < start + length:
            yield heappop(waiting)[2]
    while waiting:
        yield heappop(waiting)[2]


def _slots(tracks: int, days: int) -> Iterator[tuple[float, float, int]]:
    """Beginning and length of each part of the time, in seconds, and its number of tracks."""
    # Interest is great in the beginning and again before the end.
    trend = [1.4 - 0.8 * day / days + (0.5 if day > 0.9 * days else 0) for day in range(days)]
    weights = [trend[day] * WEEKDAYS[day % 7] * hour for day in range(days) for hour in HOURS]
    whole = sum(weights)
    parts = 1 + int(tracks * max(weights) / whole) // SLOT
    length = 3600 / parts
    seen = 0.0
    given = 0
    for hour, weight in enumerate(weights):
        for part in range(parts):
            seen += weight / parts
            due = tracks if hour + 1 == len(weights) and part + 1 == parts else 0
            due = due or min(tracks, int(tracks * (seen / whole)))
            yield START + hour * 3600 + part * length, length, due - given
            given = due


def _users(chance: Random, number: int) -> list[_User]:
    users: list[_User] = []
    for place in range(number):
        first = chance.random() * chance.random() * 0.6
        stays = chance.random() < 0.6
        users.append(
            _User(
                name=NAMES[place % len(NAMES)]
                + (str(place // len(NAMES) + 1) if place > 29 else ""),
                first=first,
                last=1.0 if stays else first + (1 - first) * chance.random(),
                hour=(8, 10, 14, 18, 20, 21)[int(chance.random() * 6)],
                skill=0.45 + 0.5 * chance.random(),
                device=("laptop", "laptop", "phone", "tablet")[int(chance.random() * 4)],
                course=int(chance.random() * len(COURSES)),
            )
        )
    return users


def _somebody(chance: Random, users: list[_User], day: float, hour: int) -> _User:
    """A user who is there on that day and likely to do something at that hour."""
    user = users[0]
    for _ in range(12):
        # Some do much more than others.
        user = users[int(chance.random() * chance.random() * len(users))]
        distance = abs(user.hour - hour)
        liking = 1.0 if min(distance, 24 - distance) <= 2 else 0.25
        if user.first <= day <= user.last and chance.random() < liking:
            break
    return user


def _session(chance: Random, user: _User, moment: float) -> Iterator[dict[str, Any]]:
    """What a user does in a sitting: goes on in the course until the time is up."""
    user.sessions += 1
    label = f"{user.name}-{user.sessions:03d}"
    left = 2 + int(chance.random() * 16)
    while left > 0:
        course, lessons = list(COURSES.items())[user.course]
        unit, place = divmod(user.step, 4)
        steps = _quiz(chance, user) if place == 3 else _lesson(chance, user)
        task = (
            f"{course}/quiz-{unit + 1:02d}"
            if place == 3
            else f"{course}/lesson-{unit * 3 + place + 1:02d}"
        )
        for seconds, data in steps:
            moment += seconds
            yield {
                "taskId": task,
                "runId": label,
                "userName": user.name,
                "timeStamp": int(moment),
                "data": {**data, "device": user.device},
            }
            left -= 1
        if user.step >= lessons + lessons // 3:
            user.step = 0
            user.course = (user.course + 1) % len(COURSES)


def _lesson(chance: Random, user: _User) -> Iterator[tuple[float, dict[str, Any]]]:
    """The steps of a lesson: the seconds before each, and its data."""
    yield 5 + 60 * chance.random(), {"verb": "opened"}
    for _ in range(1 + int(chance.random() * 3)):
        duration = 20 + int(chance.random() * chance.random() * 900)
        verb = "watched" if chance.random() < 0.3 else "read"
        yield duration, {"verb": verb, "duration": duration}
    if chance.random() < 0.5 + 0.5 * user.skill:
        user.step += 1
        yield 2 + 10 * chance.random(), {"verb": "completed", "state": "completed"}


def _quiz(chance: Random, user: _User) -> Iterator[tuple[float, dict[str, Any]]]:
    """The steps of a quiz, which is tried again where it was failed."""
    user.attempts += 1
    attempt = user.attempts
    yield 5 + 60 * chance.random(), {"verb": "started", "attempt": attempt}
    right = 0
    for question in range(1, QUESTIONS + 1):
        correct = chance.random() < user.skill + 0.1 * (attempt - 1)
        right += correct
        duration = 8 + int(chance.random() * 80)
        answer = {"verb": "answered", "question": question, "correct": correct}
        yield duration, {**answer, "duration": duration}
    score = 100 * right // QUESTIONS
    passed = score >= PASSED
    if passed:
        user.step += 1
        user.attempts = 0
    state = "passed" if passed else "failed"
    yield 3, {"verb": "finished", "score": score, "state": state, "attempt": attempt}
