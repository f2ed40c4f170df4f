"""Latencies are noted while somebody asks, and cost nothing else; what is late is still noticed."""

from __future__ import annotations

from types import SimpleNamespace

from ipcpy.subscribing.latencies import BEHIND, ENOUGH, NOT_YET, SECOND, WATCHED, Spread, ask, faster, note

MS = 1_000_000


class Messages:
    """What comes to a flow; each message as the hot path treats it."""

    def __init__(self):
        self.flow = SimpleNamespace(fastest_ns=NOT_YET, least_ns=NOT_YET, noted=None, earlier=[], asked_ns=0)
        self.calls = 0

    def come(self, *took):
        """Return whether the last one counts as late, as Inbound.take does it."""
        behind = False
        for each in took:
            late = each - self.flow.fastest_ns
            behind = late > BEHIND
            if late < 0:
                self.calls += 1
                behind = faster(self.flow, late)
        return behind


def test_while_nobody_asks_only_a_message_that_was_faster_than_all_before_is_looked_at():
    messages = Messages()
    messages.come(*range(50_000, 50_100))
    assert messages.calls == 1
    assert messages.flow.fastest_ns == 50_000 and messages.flow.noted is None


def test_the_first_who_asks_gets_nothing_and_the_second_the_spread():
    messages = Messages()
    assert ask(messages.flow, 0) is None
    messages.come(*range(1_000, 101_000, 1_000))
    assert ask(messages.flow, 500 * MS) == Spread(1_000, 50_000, 100_000)


def test_one_in_a_hundred_may_be_slower_than_the_slowest_that_is_told():
    messages = Messages()
    ask(messages.flow, 0)
    messages.come(*range(1_000, 102_000, 1_000))
    assert ask(messages.flow, 500 * MS) == Spread(1_000, 51_000, 100_000)


def test_questions_less_than_a_second_apart_are_answered_with_what_was_noted_before_too():
    messages = Messages()
    ask(messages.flow, 0)
    messages.come(9_000)
    assert ask(messages.flow, 500 * MS) == Spread(9_000, 9_000, 9_000)
    messages.come(3_000)
    assert ask(messages.flow, 1_000 * MS) == Spread(3_000, 3_000, 9_000)
    messages.come(4_000)
    assert ask(messages.flow, 1_500 * MS) == Spread(3_000, 3_000, 4_000)
    messages.come(5_000)
    assert ask(messages.flow, 2_600 * MS) == Spread(5_000, 5_000, 5_000)
    assert ask(messages.flow, 2_700 * MS) == Spread(5_000, 5_000, 5_000)
    assert ask(messages.flow, 2_800 * MS) is None


def test_after_enough_messages_no_more_are_noted_until_somebody_asks_again():
    messages = Messages()
    ask(messages.flow, 0)
    messages.come(*[70_000] * 1_000)
    assert messages.calls == ENOUGH
    assert messages.flow.fastest_ns == 70_000
    assert ask(messages.flow, SECOND) == Spread(70_000, 70_000, 70_000)
    messages.come(80_000)
    assert messages.calls == ENOUGH + 1
    assert ask(messages.flow, 2 * SECOND) == Spread(80_000, 80_000, 80_000)


def test_what_was_noted_long_ago_is_not_told():
    messages = Messages()
    ask(messages.flow, 0)
    messages.come(70_000)
    assert ask(messages.flow, WATCHED) is None
    messages.come(80_000)
    assert ask(messages.flow, WATCHED + SECOND // 2) == Spread(80_000, 80_000, 80_000)


def test_a_clock_that_was_set_back_makes_no_latency_of_another_time():
    messages = Messages()
    ask(messages.flow, 100 * SECOND)
    messages.come(70_000)
    assert ask(messages.flow, 1 * SECOND) is None


def test_a_late_message_is_noticed_while_latencies_are_noted_too():
    messages = Messages()
    messages.come(50_000)
    ask(messages.flow, 2)
    assert not messages.come(50_000 + BEHIND)
    assert messages.come(50_001 + BEHIND)
    assert not messages.come(40_000)
    assert messages.come(40_001 + BEHIND)


def test_after_enough_messages_the_fastest_is_that_of_all():
    messages = Messages()
    messages.come(50_000)
    ask(messages.flow, 2)
    messages.come(*[60_000] * ENOUGH)
    assert messages.flow.fastest_ns == 50_000
    assert not messages.come(45_000)
    assert messages.flow.fastest_ns == 45_000


def test_a_clock_that_is_behind_gives_negative_times_and_they_are_kept_as_they_are():
    messages = Messages()
    ask(messages.flow, 0)
    messages.come(-5_000, -4_000)
    assert ask(messages.flow, 3) == Spread(-5_000, -5_000, -4_000)


def test_large_messages_are_noted_too_while_somebody_asks():
    messages = Messages()
    note(messages.flow, 6)
    assert messages.flow.noted is None
    ask(messages.flow, 11)
    for _ in range(2 * ENOUGH):
        note(messages.flow, 6)
    assert len(messages.flow.noted) == ENOUGH
    assert ask(messages.flow, 21) == Spread(6, 6, 6)
