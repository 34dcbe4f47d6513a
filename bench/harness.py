"""The turns: each contender does a little, then the next one does the same, again and again.

So what disturbs the machine for a while disturbs all of them, and a ratio of two turns side by side
is worth more than one of two runs. Contenders of all sizes take part in the same rounds.
"""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.contenders import CONTENDERS
from bench.datasets import Dataset
from bench.operations import BULK, OPERATIONS, Operation
from bench.questions import Questions, questions_for
from bench.results import Case, Footprint, Measurement, Results
from bench.worker import Taken, serve

__all__ = ["BATCH", "Worker", "measure", "started"]

BATCH = 10_000
"""Tracks in one bulk save, at most."""

Tell = Callable[[str], object]


class Worker:
    """A contender in its process, as the harness sees it."""

    def __init__(self, case: Case, dataset: Dataset, directory: Path) -> None:
        self.case = case
        self._directory = directory
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        arguments = (other, case.contender, dataset, directory)
        self._process = context.Process(target=serve, args=arguments, daemon=True)
        self._process.start()
        other.close()

    def order(self, what: str, *arguments: Any) -> Any:
        """Have it do something, and wait for the answer."""
        self._connection.send((what, arguments))
        try:
            done, answer = self._connection.recv()
        except EOFError:
            done, answer = False, "its process has ended"
        if not done:
            raise RuntimeError(f"{self.case.contender}: {what}{arguments!r:.200}\n{answer}")
        return answer

    def warm_up(self) -> None:
        """Read its files, so that all contenders begin with theirs in the system's cache."""
        # Not in its own process: closing a file there would give up SQLite's locks on it.
        for path in self._directory.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    while file.read(1 << 20):
                        pass

    def stop(self) -> None:
        """Let it close its contender and end."""
        with suppress(BrokenPipeError):  # it has ended already
            self._connection.send(None)
        self._process.join()


@contextmanager
def started(case: Case, dataset: Dataset, directory: Path) -> Iterator[Worker]:
    """A worker with a new directory of its own, stopped in the end."""
    place = directory / f"{case.dataset}-{case.size}-{case.contender}".replace(" ", "-")
    place.mkdir()
    worker = Worker(case, dataset, place)
    try:
        yield worker
    finally:
        worker.stop()


def measure(
    results: Results,
    datasets: Sequence[Dataset],
    contenders: Sequence[str],
    turns: int,
    directory: Path,
    tell: Tell,
) -> None:
    """Measure the contenders with the datasets, and add what was measured to the results."""
    with ExitStack() as stack:
        groups: list[tuple[Questions, list[Worker]]] = []
        for dataset in datasets:
            tell(f"{dataset.name} {dataset.size:,}: reading")
            questions = questions_for(dataset, turns)
            workers = []
            for name in contenders:
                largest = CONTENDERS[name].largest
                if largest is None or dataset.size <= largest:
                    case = Case(dataset.name, dataset.size, name)
                    workers.append(stack.enter_context(started(case, dataset, directory)))
            _load(results, dataset, workers, questions.column_bytes, tell)
            groups.append((questions, workers))
        for operation in OPERATIONS:
            _time(results, operation, groups, turns, tell)


def _load(
    results: Results, dataset: Dataset, workers: list[Worker], column_bytes: int, tell: Tell
) -> None:
    batch = max(min(BATCH, dataset.size // 10), 1)
    times: dict[Case, list[list[float]]] = {worker.case: [] for worker in workers}
    for start in range(0, dataset.size, batch):
        count = min(batch, dataset.size - start)
        tell(f"{dataset.name} {dataset.size:,}: saving {start:,}")
        for worker in workers:
            times[worker.case].append([worker.order("load", count)])
    for worker in workers:
        case = worker.case
        results.measurements.append(Measurement.of(case, BULK.name, times[case]))
        taken: Taken = worker.order("taken")
        size = dataset.size
        parts = {name: count / size for name, count in taken.parts.items()}
        results.footprints.append(
            Footprint(case, taken.memory / size, taken.file / size, column_bytes / size, parts)
        )


def _time(
    results: Results,
    operation: Operation,
    groups: list[tuple[Questions, list[Worker]]],
    turns: int,
    tell: Tell,
) -> None:
    times: dict[Case, list[list[float]]] = {}
    for questions, workers in groups:
        if operation.is_compared:
            _check_answers(operation.name, questions, workers)
        for worker in workers:
            worker.warm_up()
            times[worker.case] = []
    for turn in range(turns + 1):
        for questions, workers in groups:
            asked = questions.turns[operation.name][turn]
            for worker in workers:
                tell(f"{operation.title}: turn {turn} of {turns}, {worker.case.contender}")
                found = worker.order("time", operation.name, asked)
                if found is not None and turn:
                    times[worker.case].append(found)
    results.measurements.extend(
        Measurement.of(case, operation.name, found) for case, found in times.items() if found
    )


def _check_answers(operation: str, questions: Questions, workers: list[Worker]) -> None:
    """The same work is only done where the answers are the same."""
    question = questions.turns[operation][0][0]
    answers = {}
    for worker in workers:
        answer = worker.order("answer", operation, question)
        if answer is not None:
            answers[worker.case.contender] = answer
    first = next(iter(answers))
    for contender, answer in answers.items():
        if answer != answers[first]:
            raise RuntimeError(
                f"{operation}{question}: {contender} answers {answer!r:.300},"
                f" {first} answers {answers[first]!r:.300}"
            )
