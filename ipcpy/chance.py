"""Chance, so that what many do is not done at once. Knows Python's generator; nothing of what is left to it.

``random`` has the same generator, and takes 1 ms to import: distributions, bisection, a table of digests.
"""

from __future__ import annotations

from _random import Random

__all__ = ["Chance"]


class Chance(Random):
    """What ``random.Random`` is of a seed (None: another each time), with all that is asked of it here."""

    def uniform(self, least: float, most: float) -> float:
        """Return a number between the two, as ``random.Random`` would."""
        return least + (most - least) * self.random()
