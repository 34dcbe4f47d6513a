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
    """Leave out lines that are no text: they become some on their way, and break no rule then."""
    return case.media_type != LINES or not isinstance(case.body, list | dict | int | float | None)
