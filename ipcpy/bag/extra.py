"""The extra that recordings need. Knows its name; imports nothing of it before somebody records or reads."""

from __future__ import annotations

from importlib.util import find_spec

from ..errors import IpcError

__all__ = ["need_extra"]

_MODULES = ("mcap", "zstandard", "lz4")


def need_extra() -> None:
    """Look whether what recordings need is installed.

    Raises:
        IpcError: it is not.
    """
    missing = [name for name in _MODULES if find_spec(name) is None]
    if missing:
        raise IpcError(f"recordings need {' and '.join(missing)}, which come with an extra: pip install 'ipcpy[bag]'")
