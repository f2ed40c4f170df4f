"""The extra that the page needs. Knows its name; imports nothing of it before somebody starts the server."""

from __future__ import annotations

from importlib.util import find_spec

import ipcpy as ipc

__all__ = ["need_extra"]

_MODULES = {"aiohttp": "aiohttp", "PIL": "Pillow", "prometheus_client": "prometheus-client"}


def need_extra() -> None:
    """Look whether what the server needs is installed.

    Raises:
        IpcError: it is not.
    """
    missing = [name for module, name in _MODULES.items() if find_spec(module) is None]
    if missing:
        *others, last = missing
        what = f"{', '.join(others)} and {last}, which come" if others else f"{last}, which comes"
        raise ipc.IpcError(f"ipcpy web needs {what} with an extra: pip install 'ipcpy[web]'")
