"""The command ``ipcpy``, one subcommand a file: click and public names of ipcpy only, never how a message travels."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line, and exit with its code (see ``ipcpy --help``)."""
    try:
        from .program import program

        program.main(prog_name="ipcpy")
    except KeyboardInterrupt:  # while modules are imported; later it is dealt with in .endings
        raise SystemExit(130) from None
