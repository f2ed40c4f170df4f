"""How late messages were, on a fake clock and a bad network: right within the bound, whatever is set or drifts."""

from __future__ import annotations

import heapq
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import NamedTuple

import pytest

from ipcpy.protocol.link.clocks import Interval, PeerClock, unpack_clock
from ipcpy.protocol.link.lateness import Lateness, Times
from ipcpy.protocol.link.readings import Reading, Track

MS, S, H = 10**6, 10**9, 3600 * 10**9


@dataclass
class Computer:
    """One computer's clocks, as functions of the true time in ns."""

    ahead: int
    rate: float
    begun: int
    jumps: Sequence[tuple[int, int]] = ()
    steady_jumps: bool = False  # as in a program whose clocks are all made up

    def jumped(self, now: int) -> int:
        return sum(by for at, by in self.jumps if now >= at)

    def read(self, now: int) -> Reading:
        steady = round((now - self.begun) * (1 + self.rate)) + (self.jumped(now) if self.steady_jumps else 0)
        return Reading(steady + 10**15, round(now * (1 + self.rate)) + 10**18 + self.ahead + self.jumped(now))


class Judged(NamedTuple):
    """A message: how long it took, and what was said of that."""

    seq: int
    truth: int
    said: Interval | None
    doubtful: bool


@dataclass
class World:
    """A publisher's computer and a subscriber's, and what goes between them."""

    publisher: Computer
    subscriber: Computer
    jitter: tuple[int, int] = (0, 0)  # to the subscriber, and back
    seed: int = 1
    loss: float = 0.0
    hertz: int = 100
    judged: list[Judged] = field(default_factory=list)

    def run(self, seconds: int) -> World:
        self._dice, self._order = Random(self.seed), count()
        self._queue: list[tuple[int, int, Callable[[int], None]]] = []
        self._us, self._them, self._lateness = PeerClock(), PeerClock(), Lateness()
        self._own = Track()
        for n in range(20 * seconds):
            self._at(n * 50 * MS, self._ask)
        for n in range(self.hertz, self.hertz * seconds):
            self._at(n * S // self.hertz + self._dice.randrange(MS), lambda now, n=n: self._publish(n, now))
        while self._queue:
            now, _, call = heapq.heappop(self._queue)
            call(now)
        return self

    def _at(self, when: int, call: Callable[[int], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._order), call))

    def _send(self, now: int, way: int, call: Callable[[int], None]) -> None:
        if self._dice.random() >= self.loss:
            self._at(now + 100_000 + self._dice.randint(0, self.jitter[way]), call)

    def _ask(self, now: int) -> None:
        reading = self.subscriber.read(now)
        self._own = self._own.add(reading)
        question = self._us.ask(1, 2, now / S, reading, 1)
        self._send(now, 1, lambda then: self._answer(question, then))

    def _answer(self, question: bytes, now: int) -> None:
        self._them.receive(unpack_clock(question), now / S, self.publisher.read(now).steady_ns, 1)
        answer = self._them.answer(3, 4, self.publisher.read(now + 50_000))
        self._send(now + 50_000, 0, lambda then: self._take(answer, then))

    def _take(self, answer: bytes, now: int) -> None:
        reading = self.subscriber.read(now)
        self._own = self._own.add(reading)
        self._us.receive(unpack_clock(answer), now / S, reading.steady_ns, 1)

    def _publish(self, seq: int, now: int) -> None:
        sent = self.publisher.read(now).wall_ns
        self._send(now, 0, lambda then: self._judge(seq, now, sent, then))

    def _judge(self, seq: int, sent_at: int, sent_ns: int, now: int) -> None:
        times = Times(seq, sent_ns, self.subscriber.read(now).wall_ns)
        taken = self.subscriber.read(now + 30_000)
        said = self._lateness.of(times, self._us.known, self._own.add(taken), taken)
        if said is None and self._lateness.doubtful:
            self._ask(now + 40_000)
        self.judged.append(Judged(seq, now - sent_at, said, self._lateness.doubtful))

    @property
    def wrong(self) -> list[Judged]:
        near = 500  # ns: by which two crystals differ within a message's way
        return [
            each
            for each in self.judged
            if each.said and not each.said.low - near <= each.truth <= each.said.high + near
        ]

    @property
    def bound(self) -> float:
        bounds = sorted(each.said.high - each.said.low for each in self.judged if each.said)
        return bounds[len(bounds) // 2] / 2


def fast(jumps: Sequence[tuple[int, int]] = (), *, steady_jumps: bool = False) -> Computer:
    return Computer(3 * H, 100e-6, -50 * H, jumps, steady_jumps)


def slow(jumps: Sequence[tuple[int, int]] = ()) -> Computer:
    return Computer(-2 * H, -100e-6, -1 * H, jumps)


def test_clocks_that_are_hours_apart_and_drift_cost_a_tenth_of_a_millisecond():
    world = World(fast(), slow()).run(20)
    assert len(world.judged) == 1900
    assert not world.wrong
    assert not any(each.doubtful for each in world.judged)
    assert world.bound < 150_000, "100 µs each way, and what is not known of the drift"


@pytest.mark.parametrize("jitter", [(30 * MS, 0), (0, 30 * MS), (30 * MS, 5 * MS)])
def test_unequal_jitter_is_within_the_bound_which_is_far_below_it(jitter):
    world = World(fast(), slow(), jitter, loss=0.1).run(60)
    assert not world.wrong
    assert world.bound < 2 * MS


BOTH_WAYS = [
    (5 * S, 4 * H),
    (9 * S, -7 * H),
    (13 * S, 2 * S),
    (17 * S, -1 * S),
    (21 * S, 250 * MS),
    (25 * S, -250 * MS),
]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("steady_jumps", [False, True])
def test_a_publisher_whose_clock_is_set_forth_and_back_is_judged_rightly(seed, steady_jumps):
    world = World(fast(BOTH_WAYS, steady_jumps=steady_jumps), slow(), (30 * MS, 3 * MS), seed, loss=0.05).run(30)
    assert len(world.wrong) <= len(world.judged) // 1000
    told = [each for each in world.judged if each.said is not None]
    assert len(told) >= 0.99 * len(world.judged)
    assert world.bound < 5 * MS


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_subscriber_whose_own_clock_is_set_judges_rightly(seed):
    world = World(fast(), slow(BOTH_WAYS), (30 * MS, 3 * MS), seed).run(30)
    assert len(world.wrong) <= len(world.judged) // 1000
    assert world.bound < 2 * MS


def test_a_message_that_comes_before_the_news_of_a_jump_is_in_doubt_and_has_a_bound():
    world = World(fast([(5 * S + 5 * MS, -2 * H)]), slow()).run(8)
    doubtful = [each for each in world.judged if each.doubtful]
    assert 1 <= len(doubtful) <= 6, "those of 50 ms"
    assert all(each.said.high < 60 * MS for each in doubtful)
    assert not world.wrong


def test_a_jump_that_is_smaller_than_the_jitter_is_known_within_50_ms():
    world = World(fast([(5 * S, 20 * MS)]), slow(), (30 * MS, 0)).run(10)
    assert len(world.wrong) <= 10, "messages of 100 a second, until the publisher's host tells"


def test_before_an_answer_nothing_can_be_told():
    clock = PeerClock()
    clock.ask(1, 2, 0.0, Reading(1, 1), 1)
    answer = PeerClock()
    answer._number = 5
    clock.receive(unpack_clock(answer.answer(3, 4, Reading(7, 8))), 0.0, 9, 1)
    assert Lateness().of(Times(1, 8, 9), clock.known, Track().add(Reading(9, 9)), Reading(10, 10)) is None


def test_a_latched_message_is_as_old_as_it_is():
    publisher, subscriber = fast(), slow()
    world = World(publisher, subscriber).run(3)
    long_ago, now = -3600 * S, 4 * S
    times = Times(1, publisher.read(long_ago).wall_ns, subscriber.read(now).wall_ns)
    said = Lateness().of(times, world._us.known, world._own.add(subscriber.read(now)), subscriber.read(now))
    assert said.low <= now - long_ago <= said.high
    assert said.high - said.low < 3 * S


def test_several_threads_may_ask_at_once():
    world = World(fast(), slow()).run(3)
    lateness, failed = Lateness(), []
    own, taken = world._own, world.subscriber.read(4 * S)

    def ask(first: int) -> None:
        try:
            for seq in range(first, 3000, 4):
                at = 3 * S + seq * 100_000
                times = Times(seq, world.publisher.read(at).wall_ns, world.subscriber.read(at + 100_000).wall_ns)
                lateness.of(times, world._us.known, own.add(taken), taken)
        except Exception as error:
            failed.append(error)

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=ask, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert not failed
