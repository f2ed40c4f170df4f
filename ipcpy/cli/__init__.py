"""The command ``ipcpy``, one subcommand a file: click and public names of ipcpy only, never how a message travels."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line, and exit with its code (see ``ipcpy --help``)."""
    try:
        from .interrupts import leave_at_once

        leave_at_once()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    from .program import program
    from .streams import mended

    with mended():
        program.main(prog_name="ipcpy")
