"""What the contenders are asked: drawn from the dataset at random, the same for each of them."""

from __future__ import annotations

import json
import random
from array import array
from dataclasses import dataclass
from typing import Any, TypeAlias

from bench.datasets import Dataset
from bench.operations import OPERATIONS, PAGE, QUERY, Operation

__all__ = ["Question", "Questions", "questions_for"]

Question: TypeAlias = tuple[Any, ...]
"""The arguments of one call."""

NUMBER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions about a dataset, and what its columns take."""

    turns: dict[str, list[list[Question]]]
    """By operation: a list of questions for each turn. The first turn warms up."""
    column_bytes: int
    """Bytes of taskId, runId, userName, timeStamp and data: UTF-8 text, 8 for each number."""


@dataclass(slots=True)
class _Summary:
    """What the questions are made of, from one pass through the dataset."""

    numbers: dict[str, array[int]]
    """By task, in order of their first tracks: the numbers of its tracks."""
    times: array[float]
    sample: list[tuple[str, str, Any]]
    column_bytes: int


def questions_for(dataset: Dataset, turns: int) -> Questions:
    """Questions for so many turns of each operation, and one more to warm up."""
    chance = random.Random(dataset.size)
    summary = _summary(dataset, chance)
    asked = {}
    for operation in OPERATIONS:
        calls = operation.calls
        every = _questions(operation, summary, chance, calls * (turns + 1))
        asked[operation.name] = [every[i : i + calls] for i in range(0, len(every), calls)]
    return Questions(asked, summary.column_bytes)


def _summary(dataset: Dataset, chance: random.Random) -> _Summary:
    wanted = set(chance.sample(range(1, dataset.size + 1), min(dataset.size, 5_000)))
    summary = _Summary({}, array("d"), [], 0)
    for number, line in enumerate(dataset.lines(), 1):
        track = json.loads(line)
        task, user, data = track["taskId"], track["userName"], track["data"]
        summary.numbers.setdefault(task, array("q")).append(number)
        summary.times.append(track["timeStamp"])
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        summary.column_bytes += len(task.encode()) + len(user.encode()) + len(text.encode())
        summary.column_bytes += 2 * NUMBER_BYTES
        if number in wanted:
            summary.sample.append((task, user, data))
    summary.times = array("d", sorted(summary.times))
    return summary


def _questions(
    operation: Operation, summary: _Summary, chance: random.Random, count: int
) -> list[Question]:
    drawn = chance.choices(summary.sample, k=count)
    if operation.name == "save":
        return list(drawn)
    if operation.name == "last":
        # A task's run is started with its first track, and runs are numbered from 1.
        runs = {task: run for run, task in enumerate(summary.numbers, 1)}
        return [(task, runs[task], user) for task, user, _ in drawn]
    if operation.name == "within":
        times, span = summary.times, min(QUERY, len(summary.times))
        starts = chance.choices(range(len(times) - span + 1), k=count)
        return [(times[start], times[start + span - 1], QUERY) for start in starts]
    if operation.name in ("page", "newest"):
        full = [task for task, numbers in summary.numbers.items() if len(numbers) >= PAGE]
        if not full:
            full = [max(summary.numbers, key=lambda task: len(summary.numbers[task]))]
        tasks = chance.choices(full, k=count)
        if operation.name == "newest":
            return [(task, PAGE) for task in tasks]
        return [(task, _middle(summary.numbers[task]), PAGE) for task in tasks]
    if operation.name in ("task_ids", "info"):
        return [()] * count
    return [(task,) for task, _, _ in drawn]


def _middle(numbers: array[int]) -> int:
    """The number after which the middle page begins; 0 is the beginning."""
    before = (len(numbers) - PAGE) // 2
    return numbers[before - 1] if before > 0 else 0
