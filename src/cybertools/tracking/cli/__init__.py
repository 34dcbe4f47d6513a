"""The command ``tracks``."""

from cybertools.tracking.cli.app import cli, main

__all__ = ["cli", "main"]
