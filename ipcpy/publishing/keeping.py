"""What a publisher keeps in shared memory is let go of, or moved out, where somebody has a better use for the place.

Knows what is kept and who has acknowledged it; nothing of slots. The publisher's lock is held by whoever calls.
"""

from __future__ import annotations

from .framing import Framing
from .outlet import Outlet

MOVED = 64  # messages that are moved out of shared memory at a time, where there is no room left


class Keeping:
    """The messages that are kept, as far as they take shared memory.

    Args:
        outlet: the subscribers, and what is kept for them.
        framing: the numbers.
        keep: how many messages a latecomer gets.
    """

    def __init__(self, outlet: Outlet, framing: Framing, keep: int) -> None:
        self._outlet = outlet
        self._framing = framing
        self._keep = keep

    def forget_acknowledged(self) -> None:
        """Let go of what all subscribers have, and no latecomer gets."""
        outlet, after = self._outlet, self._framing.seq + 1
        if outlet.reliable is None:
            outlet.memory.forget_before(1 + min((route.acknowledged for route in outlet.routes), default=after - 1))
            return
        coming = [route.heard_at + 1 for route in outlet.by_number.values() if not route.matched]
        needed = outlet.reliable.needed_from()
        outlet.reliable.history.let_go_of_placed(min([after - self._keep, needed, *coming]))

    def vacate(self) -> None:
        """Have what is kept take less shared memory, which nobody shares any more: one message less at a time."""
        self.forget_acknowledged()
        if self._outlet.reliable is not None:
            self._outlet.reliable.history.move_placed(1)

    def make_room(self) -> bool:
        """Have what is kept take less shared memory, which is all in use; False if that cannot be."""
        reliable = self._outlet.reliable
        if reliable is None:
            return False
        self.forget_acknowledged()
        return reliable.history.move_placed(MOVED)
