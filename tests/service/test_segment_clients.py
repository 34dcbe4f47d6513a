"""Segment's own libraries send to the service, which is killed and started again meanwhile."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from cybertools.tracking import open_storage
from tests.engines import give_up
from tests.test_docs import blocks_of
from tests.web import free_port, server

ROOT = Path(__file__).parent.parent.parent
EVENTS = int(os.environ.get("TRACKS_TEST_SEGMENT_EVENTS", "1000"))
KEY = "write-key"
NODE_LIBRARY = "@segment/analytics-node@3.1.0"

PYTHON_CLIENT = """
import sys, time
from segment.analytics import Client

url, key, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
failed = []
client = Client(
    key, host=url, gzip=True, upload_size=20, on_error=lambda *error: failed.append(error)
)
for n in range(count):
    sent, _ = client.track(
        f"user-{n % 10}", "Lesson Opened", {"n": n}, {"sessionId": f"s{n % 3}"}
    )
    assert sent
    if n % 20 == 0:
        time.sleep(0.01)
client.shutdown()
assert not failed, failed
"""

NODE_CLIENT = """
const { Analytics } = require('@segment/analytics-node');
const [url, key, count] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const client = new Analytics({ writeKey: key, host: url, flushAt: 20, flushInterval: 100 });
const failed = [];
client.on('error', (error) => failed.push(error));
(async () => {
  for (let n = 0; n < count; n++) {
    client.track({
      userId: `user-${n % 10}`,
      event: 'Lesson Opened',
      properties: { n },
      context: { sessionId: `s${n % 3}` },
    });
    if (n % 20 === 0) await new Promise((done) => setTimeout(done, 10));
  }
  await client.closeAndFlush({ timeout: 120_000 });
  if (failed.length) { console.error(failed[0]); process.exit(1); }
})();
"""


@pytest.fixture
def python_client(tmp_path: Path) -> list[str]:
    """The command of a program with ``segment-analytics-python``."""
    if not find_spec("segment"):
        give_up("segment-analytics-python", "the package")
    (tmp_path / "client.py").write_text(PYTHON_CLIENT)
    return [sys.executable, str(tmp_path / "client.py")]


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``@segment/analytics-node``."""
    if not (shutil.which("node") and shutil.which("npm")):
        give_up("@segment/analytics-node", "node or npm")
    folder = tmp_path_factory.mktemp("node")
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", "--loglevel=error")
    done = subprocess.run(
        ["npm", "install", *quiet, "--prefix", str(folder), NODE_LIBRARY],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        give_up("@segment/analytics-node", f"the package, which npm cannot get ({done.stderr})")
    return folder


@pytest.fixture
def node_client(node_modules: Path) -> list[str]:
    """The command of a program with ``@segment/analytics-node``."""
    (node_modules / "client.js").write_text(NODE_CLIENT)
    return ["node", str(node_modules / "client.js")]


@pytest.mark.parametrize("client", ["python_client", "node_client"])
def test_each_event_is_stored_once_although_the_service_is_killed(
    client: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    command: list[str] = request.getfixturevalue(client)
    url, port = f"sqlite:{tmp_path}/tracks.db", free_port()
    service = ("-m", "tests.service.served", url, str(port), KEY)
    with open_storage(url) as tracks:
        with server(*service, port=port) as process:
            sending = subprocess.Popen(
                [*command, f"http://127.0.0.1:{port}", KEY, str(EVENTS)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            wait_until(lambda: len(tracks) > EVENTS // 5 or sending.poll() is not None)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert len(tracks) < EVENTS
        with server(*service, port=port):
            said, _ = sending.communicate(timeout=300)
            assert sending.returncode == 0, said
        assert sorted(each.data["properties"]["n"] for each in tracks.values()) == [*range(EVENTS)]
        assert tracks.getTaskIds() == ["Lesson Opened"]
        assert tracks.getUserNames("Lesson Opened") == [f"user-{n}" for n in range(10)]
        assert sorted(str(run.label) for run in tracks.runs.values()) == ["s0", "s1", "s2"]


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


PAGE = ROOT / "docs" / "how-to" / "segment.md"


@pytest.mark.parametrize(("file", "command"), [("send.py", sys.executable), ("send.js", "node")])
def test_the_examples_of_the_documentation(
    file: str, command: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = tmp_path
    if command == "node":
        folder = request.getfixturevalue("node_modules")
    url, port = f"sqlite:{tmp_path}/tracks.db", free_port()
    (text,) = (block.text for block in blocks_of(PAGE) if block.file == file)
    text = text.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{port}").replace("trk_…", KEY)
    (folder / file).write_text(text)
    with server("-m", "tests.service.served", url, str(port), KEY, port=port):
        subprocess.run([command, folder / file], check=True, timeout=120)
    with open_storage(url) as tracks:
        (track,) = tracks.query(taskId="Lesson Completed")
        assert track.userName == "ann"
        assert track.data["properties"] == {"lesson": "algebra-1", "score": 7}
