"""The extra that Foxglove needs. Knows its name; imports nothing of it before somebody serves Foxglove."""

from __future__ import annotations

from importlib.util import find_spec

import ipcpy as ipc

__all__ = ["need_foxglove"]


def need_foxglove() -> None:
    """Look whether Foxglove's library is installed.

    Raises:
        IpcError: it is not.
    """
    if find_spec("foxglove") is None:
        raise ipc.IpcError("Foxglove takes foxglove-sdk, which comes with an extra: pip install 'ipcpy[foxglove]'")
