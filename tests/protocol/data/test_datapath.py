"""Publisher and subscribers back to back on a fake clock and a seeded bad network (tests/support/datanet.py)."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datanet import SOURCE, Network, Publisher, Subscriber, Weather, paced
from ipcpy.addresses import LOOPBACK
from ipcpy.protocol.data.reports import POLL_BODY, RANGE, REPORT_BODY
from ipcpy.protocol.wire import Kind, pack_frame

LOSSES = (0.0, 0.01, 0.1, 0.3)
SECOND = 1.0
SMALL, LARGE = (0, 1_400), (1_500, 60_000)


@dataclass
class World:
    """One publisher, its subscribers, and every body published."""

    net: Network
    pub: Publisher
    subs: list[Subscriber]
    bodies: dict[int, bytes] = field(default_factory=dict)

    def publish(self, count: int, sizes: Callable[[], int], pause: float = 0.001) -> None:
        for number in paced(self.net, count, pause):
            body = self.net.random.randbytes(sizes())
            seq = self.pub.publish(bytearray(body) if number % 2 else body)
            self.bodies[seq] = body

    def settle(self) -> None:
        """Wait until nothing happens any more: every subscriber has acknowledged the last message."""
        self.net.run(self.net.now + 120)

    def check(self, *, reliable: bool) -> None:
        """Every promise that holds in any weather; the books are checked with every datagram by Subscriber."""
        assert self.net.quiet
        for sub in self.subs:
            numbers = [seq for seq, _ in sub.got]
            assert len(set(numbers)) == len(numbers), "no double"
            assert all(self.bodies[seq] == body for seq, body in sub.got)
            assert sub.receiver.next == self.pub.seq + 1, "the books are closed"
            assert self.pub.handed(sub) == sub.receiver.next - sub.receiver.first, "both ends count the same"
            assert not sub.receiver.waiting and not sub.receiver.incomplete()
            assert not self.pub.backlog(sub)
            if reliable:
                assert numbers == sorted(numbers)
                assert set(+sub.receiver.lost) <= {"given up"}


def world(weather: Weather, seed: int = 1, *, subscribers: int = 1, meet: bool = True, **options: Any) -> World:
    net = Network(weather, seed)
    pub = Publisher(net, **options)
    subs = [Subscriber(net, number) for number in range(1, subscribers + 1)]
    for sub in subs:
        pub.meet(sub)
    if meet:
        net.run(5.0)
    return World(net, pub, subs)


def sizes(seed: int, share: float, large: tuple[int, int] = LARGE) -> Callable[[], int]:
    random_ = random.Random(seed)
    return lambda: random_.randint(*(large if random_.random() < share else SMALL))


# -- any weather -------------------------------------------------------------------------------------------------------

weathers = st.builds(
    Weather,
    loss=st.sampled_from(LOSSES),
    duplicate=st.sampled_from((0.0, 0.1)),
    corrupt=st.sampled_from((0.0, 0.05)),
    delay=st.sampled_from((0.000_1, 0.005, 0.05)),
    jitter=st.sampled_from((0.0, 0.001, 0.02)),
    partitions=st.sampled_from(((), ((5.01, 5.1),), ((5.02, 7.0),), ((0.0, 0.3), (5.05, 9.0)))),
)
firsts = st.sampled_from((1, (1 << 32) - 20, 1 << 63, (1 << 64) - 1 - 200))


@settings(max_examples=80)
@given(weathers, st.integers(0, 1 << 30), firsts, st.sampled_from((0.0, 0.1)), st.booleans(), st.integers(1, 3))
def test_best_effort(weather: Weather, seed: int, first: int, share: float, meet: bool, subscribers: int) -> None:
    w = world(weather, seed, first=first, meet=meet, subscribers=subscribers)
    w.publish(100, sizes(seed, share))
    w.settle()
    w.check(reliable=False)


@settings(max_examples=80)
@given(weathers, st.integers(0, 1 << 30), firsts, st.sampled_from((0.0, 0.1)), st.booleans(), st.integers(1, 3))
def test_reliable(weather: Weather, seed: int, first: int, share: float, meet: bool, subscribers: int) -> None:
    w = world(weather, seed, reliable=True, first=first, meet=meet, subscribers=subscribers)
    w.publish(100, sizes(seed, share))
    w.settle()
    w.check(reliable=True)
    for sub in w.subs:
        assert not +sub.receiver.lost, "no gap"


@settings(max_examples=80)
@given(weathers, st.integers(0, 1 << 30), st.sampled_from((5, 20)), st.sampled_from((0.0, 0.1)))
def test_reliable_that_does_not_wait_loses_only_what_it_gave_up(
    weather: Weather, seed: int, kept: int, share: float
) -> None:
    w = world(weather, seed, reliable=True, kept=kept, block=0.0)
    w.publish(150, sizes(seed, share), 0.000_2)
    low = w.pub.seq + 1 - kept
    w.settle()
    w.check(reliable=True)
    (sub,) = w.subs
    got = {seq for seq, _ in sub.got}
    assert set(range(max(low, sub.receiver.first), w.pub.seq + 1)) <= got, "what is kept arrives"


@settings(max_examples=80)
@given(weathers, st.integers(0, 1 << 30), st.integers(0, 30), st.booleans())
def test_latched(weather: Weather, seed: int, keep: int, reliable: bool) -> None:
    """A late subscriber gets the last messages first, then the live ones, no double and nothing out of order between.

    Without a gap where the topic is reliable too; else gaps are filled among the last messages only, which are kept.
    """
    if not reliable and not keep:
        return
    w = world(weather, seed, reliable=reliable, keep=keep, kept=max(keep, 1_000), subscribers=0)
    w.publish(50, sizes(seed, 0.05))
    late = Subscriber(w.net, 9)
    w.subs.append(late)
    w.pub.meet(late)
    w.publish(50, sizes(seed, 0.05))
    w.settle()
    w.check(reliable=True)
    got = [seq for seq, _ in late.got]
    assert w.pub.seq + 1 - late.receiver.first >= keep
    assert got[len(got) - keep :] == list(range(w.pub.seq + 1 - keep, w.pub.seq + 1)), "what is kept arrives"
    if reliable:
        assert got == list(range(late.receiver.first, w.pub.seq + 1))
        assert not +late.receiver.lost


@settings(max_examples=40)
@given(weathers, st.integers(0, 1 << 30), st.booleans(), st.integers(1, 3))
def test_batches(weather: Weather, seed: int, reliable: bool, subscribers: int) -> None:
    w = world(weather, seed, reliable=reliable, subscribers=subscribers)
    random_ = random.Random(seed)
    for _ in paced(w.net, 20, 0.002):
        same = random_.choice((0, 12))
        bodies = [random_.randbytes(same or random_.randint(0, 300)) for _ in range(random_.randint(1, 40))]
        w.bodies |= dict(enumerate(bodies, w.pub.seq + 1))
        w.pub.publish_many(bodies)
    w.settle()
    w.check(reliable=reliable)
    assert not reliable or not any(+sub.receiver.lost for sub in w.subs)


# -- seeded runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_reliable_at_1_khz(loss: float) -> None:
    w = world(Weather(loss=loss, duplicate=0.01, jitter=0.001), reliable=True)
    w.publish(5_000, lambda: 100)
    assert w.net.now < 10.5, "the publisher keeps its pace"
    w.net.run(w.net.now + 3.0)
    assert len(w.subs[0].got) == 5_000
    w.check(reliable=True)
    assert w.net.sent < 5_000 * (1.2 + 4 * loss), "no storm"


@pytest.mark.parametrize("loss", LOSSES)
def test_reliable_1_mb_at_10_hz(loss: float) -> None:
    w = world(Weather(loss=loss, jitter=0.000_1), reliable=True)
    w.publish(10, lambda: 1_000_000, 0.1)
    w.net.run(w.net.now + 3.0)
    assert len(w.subs[0].got) == 10
    w.check(reliable=True)
    assert w.net.sent < 10 * 700 * (1.3 + 2.5 * loss)


@pytest.mark.parametrize("loss", LOSSES)
def test_best_effort_large_messages_are_refilled(loss: float) -> None:
    w = world(Weather(loss=loss, jitter=0.000_1))
    w.publish(30, lambda: 200_000, 0.2)
    assert len(w.subs[0].got) >= 29
    w.settle()
    w.check(reliable=False)


@pytest.mark.parametrize("loss", [0.1, 0.3])
def test_a_reliable_flood_through_loss(loss: float) -> None:
    w = world(Weather(loss=loss, jitter=0.000_2), reliable=True)
    w.publish(10_000, lambda: 60, 0.000_01)
    w.net.run(w.net.now + 10.0)
    assert len(w.subs[0].got) == 10_000
    w.check(reliable=True)
    assert w.net.now < 20.0 and w.net.sent < 10_000 * (1.5 + 2 * loss)


def test_messages_on_one_host_are_lost_neither_small_nor_large() -> None:
    net = Network(Weather(), 1)
    pub, sub = Publisher(net, ip=LOOPBACK), Subscriber(net, 1, ip=LOOPBACK)
    pub.meet(sub)
    net.run(1.0)
    for _ in paced(net, 30, 0.033):
        pub.publish(bytes(4_000_000))
        pub.publish(b"small")
    net.run(net.now + 5)
    assert len(sub.got) == 60 and not sub.late and net.quiet
    assert pub.backlog(sub) == 0


def test_small_messages_do_not_overtake_large_ones_that_wait_for_their_turn() -> None:
    w = world(Weather(delay=0.001))
    for _ in range(4):
        for size in (300_000, 10):
            w.bodies[w.pub.publish(bytes(size))] = bytes(size)
    w.settle()
    w.check(reliable=False)
    assert [seq for seq, _ in w.subs[0].got] == list(range(1, 9))
    assert not +w.subs[0].receiver.lost


def test_a_dead_subscriber_holds_nobody_up_and_costs_little() -> None:
    w = world(Weather(), reliable=True, subscribers=2, kept=50)
    dead, alive = w.subs
    dead.stopped = True
    w.publish(2_000, lambda: 1_000)
    assert [seq for seq, _ in alive.got] == list(range(1, 2_001))
    assert w.net.now < 5.0 + 2.0 + 1.5, "one wait until it is known to be dead"
    sent = w.net.sent
    w.net.run(w.net.now + 10)
    assert w.net.sent - sent < 30
    assert w.pub.backlog(dead) == 0


def test_a_stopped_subscriber_comes_back_and_is_told_what_is_gone() -> None:
    w = world(Weather(), reliable=True, kept=50)
    (sub,) = w.subs
    w.publish(100, lambda: 100)
    sub.stopped = True
    w.publish(500, lambda: 100)
    sub.stopped = False
    w.publish(10, lambda: 100)
    w.settle()
    w.check(reliable=True)
    assert [seq for seq, _ in sub.got] == [*range(1, 101), *range(sub.got[100][0], 611)]
    assert sub.receiver.lost == {"given up": sub.got[100][0] - 101}


def test_memory_is_bounded_while_the_network_is_cut() -> None:
    w = world(Weather(partitions=((5.5, 1e9),)), reliable=True)
    tracemalloc.start()
    for _ in paced(w.net, 400, 0.01):
        w.pub.publish(bytes(300_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80 << 20
    w.net.run(w.net.now + 10)
    assert w.pub.backlog(w.subs[0]) == 0


# -- hostile peers -----------------------------------------------------------------------------------------------------

GIANTS = (0, 1, 50, 101, 1 << 32, 1 << 63, (1 << 64) - 2, (1 << 64) - 1)


@pytest.mark.parametrize("reliable", [False, True])
def test_a_hostile_subscriber_hurts_nobody(reliable: bool) -> None:
    w = world(Weather(), reliable=reliable, subscribers=2, kept=500, block=0.1)
    good, bad = w.subs
    random_ = random.Random(8)

    def attack() -> None:
        number = random_.choice((*GIANTS, w.pub.seq, random_.getrandbits(64)))
        ranges = b"".join(RANGE.pack(random_.choice(GIANTS), random_.getrandbits(32)) for _ in range(64))
        body = REPORT_BODY.pack(random_.choice(GIANTS), random_.getrandbits(32)) + ranges
        for frame in (
            pack_frame(Kind.REPORT, SOURCE, bad.number, number, body),
            pack_frame(Kind.REPORT, SOURCE, bad.number, number, body[: random_.randrange(len(body))]),
            pack_frame(Kind.MISSING, SOURCE, number, bad.number, random_.randbytes(4) + b"\xff" * 1_400),
            pack_frame(Kind.MISSING, SOURCE, w.pub.seq, bad.number, bytes(4) + b"\xff" * random_.randrange(1_400)),
        ):
            w.net.send(bad.address, w.pub.address, frame)

    bad.stopped = True  # it only lies
    for _ in range(300):
        attack()
        w.publish(1, sizes(_, 0.1))
    w.net.run(w.net.now + 5)
    assert [seq for seq, _ in good.got] == list(range(1, 301))
    assert w.net.sent < 100_000


@pytest.mark.parametrize("reliable", [False, True])
def test_a_hostile_publisher_costs_a_subscriber_nothing_but_its_messages(reliable: bool) -> None:
    w = world(Weather(), reliable=reliable)
    (sub,) = w.subs
    random_ = random.Random(9)
    tracemalloc.start()
    for _ in range(3_000):
        one, two = (random_.choice((*GIANTS, random_.getrandbits(64))) for _ in range(2))
        kind = random_.choice((Kind.POLL, Kind.POLL, Kind.START, Kind.DATA))
        body = POLL_BODY.pack(one, two) if kind == Kind.POLL else random_.randbytes(random_.choice((0, 8, 16)))
        w.net.send(w.pub.address, sub.address, pack_frame(kind, SOURCE, one, sub.number, body))
    w.net.run(w.net.now + 1)
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
    w.net.run(w.net.now + 60)
    assert w.net.quiet


def test_corrupt_frames_change_nothing_but_a_counter() -> None:
    w = world(Weather(corrupt=0.3, jitter=0.001), reliable=True)
    w.publish(500, sizes(1, 0.1, (1_500, 20_000)))
    w.settle()
    w.check(reliable=True)
    assert w.subs[0].malformed > 100 and not +w.subs[0].receiver.lost


def test_a_latched_topic_gives_nothing_up_that_a_poll_overtakes() -> None:
    w = world(Weather(jitter=0.002), keep=2)
    w.publish(2_000, lambda: 60, 0.000_2)
    w.settle()
    w.check(reliable=False)
    assert not +w.subs[0].receiver.lost and len(w.subs[0].got) == 2_000
