"""Which parts of shared memory somebody in this process, or a child that it forked, still holds.

Knows references, and how children inherit mappings; nothing of what lies in a part, or who is to be told. A forked
child has the same memory before its eyes: what this process held then it holds until the child has ended, or runs
another program.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Hashable

from ..typed import Any, Protocol
from .memory import Part


class Watching(Protocol):
    """What watches descriptors: the I/O thread."""

    def watch(self, file: Any, ready: Callable[[], object]) -> None: ...
    def unwatch(self, file: Any) -> None: ...


class _Hold(weakref.ref[Any]):
    """A part that is held, the key that its owner knows it by, and what the owner is told when nobody holds it."""

    __slots__ = ("key", "told")
    key: Hashable
    told: Any


class Held:
    """The parts of one owner that are held.

    Args:
        watching: watches for the end of children.
        let_go: called with the key of a part that nobody holds any more, in any thread, at any time: it takes no lock.
            Twice is as good as once.
        on_empty: called likewise once nothing is held, in a forked child too.

    Attributes:
        live: those that are held, by key.
        pid: the process that it was made in.
    """

    def __init__(
        self, watching: Watching, let_go: Callable[[Any], object], on_empty: Callable[[], object] | None = None
    ) -> None:
        self._watching = watching
        self._let_go = let_go
        self._on_empty = on_empty
        self.live: dict[Hashable, _Hold] = {}
        self._pinned: dict[int, list[Part]] = {}  # by the descriptor that tells of the end of a child
        self.pid = os.getpid()
        _everywhere.add(self)

    def __len__(self) -> int:
        return len(self.live)

    def __contains__(self, key: Hashable) -> bool:
        return key in self.live

    def holds(self, key: Hashable) -> bool:
        """Tell whether somebody holds a part, even where an exception from outside ended the call to ``let_go``."""
        hold = self.live.get(key)
        return hold is not None and hold() is not None

    def hold(self, part: Part, key: Hashable, told: Any = None) -> None:
        """Have ``let_go`` called once nobody holds a part or a view of it.

        Args:
            told: what it is called with; the key if that is None.
        """
        part.owner = self  # whoever holds it may have nothing else of its owner, which has to be told
        hold = _Hold(part, self._gone)
        hold.key, hold.told = key, key if told is None else told
        self.live[key] = hold

    def _gone(self, hold: _Hold, getpid: Callable[[], int] = os.getpid) -> None:
        if getpid() == self.pid:
            self._let_go(hold.told)
        if self.live.get(hold.key) is hold:
            del self.live[hold.key]
        if self._on_empty is not None and not self.live:
            self._on_empty()

    def sweep(self) -> None:
        """Let go of what nobody holds, where an exception from outside ended the call that tells of it."""
        for hold in list(self.live.values()):
            if hold() is None:
                self._gone(hold)

    # -- fork --------------------------------------------------------------------------------------------------------

    def pin(self, descriptor: int) -> None:
        """Hold what is held now until the end of a child."""
        parts = [part for hold in list(self.live.values()) if (part := hold()) is not None]
        self._pinned.setdefault(descriptor, []).extend(parts)

    def watch(self, descriptor: int) -> None:
        """Watch for the end of a child."""
        self._watching.watch(descriptor, lambda: self._ended(descriptor))

    def unpin(self) -> None:
        """Hold nothing for children, in one of them: that is its parent's to do."""
        pinned, self._pinned = self._pinned, {}
        for descriptor in pinned:
            if descriptor >= 0:
                os.close(descriptor)

    def _ended(self, descriptor: int) -> None:
        self._watching.unwatch(descriptor)
        if self._pinned.pop(descriptor, None) is not None:
            os.close(descriptor)


_everywhere: weakref.WeakSet[Held] = weakref.WeakSet()
_forking: list[tuple[Held, int, int]] = []  # while this process forks: an owner, and both ends of a pipe
_inherited: list[int] = []  # in a child: the ends whose closing tells of its end


def _before() -> None:
    for each in list(_everywhere):
        if len(each) and each.pid == os.getpid():  # what is a parent's is for the parent to look after
            try:
                reading, writing = os.pipe()
            except OSError:  # no descriptor left: nobody could tell of the end
                reading, writing = -1, -1
            each.pin(reading)
            _forking.append((each, reading, writing))


def _in_parent() -> None:
    forking = _forking.copy()
    _forking.clear()
    for each, reading, writing in forking:
        each.pin(reading)  # what came in between, too
        if writing >= 0:
            os.close(writing)
            each.watch(reading)


def _in_child() -> None:
    for each, _, writing in _forking:
        if writing >= 0:
            _inherited.append(writing)
        each.unpin()
    _forking.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
