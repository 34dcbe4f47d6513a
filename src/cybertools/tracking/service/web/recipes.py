"""What a page shows, in other ways: as a command, in Python, over HTTP."""

import shlex
from collections.abc import Sequence
from urllib.parse import quote

from cybertools.tracking.service.web.site import View

__all__ = ["recipes"]


def recipes(
    view: View, command: Sequence[str], python: str, address: str, query: str, imports: str = ""
) -> list[tuple[str, str]]:
    """The names of the ways, and what to enter.

    :param command: what follows the storage, each part on a line of its own.
    :param python: what is done with a ``storage``.
    :param address: what follows that of the storage.
    :param query: the parameters, encoded as in a URL.
    :param imports: further lines that the Python begins with.
    """
    name = view.storage.name
    first, *others = command
    lines = [f"tracks --storage {view.base} --name {shlex.quote(name)} {first}", *others]
    opened = (
        f"from cybertools.tracking import open_storage\n{imports}\n"
        f"storage = open_storage({view.base!r}, {name!r})\n"
    )
    url = f"{view.base}/api/storages/{quote(name, safe='')}/{address}{'?' if query else ''}{query}"
    curl = f'curl -H "Authorization: Bearer $TRACKS_TOKEN" \\\n  {shlex.quote(url)}'
    return [
        (view.say("As a command"), " \\\n  ".join(lines)),
        ("Python", opened + python),
        ("HTTP", curl),
    ]
