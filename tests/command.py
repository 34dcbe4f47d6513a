"""The command ``tracks`` in tests: in this process for answers, in one of its own for the rest."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cybertools.tracking.cli import main

__all__ = ["Ran", "folder", "lines_of", "peak_memory", "run", "spawn"]


class Ran(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> list[Any]:
        return [json.loads(line) for line in self.out.split("\n") if line]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and none of the caller's settings."""
    for name in ("TRACKS_STORAGE", "TRACKS_NAME", "TRACKS_SALT", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return work


def run(*arguments: str | Path, stdin: bytes = b"", status: int | None = 0) -> Ran:
    """Run the command in this process.

    :param status: the exit code that is expected; None is any.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        _redirected_stdin(stdin),
        pytest.raises(SystemExit) as ended,
    ):
        main([str(argument) for argument in arguments])
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    code = ended.value.code or 0
    assert isinstance(code, int)
    if status is not None:
        assert code == status, texts
    return Ran(code, *texts)


@contextmanager
def _redirected_stdin(content: bytes) -> Iterator[None]:
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")
    try:
        yield
    finally:
        sys.stdin = before


def spawn(*arguments: str | Path, **options: Any) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-m", "cybertools.tracking", *map(str, arguments)]
    settings: dict[str, Any] = {**pipes, "env": dict(os.environ), **options}
    process: subprocess.Popen[bytes] = subprocess.Popen(command, **settings)
    return process


_PEAK = """
import resource, sys
from pathlib import Path
from cybertools.tracking.cli import cli
cli.main(sys.argv[1:], standalone_mode=False)
status = Path("/proc/self/status")
if status.exists():  # what the resources tell of Linux includes the memory of who started it
    print(int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_memory(*arguments: str) -> int:
    """The most bytes of memory that a command takes."""
    command = [sys.executable, "-c", _PEAK, *arguments]
    done = subprocess.run(command, capture_output=True, check=True)
    return int(done.stdout.split()[-1])


def lines_of(*values: Any) -> bytes:
    """Values as JSON lines; texts as they are."""
    texts = (value if isinstance(value, str) else json.dumps(value) for value in values)
    return "".join(f"{text}\n" for text in texts).encode()
