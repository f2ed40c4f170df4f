"""discovery.agenda on a clock of numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ipcpy.discovery.agenda import Agenda


def test_nothing_is_due_before_it_is_planned() -> None:
    agenda = Agenda({"ask": 1.0})
    assert agenda.take(1e9) is None
    assert agenda.next() == float("inf")


def test_an_action_is_due_at_its_time_and_once() -> None:
    agenda = Agenda({"ask": 1.0})
    agenda.plan("ask", 10.0)
    assert agenda.next() == 10.0
    assert agenda.take(9.9) is None
    assert agenda.take(10.0) == "ask"
    assert agenda.take(11.0) is None


def test_of_two_wishes_the_earlier_counts() -> None:
    agenda = Agenda({"ask": 1.0})
    for when in (12.0, 10.0, 11.0):
        agenda.plan("ask", when)
    assert agenda.next() == 10.0
    assert agenda.take(20.0) == "ask" and agenda.take(20.0) is None


def test_who_wants_too_much_waits_for_the_spacing() -> None:
    agenda = Agenda({"ask": 1.0})
    agenda.plan("ask", 10.0)
    agenda.take(10.5)
    agenda.plan("ask", 10.6)
    assert agenda.next() == 11.5


def test_spacing_is_between_actions_of_one_name_only() -> None:
    agenda = Agenda({"ask": 1.0, "open": 5.0})
    agenda.plan("open", 0.0)
    agenda.plan("ask", 0.0)
    assert [agenda.take(0.0), agenda.take(0.0), agenda.take(0.0)] == ["open", "ask", None]


def test_an_action_that_is_due_already_is_not_put_off_by_a_later_wish() -> None:
    agenda = Agenda({"ask": 1.0})
    agenda.plan("ask", 1.0)
    agenda.plan("ask", 5.0)
    assert agenda.take(2.0) == "ask"


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 3), st.floats(0, 1)), max_size=50))
def test_two_of_a_kind_are_never_closer_than_their_spacing(steps: list[tuple[str, float, float]]) -> None:
    agenda, now, taken = Agenda({"a": 0.5, "b": 2.0}), 0.0, {"a": [-9.0], "b": [-9.0]}
    for action, delay, passing in steps:
        agenda.plan(action, now + delay)
        now += passing
        while (due := agenda.take(now)) is not None:
            taken[due].append(now)
    for action, spacing in (("a", 0.5), ("b", 2.0)):
        times = taken[action]
        assert all(later >= earlier + spacing for earlier, later in zip(times, times[1:], strict=False))
