"""Write the reference pages from the docstrings and the commands' help: ``make docs``."""

import sys
from pathlib import Path
from typing import Any

import click
import griffe
from griffe2md import ConfigDict, render_object_docs

from cybertools.tracking.cli import cli
from cybertools.tracking.service.openapi import document
from cybertools.tracking.service.reference import markdown

PAGES = Path(__file__).parent / "reference"

OBJECTS = (
    "cybertools.tracking.opening.open_storage",
    "cybertools.tracking.interfaces.Storage",
    "cybertools.tracking.track.Track",
    "cybertools.tracking.track.Run",
    "cybertools.tracking.record.Record",
    "cybertools.tracking.interfaces.Saved",
    "cybertools.tracking.interfaces.Receipt",
    "cybertools.tracking.interfaces.Info",
    "cybertools.tracking.transfer.copying.copy_storage",
    "cybertools.tracking.transfer.copying.Copied",
    "cybertools.tracking.transfer.comparing.compare_storages",
    "cybertools.tracking.transfer.comparing.Compared",
    "cybertools.tracking.remote.opening.open_service",
    "cybertools.tracking.remote.patience.Patience",
    "cybertools.tracking.remote.asynchronous.AsyncStorage",
    "cybertools.tracking.errors",
    "cybertools.tracking.reports.activity.counts",
    "cybertools.tracking.reports.activity.top",
    "cybertools.tracking.reports.activity.active",
    "cybertools.tracking.reports.activity.present",
    "cybertools.tracking.reports.activity.changes",
    "cybertools.tracking.reports.lasting.runs",
    "cybertools.tracking.reports.lasting.durations",
    "cybertools.tracking.reports.lasting.times",
    "cybertools.tracking.reports.lasting.retries",
    "cybertools.tracking.reports.looking.journey",
    "cybertools.tracking.reports.looking.task",
    "cybertools.tracking.reports.moving.funnel",
    "cybertools.tracking.reports.moving.retention",
    "cybertools.tracking.reports.moving.paths",
    "cybertools.tracking.reports.tracks.funnel_tracks",
    "cybertools.tracking.reports.tracks.retention_tracks",
    "cybertools.tracking.reports.tracks.paths_tracks",
    "cybertools.tracking.reports.specs.run_report",
    "cybertools.tracking.reports.specs.ReportSpec",
    "cybertools.tracking.reports.specs.Parameter",
    "cybertools.tracking.reports.table.Table",
    "cybertools.tracking.reports.table.Column",
    "cybertools.tracking.reports.table.Chart",
    "cybertools.tracking.transfer.arrow.to_arrow",
)

CONFIG = ConfigDict(
    docstring_style="sphinx",
    members_order="source",
    separate_signature=True,
    show_signature_annotations=True,
    signature_crossrefs=False,
    summary=False,
)

PYTHON_HEAD = """# Python reference

Made from the docstrings by `make docs`. The [tutorial](../tutorial.md) shows it in use.

"""

COMMANDS_HEAD = """# Command reference

What `tracks COMMAND --help` says, collected by `make docs`.
"""


def python_page() -> str:
    """The public classes and functions."""
    package: Any = griffe.load("cybertools.tracking", docstring_parser="sphinx")
    parts = []
    for path in OBJECTS:
        found = package[path.removeprefix("cybertools.tracking.")]
        parts.append(render_object_docs(found, CONFIG).strip())
    return PYTHON_HEAD + "\n\n".join(parts) + "\n"


def commands_page() -> str:
    """The help of each command."""
    parts = [COMMANDS_HEAD]

    def add(command: click.Command, names: list[str]) -> None:
        context = click.Context(command, info_name=" ".join(names), max_content_width=100)
        parts.append(f"\n## {' '.join(names)}\n\n```\n{command.get_help(context).strip()}\n```\n")
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                if found is not None and not found.hidden:
                    add(found, [*names, name])

    add(cli, ["tracks"])
    return "".join(parts)


HTTP_HEAD = """<!-- Made from the OpenAPI document by `make docs`. -->

"""


def http_page() -> str:
    """What the service answers to."""
    return HTTP_HEAD + markdown(document()) + "\n"


def main() -> int:
    """Write the pages; with ``--check``, say instead whether they are up to date."""
    PAGES.mkdir(exist_ok=True)
    stale = []
    pages = {"python.md": python_page, "commands.md": commands_page, "http.md": http_page}
    for name, made in pages.items():
        text = made()
        page = PAGES / name
        if "--check" not in sys.argv:
            page.write_text(text, encoding="utf-8")
        elif not page.exists() or page.read_text(encoding="utf-8") != text:
            stale.append(name)
    for name in stale:
        print(f"docs/reference/{name} is not what the docstrings say; make docs writes it anew.")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
