"""What Schemathesis has to know to test the service."""

from typing import Any

import schemathesis

__all__: list[str] = []

LINES = "application/x-ndjson"


@schemathesis.serializer(LINES)
def lines(_context: Any, value: Any) -> bytes:
    """Any text: the document says no more of lines."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Leave out what the document cannot say of lines and lists.

    Nothing but text can be sent as lines: what is to be wrong with its type would not be. And of
    a list of tracks each has an answer of its own: the list is not refused for one that is wrong.
    """
    if case.media_type == LINES:
        return isinstance(case.body, str | bytes)
    is_wrong = case.meta.generation.mode.is_negative
    return not (is_wrong and isinstance(case.body, list) and case.path.endswith("/tracks"))
