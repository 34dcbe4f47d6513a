"""Middlewares that record the requests of web applications as tracks, on any storage.

`asgi` is for Starlette, FastAPI and whatever speaks ASGI, `flask` and `django` are for these two. A
`Recorder` does the saving for all of them.
"""

from cybertools.tracking.middleware.recorder import Recorder

__all__ = ["Recorder"]
