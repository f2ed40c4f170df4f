"""Latencies are noted while somebody asks, and cost nothing else; what is late is still noticed."""

from __future__ import annotations

from types import SimpleNamespace

from ipcpy.subscribing.latencies import BEHIND, ENOUGH, NOT_YET, NOTHING, SECOND, WATCHED, ask, faster, note

MS = 1_000_000


class Messages:
    """What comes to a flow; each message as the hot path treats it."""

    def __init__(self):
        noting = {"noted": NOTHING, "enough": 0, "asked_ns": 0}
        self.flow = SimpleNamespace(fastest_ns=NOT_YET, least_ns=NOT_YET, **noting)
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
    assert messages.flow.fastest_ns == 50_000 and messages.flow.noted is NOTHING


def test_the_first_who_asks_gets_nothing_and_the_second_what_messages_took_in_order():
    messages = Messages()
    assert not ask(messages.flow, 0)
    messages.come(9_000, 3_000, 6_000)
    assert list(ask(messages.flow, 500 * MS)) == [3_000, 6_000, 9_000]


def test_what_was_told_is_not_told_again():
    messages = Messages()
    ask(messages.flow, 0)
    messages.come(9_000)
    assert list(ask(messages.flow, 500 * MS)) == [9_000]
    assert not ask(messages.flow, 600 * MS)
    messages.come(4_000)
    assert list(ask(messages.flow, 1_500 * MS)) == [4_000]


def test_after_enough_messages_no_more_are_noted_until_somebody_asks_again():
    messages = Messages()
    ask(messages.flow, 0)
    messages.come(*[70_000] * 1_000)
    assert messages.calls == ENOUGH + 1
    assert messages.flow.fastest_ns == 70_000
    assert list(ask(messages.flow, SECOND)) == [70_000] * ENOUGH
    messages.come(80_000)
    assert messages.calls == ENOUGH + 2
    assert list(ask(messages.flow, 2 * SECOND)) == [80_000]


def test_of_questions_in_quick_succession_each_has_enough_messages_noted_and_what_is_kept_is_bounded():
    messages = Messages()
    ask(messages.flow, 0)
    for turn in range(1, 6):
        messages.come(*range(turn * 1_000, turn * 1_000 + 300))
        assert messages.calls == turn * (ENOUGH + 1)
        assert len(messages.flow.noted) == ENOUGH
        assert ask(messages.flow, turn * MS)[0] == turn * 1_000


def test_what_was_noted_long_ago_is_not_told():
    messages = Messages()
    ask(messages.flow, 0)
    messages.come(70_000)
    assert not ask(messages.flow, WATCHED)
    messages.come(80_000)
    assert list(ask(messages.flow, WATCHED + SECOND // 2)) == [80_000]


def test_a_clock_that_was_set_back_makes_no_latency_of_another_time():
    messages = Messages()
    ask(messages.flow, 100 * SECOND)
    messages.come(70_000)
    assert not ask(messages.flow, 1 * SECOND)
    messages.come(60_000)
    assert list(ask(messages.flow, 2 * SECOND)) == [60_000]


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
    assert not messages.come(60_000)  # is seen to be one too many
    assert messages.flow.fastest_ns == 50_000
    assert not messages.come(45_000)
    assert messages.flow.fastest_ns == 45_000


def test_a_clock_that_is_behind_gives_negative_times_and_they_are_kept_as_they_are():
    messages = Messages()
    ask(messages.flow, 0)
    messages.come(-5_000, -4_000)
    assert list(ask(messages.flow, 3)) == [-5_000, -4_000]


def test_large_messages_are_noted_too_while_somebody_asks():
    messages = Messages()
    note(messages.flow, 6)
    assert messages.flow.noted is NOTHING
    ask(messages.flow, 11)
    for _ in range(2 * ENOUGH):
        note(messages.flow, 6)
    assert len(messages.flow.noted) == ENOUGH
    assert list(ask(messages.flow, 21)) == [6] * ENOUGH


def test_a_send_time_that_no_clock_shows_is_noted_as_far_as_numbers_go():
    messages = Messages()
    ask(messages.flow, 0)
    for took in (1 << 61) - (1 << 64), (1 << 63) - 1 - (1 << 64):
        messages.come(took)
        note(messages.flow, took)
    assert list(ask(messages.flow, 1)) == [-NOT_YET] * 4
