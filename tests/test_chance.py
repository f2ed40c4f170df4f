"""The same numbers as of the original."""

from __future__ import annotations

from random import Random

from ipcpy.chance import Chance


def test_a_seed_makes_the_numbers_that_it_makes_there():
    ours, theirs = Chance(7), Random(7)
    assert [ours.uniform(0.5, 2.0) for _ in range(100)] == [theirs.uniform(0.5, 2.0) for _ in range(100)]


def test_without_a_seed_two_differ():
    assert Chance().random() != Chance(None).random()
