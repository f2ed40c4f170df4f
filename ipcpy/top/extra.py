"""The extra that the terminal program needs, and the terminal. Knows their names; imports nothing of textual."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import ipcpy as ipc

__all__ = ["need_extra", "need_terminal", "without_colour"]

COLOURLESS = ("vt100", "vt102", "vt220", "vt320", "xterm-mono", "linux-m")
HOPELESS = ("dumb", "unknown", "network")


def need_extra() -> None:
    """Look whether textual is installed.

    Raises:
        IpcError: it is not.
    """
    if find_spec("textual") is None:
        raise ipc.IpcError("top needs textual, which comes with an extra: pip install 'ipcpy[top]'")


def need_terminal() -> None:
    """Look whether there is a terminal to draw on.

    Raises:
        IpcError: there is none, or its cursor cannot be moved.
    """
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    if not all(stream is not None and stream.isatty() for stream in streams):
        raise ipc.IpcError("top draws on a terminal, and there is none. Lines, or JSON: ipcpy flows --watch [--json]")
    if os.environ.get("TERM", "") in HOPELESS:
        raise ipc.IpcError(
            f"top draws on a terminal whose cursor can be moved; this one is {os.environ['TERM']!r} (TERM). Lines: "
            "ipcpy flows --watch"
        )


def without_colour() -> bool:
    """Tell whether the terminal has no colours, or its user wants none (NO_COLOR)."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "") in COLOURLESS
