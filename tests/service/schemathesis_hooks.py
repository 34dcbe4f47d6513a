"""What Schemathesis has to know to test the service."""

from typing import Any

import schemathesis

__all__: list[str] = []


@schemathesis.serializer("application/x-ndjson")
def lines(_context: Any, value: Any) -> bytes:
    """Any text: the document says no more of lines."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Nothing but text can be sent as lines: what is to be wrong with its type would not be."""
    is_lines = case.media_type == "application/x-ndjson"
    return not is_lines or isinstance(case.body, str | bytes)
