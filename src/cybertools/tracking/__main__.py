"""``python -m cybertools.tracking``: the command ``tracks``."""

from cybertools.tracking.cli import main

main(prog_name="python -m cybertools.tracking")
