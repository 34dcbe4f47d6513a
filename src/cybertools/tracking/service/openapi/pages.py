"""The service about itself."""

from cybertools.tracking.service.openapi.parts import answer, operation
from cybertools.tracking.service.openapi.schemas import Schema

__all__ = ["PATHS"]

PATHS: dict[str, Schema] = {
    "/healthz": {
        "get": operation(
            "Service",
            "isAlive",
            "Whether the service runs",
            {"200": {"description": "It does.", "content": {"text/plain": {"schema": {}}}}},
            security=(),
        ),
    },
    "/readyz": {
        "get": operation(
            "Service",
            "isReady",
            "Whether it takes requests: its database answers, and it is not about to stop",
            {"200": {"description": "It does.", "content": {"text/plain": {"schema": {}}}}},
            security=(),
        ),
    },
    "/metrics": {
        "get": operation(
            "Service",
            "getMetrics",
            "Figures for Prometheus",
            {"200": {"description": "Figures.", "content": {"text/plain": {"schema": {}}}}},
            security=(),
        ),
    },
    "/openapi.json": {
        "get": operation(
            "Service",
            "getDocument",
            "This interface, as OpenAPI has it",
            {"200": answer("The document.", {"type": "object"})},
            security=(),
        ),
    },
    "/docs": {
        "get": operation(
            "Service",
            "getReference",
            "The same as a page for people",
            {"200": {"description": "The page.", "content": {"text/html": {"schema": {}}}}},
            security=(),
        ),
    },
}
