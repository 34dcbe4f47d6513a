"""The examples of README and docs are run, block by block, each page in a folder of its own.

A ``console`` block holds commands (``$ …``) with their output, a ``python`` block either a doctest
or a program. A block after ``<!-- file: NAME -->`` is written to that file. ``...`` in an expected
output stands for anything; white space counts as one blank.
"""

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cybertools.tracking import open_storage
from tests.engines import give_up
from tests.servers import missing_postgres, postgres_database
from tests.services import missing_service, service_of

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [page for page in PAGES if page.parent.name != "reference"]
"""The reference has signatures, no examples."""

REMOTE = [ROOT / "docs" / "how-to" / "remote.md"]
"""The pages whose examples need a service. It stands in for the one that they speak to."""
SHARDING = ROOT / "docs" / "how-to" / "shard.md"
SERVICE = "http://127.0.0.1:8080"

BLOCK = re.compile(r"(?:<!-- file: (\S+) -->\n+)?^```(\w+)\n(.*?)^```$", re.M | re.S)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    kind: str
    text: str
    line: int
    file: str | None


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(m[2], m[3], text.count("\n", 0, m.start(3)) + 1, m[1]) for m in BLOCK.finditer(text)
    ]


def commands_of(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output expected of it."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif found and found[-1][0].endswith("\\\n"):
            found[-1] = (found[-1][0] + line, "")
        elif found:
            found[-1] = (found[-1][0], found[-1][1] + line)
    return found


def run_console(block: Block, folder: Path, page: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    home = {"HOME": str(folder / ".home"), "XDG_CONFIG_HOME": str(folder / ".home")}
    environment = os.environ | home | {"PATH": path, "COLUMNS": "100", "NO_COLOR": "1"}
    for command, expected in commands_of(block.text):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        got = done.stdout + done.stderr
        if not doctest.OutputChecker().check_output(expected, got, FLAGS):
            pytest.fail(f"{page.name}:{block.line}: {command}\nexpected:\n{expected}\ngot:\n{got}")


def run_python(block: Block, names: dict[str, object], page: Path) -> None:
    if ">>>" not in block.text:
        exec(compile(block.text, f"{page.name}:{block.line}", "exec"), names)  # noqa: S102
        return
    test = doctest.DocTestParser().get_doctest(
        block.text, names, page.name, str(page), block.line - 1
    )
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test, out=report.append, clear_globs=False)
    names.update(test.globs)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("page", EXAMPLES, ids=[str(p.relative_to(ROOT)) for p in EXAMPLES])
def test_examples(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "example"}
    with service_for(page, tmp_path) as address:
        for block in blocks_of(page):
            block = replace(block, text=block.text.replace(SERVICE, address))  # noqa: PLW2901
            if block.file:
                (tmp_path / block.file).write_text(block.text, encoding="utf-8")
            elif block.kind == "console":
                run_console(block, tmp_path, page)
            elif block.kind == "python":
                run_python(block, names, page)


@contextmanager
def service_for(page: Path, folder: Path) -> Iterator[str]:
    """The URL of the service that a page speaks to, if it does."""
    if page not in REMOTE:
        yield SERVICE
        return
    if missing := missing_service():
        give_up(page.name, missing)
    with service_of(f"sqlite:{folder}/served.db") as url:
        yield url


def test_sharding_statements_of_the_docs() -> None:
    """Those that no Citus is needed for. A storage is laid out then as the page says."""
    if missing := missing_postgres():
        give_up("shard.md", missing)
    import psycopg

    text = "".join(b.text for b in blocks_of(SHARDING) if b.kind == "sql")
    statements = [s.strip() for s in re.sub(r"--.*", "", text).split(";") if s.strip()]
    plain = [s for s in statements if s.startswith("ALTER DATABASE tracks ")]
    others = [s for s in statements if s not in plain]
    assert plain
    assert all("citus" in statement for statement in others), others
    with postgres_database() as url, psycopg.connect(url, autocommit=True) as connection:
        database = f'ALTER DATABASE "{connection.info.dbname}" '
        try:
            for statement in plain:
                connection.execute(statement.replace("ALTER DATABASE tracks ", database))
            with open_storage(url):
                found = connection.execute("SELECT layout FROM tracking.storages").fetchall()
        finally:
            connection.execute(f"{database} RESET ALL")
    assert found == [("distributed",)]


def test_links_between_pages() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
