"""The heartbeat of a best-effort publisher: as long as somebody is behind, and no longer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol.data.heartbeat import PAUSES, Heartbeat
from ipcpy.timeouts import NEVER


def polls(heart: Heartbeat, count: int, *, behind: bool = True) -> list[float]:
    """Return when it polls, at its own times, up to so many times."""
    found: list[float] = []
    while len(found) < count and heart.at < NEVER:
        now = heart.at
        if heart.handle_timer(1, behind=behind, now=now):
            found.append(now)
    return found


def test_a_heartbeat_that_was_not_started_is_never_due() -> None:
    heart = Heartbeat()
    assert (heart.beating, heart.at) == (False, NEVER)


def test_the_first_poll_comes_soon_and_later_ones_ever_more_seldom() -> None:
    heart = Heartbeat()
    heart.start(1, 10.0)
    assert polls(heart, 4) == pytest.approx([10.1, 10.6, 12.6, 14.6])


def test_polls_go_on_while_a_subscriber_is_behind() -> None:
    heart = Heartbeat()
    heart.start(1, 0.0)
    times = polls(heart, 1_000)
    assert len(times) == 1_000
    assert times[-1] - times[-2] == pytest.approx(PAUSES[-1])
    assert heart.beating


def test_the_heartbeat_ends_once_nobody_is_behind() -> None:
    heart = Heartbeat()
    heart.start(1, 0.0)
    assert len(polls(heart, 5)) == 5
    assert polls(heart, 1, behind=False) == []
    assert (heart.beating, heart.at) == (False, NEVER)


def test_messages_that_follow_one_another_put_the_poll_off() -> None:
    heart = Heartbeat()
    heart.start(1, 0.0)
    for last in range(2, 50):
        now = heart.at
        assert not heart.handle_timer(last, behind=True, now=now)
        assert heart.at == now + PAUSES[0]
    assert heart.handle_timer(49, behind=True, now=heart.at)


def test_a_message_after_many_polls_makes_them_frequent_again() -> None:
    heart = Heartbeat()
    heart.start(1, 0.0)
    polls(heart, 9)
    now = heart.at
    assert not heart.handle_timer(2, behind=True, now=now)
    assert heart.handle_timer(2, behind=True, now=now + PAUSES[0])
    assert heart.at == now + PAUSES[0] + PAUSES[1]


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 5)), max_size=50))
def test_who_is_behind_is_polled_at_last_and_who_is_not_never_is(events: list[tuple[bool, bool, float]]) -> None:
    heart, last = Heartbeat(), 1
    heart.start(last, 0.0)
    now = 0.0
    for published, behind, late in events:
        if not heart.beating:
            heart.start(last, now)
        now = heart.at + late
        last += published
        polled = heart.handle_timer(last, behind=behind, now=now)
        assert polled == (behind and not published)
        assert heart.beating == (behind or published)
        assert (now < heart.at <= now + PAUSES[-1]) if heart.beating else heart.at == NEVER
