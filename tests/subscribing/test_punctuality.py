"""Whether messages come in time: on a made-up clock, with flows as they ship."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol.data.batch import pack_alike, pack_batch
from ipcpy.protocol.wire import codec_number
from ipcpy.subscribing.punctuality import FLOOR, MAX_LINES, PERIODS, SLACK, Punctuality
from ipcpy.timeouts import NEVER
from receiving import HERE, Side, publisher_info

P, Q = 0xA1, 0xB2


class Told:
    """The lines of one subscriber, and what was told of them."""

    def __init__(self, deadline=0.1):
        self.now, self.told, self.counts = 100.0, [], Counter()
        self.times = Punctuality(deadline, lambda: self.now, self.counts, self._tell)

    def _tell(self, line, late, seconds, info):
        self.told.append((line.topic, "late" if late else "in time", round(seconds, 6), info.id[-2:]))

    def meet(self, number, topic="t", rate=0.0):
        """Have a publisher matched; return what stands for its flow."""
        info = publisher_info(number, topic=topic, rate=rate)
        decode = {"decode": lambda body: body, "decode_many": lambda data, size: []}
        source = SimpleNamespace(number=number, info=info, timed=False, **decode)
        self.times.follow(source)
        self.times.matched(source)
        return source

    def look(self, now):
        self.now = now
        self.times.look()
        return self.taken()

    def taken(self):
        told, self.told = self.told, []
        return told


def test_a_topic_is_late_when_nothing_came_for_its_deadline_and_in_time_with_the_next_message():
    told = Told(0.1)
    flow = told.meet(P)
    told.now = 100.05
    flow.decode(b"")
    assert told.look(100.05 + 0.1) == []
    assert told.times.due() == pytest.approx(100.05 + 0.1 + SLACK)
    assert told.look(100.16) == [("t", "late", 0.11, "a1")]
    assert told.times.due() == NEVER
    assert told.look(105.0) == [], "it was told"
    assert [(line.topic, seconds) for line, seconds in told.times.late()] == [("t", pytest.approx(4.95))]
    flow.decode(b"")
    assert told.taken() == [("t", "in time", 4.95, "a1")]
    assert told.times.late() == []
    assert told.times.due() == pytest.approx(105.1 + SLACK)
    assert told.counts == {f"{P:016x}": 1}


def test_a_message_that_comes_late_before_anybody_looked_is_told_of_all_the_same():
    told = Told(0.1)
    flow = told.meet(P)
    told.now = 100.3
    flow.decode_many(b"", 1)
    assert told.taken() == [("t", "late", 0.3, "a1"), ("t", "in time", 0.3, "a1")]


def test_what_is_read_when_it_is_looked_is_taken_to_have_come_before():
    told = Told(0.1)
    flow = told.meet(P)
    told.now = 100.104
    told.times.as_of = told.times.due()
    flow.decode(b"")
    told.times.as_of = NEVER
    assert told.look(100.104) == []
    assert told.times.due() == pytest.approx(100.2 + 2 * SLACK)


def test_nothing_is_late_before_somebody_was_matched_and_then_the_first_message_is_expected():
    told = Told(0.1)
    assert told.times.due() == NEVER
    told.meet(P)
    assert told.look(100.2) == [("t", "late", 0.2, "a1")]


def test_any_publisher_of_a_topic_will_do_and_topics_of_a_pattern_are_apart():
    told = Told(0.1)
    first, second, other = told.meet(P), told.meet(Q), told.meet(3, "u")
    for now in (100.08, 100.16):
        told.now = now
        second.decode(b"")
    assert told.look(100.2) == [("u", "late", 0.2, "03")]
    told.now = 100.25
    first.decode(b"")
    other.decode(b"")
    assert told.taken() == [("u", "in time", 0.25, "03")]


def test_a_message_that_cannot_be_decoded_is_none():
    told = Told(0.1)
    flow = SimpleNamespace(number=P, info=publisher_info(P), timed=False, decode=lambda body: 1 / 0, decode_many=None)
    told.times.follow(flow)
    told.times.matched(flow)
    told.now = 100.15
    with pytest.raises(ZeroDivisionError):
        flow.decode(b"")
    assert told.look(100.15) == [("t", "late", 0.15, "a1")]


def test_without_a_deadline_only_who_promises_a_rate_is_followed_and_three_periods_are_waited():
    told = Told(None)
    plain = told.meet(P)
    assert told.times.lines == {}
    assert plain.decode.__name__ == "<lambda>", "nothing is put around its codec"
    told.meet(Q, "slow", rate=2.0)
    told.meet(3, "fast", rate=1000.0)
    deadlines = {topic: line.deadline for topic, line in told.times.lines.items()}
    assert deadlines == {"slow": PERIODS / 2, "fast": FLOOR}


@pytest.mark.parametrize("first", [False, True], ids=["who promises is first", "who promises comes later"])
def test_messages_of_one_that_promises_nothing_count_beside_those_of_one_that_does(first):
    told = Told(None)
    flows = [told.meet(P, rate=0.0 if first else 10.0), told.meet(Q, rate=10.0 if first else 0.0)]
    for flow in flows:
        told.times.matched(flow)
    plain = flows[0 if first else 1]
    for number in range(4):
        told.now = 100.0 + 0.25 * number
        plain.decode(b"")
    assert told.look(101.0) == []
    assert told.look(101.1) == [("t", "late", 0.35, plain.info.id[-2:])]
    assert told.times.lines["t"].deadline == pytest.approx(PERIODS / 10)


def test_the_fastest_promise_counts_and_goes_with_who_made_it_unless_nobody_is_left():
    told = Told(None)
    told.meet(P, rate=10.0)
    told.meet(Q, rate=1.0)
    line = told.times.lines["t"]
    assert line.deadline == pytest.approx(PERIODS / 10)
    told.times.left(P, "t")
    assert line.deadline == PERIODS
    told.times.left(Q, "t")
    told.times.left(Q, "t")
    told.times.left(Q, "unknown")
    assert line.deadline == PERIODS
    assert told.look(103.1) == [("t", "late", 3.1, "a1")], "the last one left: nothing comes any more"


def test_a_publisher_that_comes_back_makes_a_topic_in_time_with_its_first_message():
    told = Told(0.1)
    told.meet(P)
    told.times.left(P, "t")
    assert told.look(101.0) == [("t", "late", 1.0, "a1")]
    again = told.meet(Q)
    assert told.look(101.1) == []
    again.decode(b"")
    assert told.taken() == [("t", "in time", 1.1, "b2")]


def test_topics_that_nobody_publishes_any_more_are_forgotten_when_there_are_too_many():
    told = Told(0.1)
    for number in range(MAX_LINES + 10):
        told.meet(number, f"t{number}")
        if number % 2:
            told.times.left(number, f"t{number}")
    assert len(told.times.lines) == MAX_LINES
    assert {"t0", "t2", f"t{MAX_LINES + 9}"} <= told.times.lines.keys()
    assert "t1" not in told.times.lines


def followed(**changes):
    side, told = Side(), Told(0.1)
    side.intake.follow = told.times.follow
    flow = side.match(P, **changes)
    told.times.matched(flow)
    return side, told


@pytest.mark.parametrize("kind", ["small", "batch", "batch, alike", "reliable"])
def test_messages_of_every_kind_are_noted_when_they_come(kind):
    side, told = followed(reliable=kind == "reliable")
    told.now = 100.15
    if kind == "batch":
        side.inbound.take(pack_batch(P, 1, 0, codec_number("raw"), [b"a", b"bb"]), HERE)
    elif kind == "batch, alike":
        side.inbound.take(pack_alike(P, 1, 0, codec_number("raw"), b"aabb", 2), HERE)
    else:
        side.data(P, 1, b"a")
    assert told.taken()[-1] == ("t", "in time", 0.15, "a1")
    assert len(side.bodies()) == (2 if "batch" in kind else 1)


def test_a_message_that_has_to_wait_for_one_before_it_is_there_when_that_has_come():
    side, told = followed(reliable=True)
    told.now = 100.05
    side.data(P, 2, b"b")
    assert told.look(100.15)[-1][1] == "late"
    side.data(P, 1, b"a")
    assert told.taken() == [("t", "in time", 0.15, "a1")]
    assert side.bodies() == [b"a", b"b"]


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0001, 0.5)), max_size=60))
def test_every_gap_above_the_deadline_is_told_once_as_late_and_once_as_in_time_however_often_one_looks(steps):
    told = Told(0.1)
    flow = told.meet(P)
    before, gaps = told.now, 0
    for message, pause in steps:
        told.now += pause
        if message:
            gaps += told.now > before + (0.1 + SLACK)
            before = told.now
            flow.decode(b"")
        else:
            told.times.look()
    open_gap = told.now >= before + (0.1 + SLACK)
    told.times.look()
    kinds = [kind for _, kind, _, _ in told.told]
    assert kinds == ["late", "in time"] * gaps + ["late"] * open_gap
    assert told.counts.total() == gaps + open_gap
