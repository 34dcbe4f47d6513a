"""The distribution: a wheel and an sdist that install into an empty virtual environment."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

USE = """
import cybertools.tracking as t
with t.open_storage("sqlite:tracks.db") as tracks:
    assert tracks.saveUserTrack("a001", 0, "u1", {"k": "v"}) == "0000001"
with t.open_storage("sqlite:tracks.db") as tracks:
    assert tracks["0000001"].data == {"k": "v"}
with t.open_storage("memory:") as tracks:
    assert tracks.saveUserTrack("a001", 0, "u1", {"k": "v"}) == "0000001"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
        text=True,
    )
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_installs_into_an_empty_environment(
    built: dict[str, Path], kind: str, tmp_path: Path
) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    bin = tmp_path / "venv" / "bin"
    subprocess.run([bin / "pip", "install", "--quiet", built[kind]], check=True)
    subprocess.run([bin / "python", "-c", USE], check=True, cwd=tmp_path)
    said = subprocess.run(
        [bin / "tracks", "--storage", "sqlite:tracks.db", "count"],
        check=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert said.stdout.strip() == "1"


def test_another_distribution_can_add_to_the_namespace(tmp_path: Path) -> None:
    other = tmp_path / "cybertools" / "other"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("there = True\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
        "import cybertools.other, cybertools.tracking; assert cybertools.other.there"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
