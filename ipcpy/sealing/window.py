"""Which numbers of one stream came already. Pure; knows nothing of who sent them.

In order is the rule, and costs one comparison. What was skipped is kept as ranges: so one number that never came and a
thousand of them cost the same, and nobody who holds datagrams back makes others expensive.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from operator import itemgetter

from ..fast import WindowFields, slots

WINDOW = 4_096  # numbers behind the highest that may still come


class Window(WindowFields):
    """The numbers of one stream that came. Whoever takes some holds a lock.

    Ctrl-C may end it anywhere, and a signal handler may take others in its midst: so each change is one step, and what
    may come in between costs a number that is late, never takes one twice.

    Args:
        number: the first that came.
        early: how many before it may still come.

    Attributes:
        highest: of those that came.
    """

    __slots__ = slots("_gaps highest", WindowFields)

    def __init__(self, number: int, early: int = 0) -> None:
        self.highest = number
        self._gaps = [(number - early, number)] if early else []  # what did not come: first, one behind the last

    def is_new(self, number: int) -> bool:
        """Tell whether a number has not come yet, and may."""
        if number > self.highest:
            return True
        return bool(self._around(number)[1])

    def take(self, number: int) -> bool:
        """Take note of a number; False if it came before, or is too old to tell."""
        highest = self.highest
        if number > highest:
            self.highest = number  # at once: a signal handler that takes others meanwhile sees it
            if number != highest + 1:
                insort(self._gaps, (highest + 1, number))
                self._forget(number - WINDOW)
            return True
        at, gap = self._around(number)
        parts = [(a, b) for start, stop in gap for a, b in ((start, number), (number + 1, stop)) if a < b]
        if not gap or self._gaps[at : at + 1] != gap:
            return False
        self._gaps[at : at + 1] = parts
        return True

    def _around(self, number: int) -> tuple[int, list[tuple[int, int]]]:
        """Return where the range is in which a number lies, and that range; none if it came, or is too old to tell."""
        at = bisect_left(self._gaps, (number + 1, 0)) - 1
        found = self._gaps[at : at + 1]
        late = number + WINDOW <= self.highest
        return at, [] if late else [(start, stop) for start, stop in found if start <= number < stop]

    def _forget(self, before: int) -> None:
        """Forget the ranges of which nothing may come any more."""
        gone = bisect_right(self._gaps, before, key=itemgetter(1))
        if gone:
            del self._gaps[:gone]
