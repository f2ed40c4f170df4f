"""A token bucket: so much at once, so much a second."""

from __future__ import annotations

from ipcpy.budget import Budget


def test_a_budget_is_spent_and_comes_back() -> None:
    budget = Budget(100, 1_000, 0.0)
    assert budget.take(60, 0.0) and not budget.take(60, 0.0)
    assert budget.take(60, 0.02)
    assert budget.take(5_000, 1.0), "a full one pays for anything"
    assert not budget.take(1, 1.1)
    assert budget.take(1, 7.0)


def test_what_was_spent_beyond_the_budget_is_owed() -> None:
    budget = Budget(10, 2, 0.0)
    budget.spend(14)
    assert budget.left(0.0) == -4
    assert not budget.take(1, 2.0)
    assert budget.take(1, 3.0) and budget.left(3.0) == 1
