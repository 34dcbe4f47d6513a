"""The specification's documents pass verbatim, on every engine.

Their line ``from cybertools.tracking.btree import TrackingStorage`` is served by the engine under
test; the text is untouched.
"""

import doctest
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cybertools.tracking import btree
from cybertools.tracking.testing import Opener
from tests.engines import EngineUnderTest

DOCUMENTS = sorted((Path(__file__).parent / "spec").glob("*.txt"))
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def module_of(open: Opener) -> ModuleType:
    """``cybertools.tracking.btree``, but its `TrackingStorage` opens the engine under test."""
    module = ModuleType(btree.__name__)
    vars(module).update(vars(btree), TrackingStorage=open)
    return module


def test_documents_are_there() -> None:
    assert [document.name for document in DOCUMENTS] == ["runs.txt", "tracking.txt"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.stem for path in DOCUMENTS])
def test_document(
    document: Path, engine: EngineUnderTest, open: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine.name != "memory":  # whose TrackingStorage it is
        monkeypatch.setitem(sys.modules, btree.__name__, module_of(open))
    text = document.read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, {}, document.name, str(document), 0)
    report: list[str] = []
    results = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert results.attempted == text.count(">>> ") > 20
    assert not results.failed, "".join(report)
