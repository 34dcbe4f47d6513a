"""What the service writes on standard error: lines for people, or JSON lines for programs.

No line has personal data: no user, task, address, token, path or query; an error is told by its
class and the places in the program, since its message may quote what was sent.
"""

import logging
import time
import traceback
from typing import Any, Literal, TypeAlias

from cybertools.tracking.codec import encode

__all__ = ["LogFormat", "LogLevel", "set_up"]

LogFormat: TypeAlias = Literal["text", "json"]
LogLevel: TypeAlias = Literal["debug", "info", "warning"]

_USUAL = {*vars(logging.makeLogRecord({})), "message", "taskName"}


def set_up(format: LogFormat, level: LogLevel) -> None:
    """Write what this package logs from now on.

    :param level: ``'debug'`` has a line for each request.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if format == "json" else _Text())
    ours = logging.getLogger("cybertools.tracking")
    ours.handlers = [handler]
    ours.setLevel(level.upper())
    ours.propagate = False
    # The server's own log quotes requests. What goes wrong is logged by the endpoints.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL + 1)


class _Json(logging.Formatter):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        return encode(_values(record)).decode()


class _Text(logging.Formatter):
    """A line for people, and where an error came from."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        values = _values(record)
        start = f"{values.pop('time')} {values.pop('level'):7} {values.pop('event')}"
        places = values.pop("places", [])
        rest = "".join(f" {name}={value}" for name, value in values.items())
        return "\n  ".join([start + rest, *places])


def _values(record: logging.LogRecord) -> dict[str, Any]:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    values: dict[str, Any] = {
        "time": f"{moment}.{int(record.msecs):03}Z",
        "level": record.levelname.lower(),
        "event": record.getMessage(),
    }
    values |= {name: value for name, value in vars(record).items() if name not in _USUAL}
    if record.exc_info and record.exc_info[0] is not None:
        kind, _, trace = record.exc_info
        values["error"] = kind.__name__
        frames = traceback.extract_tb(trace)
        values["places"] = [f"{f.filename}:{f.lineno} {f.name}" for f in frames]
    return values
