"""For tests of programs that use ipcpy: nodes on a network as bad as a test wants it, and pytest fixtures.

Uses what ipcpy is made of and is used by none of it. See docs/reliability.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .network import MemoryNetwork as MemoryNetwork
    from .replay import Replay as Replay

__all__ = ["MemoryNetwork", "Replay"]


def __getattr__(name: str) -> object:
    """Import what is public when it is first used: pytest imports this package in every project."""
    if name == "MemoryNetwork":
        from .network import MemoryNetwork

        return MemoryNetwork
    if name == "Replay":
        from .replay import Replay

        return Replay
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
