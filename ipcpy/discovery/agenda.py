"""When which action is due: the earliest time wanted, but not too soon after the last. Knows names and the time it is
told; does nothing by itself.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Agenda"]


class Agenda:
    """Actions that are due once each, however often they were wanted.

    Args:
        spacing: seconds between two actions of the same name, by name.
    """

    def __init__(self, spacing: Mapping[str, float]) -> None:
        self._spacing = spacing
        self._due: dict[str, float] = {}
        self._earliest = dict.fromkeys(spacing, float("-inf"))

    def plan(self, action: str, when: float) -> None:
        """Have an action due at this time, or earlier if it was to be, or later if its last one was just now."""
        when = max(when, self._earliest[action])
        self._due[action] = min(when, self._due.get(action, when))

    def take(self, now: float) -> str | None:
        """Return one action that is due, those planned first before others; None if there is none."""
        action = next((action for action, when in self._due.items() if when <= now), None)
        if action is not None:
            del self._due[action]
            self._earliest[action] = now + self._spacing[action]
        return action

    def next(self) -> float:
        """Return when the next action is due; ``inf`` if none is planned."""
        return min(self._due.values(), default=float("inf"))
