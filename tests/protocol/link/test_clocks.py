"""The exchange of CLOCK frames with one peer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol.link.clocks import (
    CLOCK_SIZE,
    FIRST,
    IDLE,
    WANTED,
    WANTED_FOR,
    PeerClock,
    Told,
    is_clock,
    pack_clock,
    unpack_clock,
)
from ipcpy.protocol.link.readings import Reading
from ipcpy.protocol.wire import Kind, Malformed, pack_frame
from ipcpy.timeouts import NEVER

MS, S = 10**6, 10**9
ME, YOU, TOKEN = 0x11, 0x22, 0x55


class Two:
    """Two sides and two clocks; theirs is 100 s behind in steady time and an hour ahead on the wall."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.us, self.them = PeerClock(), PeerClock()

    def ours(self) -> Reading:
        return Reading(round(self.now * S), round(self.now * S) + 10**18)

    def theirs(self) -> Reading:
        steady = round((self.now - 100) * S)
        return Reading(steady, round(self.now * S) + 10**18 + 3600 * S)

    def exchange(self, way: float = 0.001) -> None:
        question = unpack_clock(self.us.ask(ME, TOKEN, self.now, self.ours(), 1))
        self.now += way
        self.them.receive(question, self.now, self.theirs().steady_ns, 1)
        answer = unpack_clock(self.them.answer(YOU, TOKEN, self.theirs()))
        self.now += way
        self.us.receive(answer, self.now, self.ours().steady_ns, 1)


def test_one_exchange_bounds_the_offset_by_half_the_round_trip():
    two = Two()
    two.exchange()
    (low, high), drift = two.us.known.offset(two.ours())
    assert low <= 3600 * S <= high
    assert high - low == pytest.approx(2 * MS, rel=0.01)
    assert drift == 0


def test_the_side_that_was_asked_knows_after_the_next_question():
    two = Two()
    two.exchange()
    assert two.them.known.line is None
    two.exchange()
    (low, high), _ = two.them.known.offset(two.theirs())
    assert low <= -3600 * S <= high


def test_a_new_peer_is_asked_several_times_and_then_once_a_second():
    clock, now, pauses = PeerClock(), 10.0, []
    clock.begin(now)
    for _ in range(len(FIRST) + 2):
        now = clock.due
        clock.ask(ME, TOKEN, now, Reading(round(now * S), 0), 1)
        pauses.append(round(clock.due - now, 6))
    assert pauses == [*FIRST[1:], IDLE, IDLE, IDLE]


def test_who_wants_to_know_has_it_asked_often_for_some_seconds():
    clock, now = PeerClock(), 100.0
    clock._asked = len(FIRST)
    clock.due = now + IDLE
    assert not clock.wanted(now)
    clock.want(now)
    assert clock.wanted(now)
    assert clock.due == now + WANTED
    asked = 0
    while clock.due < now + WANTED_FOR + 2 * IDLE:
        clock.ask(ME, TOKEN, clock.due, Reading(round(clock.due * S), 0), 1)
        asked += 1
    assert WANTED_FOR / WANTED <= asked <= WANTED_FOR / WANTED + 4


def test_many_peers_are_asked_more_seldom():
    clock = PeerClock()
    clock._asked = len(FIRST)
    clock.ask(ME, TOKEN, 0.0, Reading(0, 0), 500)
    assert clock.due == 10.0


def test_a_peer_that_asks_need_not_be_asked():
    two = Two()
    two.exchange()
    two.them._asked = len(FIRST)
    two.them.due = two.now + 0.001
    two.exchange()
    assert two.them.due > two.now


def test_a_peer_of_this_host_is_not_asked():
    clock = PeerClock()
    clock.begin(1.0)
    clock.rest()
    assert clock.due == NEVER


def test_a_frame_that_was_overtaken_or_comes_twice_says_nothing():
    two = Two()
    two.exchange()
    late = unpack_clock(two.them.answer(YOU, TOKEN, two.theirs()))
    two.exchange()
    known = two.us.known
    two.us.receive(late, two.now, two.ours().steady_ns, 1)
    assert two.us.known is known


def test_an_echo_of_what_was_never_sent_bounds_nothing():
    two = Two()
    lie = Told(YOU, TOKEN, 1, two.theirs(), 12345, 1, False)
    two.us.receive(lie, two.now, two.ours().steady_ns, 1)
    assert two.us.known.line is None
    assert two.us.known.offset(two.ours()) is None


def test_after_a_steady_clock_jumped_the_peer_is_asked_at_once():
    two = Two()
    for _ in range(3):
        two.exchange()
    two.theirs = lambda: Reading(round((two.now + 500) * S), round(two.now * S))
    question = unpack_clock(two.them._pack(YOU, TOKEN, two.theirs(), ask=True))
    two.us.receive(question, two.now, two.ours().steady_ns, 1)
    assert two.us.due <= two.now
    assert two.us.known.before is not None


def test_a_frame_is_read_as_it_was_packed():
    told = Told(YOU, TOKEN, 7, Reading(5, 6), 3, 4, True)
    assert unpack_clock(pack_clock(told)) == told
    assert len(pack_clock(told)) == CLOCK_SIZE


@pytest.mark.parametrize(
    "data", [b"", bytes(CLOCK_SIZE), pack_frame(Kind.ALIVE, 1, 2, 0, bytes(29)), pack_frame(Kind.CLOCK, 1, 2, 0)]
)
def test_what_is_no_clock_frame_is_malformed(data):
    with pytest.raises(Malformed):
        unpack_clock(data)


@given(st.binary(min_size=CLOCK_SIZE, max_size=CLOCK_SIZE), st.integers(0, CLOCK_SIZE * 8 - 1))
def test_every_flipped_bit_is_noticed(noise, bit):
    frame = bytearray(pack_clock(Told(YOU, TOKEN, 7, Reading(5, 6), 3, 4, True)))
    frame[bit // 8] ^= 1 << bit % 8
    for data in (bytes(frame), noise):
        with pytest.raises(Malformed):
            unpack_clock(data)
    assert not is_clock(noise[:-1])


@given(st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 4, st.integers(0, 2**32 - 1)), max_size=20))
def test_whatever_a_peer_says_nothing_is_raised(said):
    clock = PeerClock()
    for at, (steady, wall, echo, came, number) in enumerate(said):
        clock.ask(ME, TOKEN, at, Reading(echo, 1), 1)
        clock.receive(Told(YOU, TOKEN, number, Reading(steady, wall), echo, came, False), at, at * S, 1)
        if clock.known is not None:
            clock.known.offset(Reading(at * S, at))
