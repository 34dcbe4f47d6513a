"""What Schemathesis has to know to test the service."""

from typing import Any

import schemathesis

__all__: list[str] = []


@schemathesis.serializer("application/x-ndjson")
def lines(_context: Any, value: Any) -> bytes:
    """Any text: the document says no more of lines."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
