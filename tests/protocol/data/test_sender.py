"""Large messages paced by credit, refilled by position, given up in time."""

from __future__ import annotations

import random

import pytest

from ipcpy.protocol.data.fragments import MAX_PARTIALS, Outgoing
from ipcpy.protocol.data.heads import Place
from ipcpy.protocol.data.sender import (
    AHEAD,
    BURST,
    DATAGRAM_COST,
    HURRY,
    MAX_OWED,
    MAX_WAIT,
    MAX_WINDOW,
    MIN_WINDOW,
    PATIENCE,
    POLL_PAUSE,
    STALLED,
    Sender,
)
from ipcpy.timeouts import NEVER

SIZE = 1_428
COST = SIZE + 44 + DATAGRAM_COST


def message(seq: int, fragments: int, size: int = SIZE) -> Outgoing:
    total = fragments * size
    return Outgoing(Place(1, seq, 0, 0, total, size), [memoryview(bytes(total))])


def take_all(sender: Sender) -> list[tuple[int, int]]:
    taken = []
    while (some := sender.take()) is not None:
        outgoing, indexes = some
        assert 0 < len(indexes) <= BURST
        taken += [(outgoing.seq, index) for index in indexes]
    return taken


def test_the_first_fragment_is_sent_at_once_also_where_nothing_else_is_owed() -> None:
    sender = Sender(MIN_WINDOW, lossy=False)
    sender.charge(MIN_WINDOW)
    assert sender.full and not sender.backlog
    sender.add(message(2, 100), 0.0)
    assert take_all(sender) == [(2, 0)]


def test_only_as_much_is_sent_as_the_socket_holds() -> None:
    sender = Sender(200_000, lossy=True)
    sender.add(message(1, 500), 0.0)
    taken = take_all(sender)
    assert len(taken) == 200_000 // COST
    assert sender.busy and sender.backlog == 1
    assert sender.poll(0.0) == sender.position == len(taken) * COST
    sender.reported(sender.position, 1, 200_000, 0.001)
    assert len(take_all(sender)) == len(taken)


def test_a_fragment_larger_than_the_credit_goes_alone() -> None:
    sender = Sender(0, lossy=False)
    sender.add(message(1, 3, 65_000), 0.0)
    for expected in range(3):
        assert take_all(sender) == [(1, expected)]
        position = sender.poll(0.0)
        assert position is not None
        sender.reported(position, 1, 0, 0.0)
    assert not sender.busy


def test_the_first_fragment_of_every_message_is_sent_at_once_so_that_order_is_kept() -> None:
    sender = Sender(0, lossy=True)
    for seq in (1, 3, 4):
        sender.add(message(seq, 100), 0.0)
    taken = take_all(sender)
    assert taken[-2:] == [(3, 0), (4, 0)]
    assert {seq for seq, _ in taken[:-2]} == {1}


def test_a_poll_names_no_message_that_waits_for_its_turn() -> None:
    sender = Sender(0, lossy=True)
    assert sender.reached(9) == 9
    sender.add(message(5, 100), 0.0)
    sender.add(message(7, 100), 0.0)
    take_all(sender)
    assert sender.reached(9) == 4
    assert sender.lowest(10) == 5 and sender.lowest(2) == 2


def test_the_end_of_a_message_is_polled_at_once() -> None:
    for lossy in (True, False):
        sender = Sender(1 << 20, lossy=lossy)
        sender.add(message(1, 3), 0.0)
        take_all(sender)
        assert sender.poll(0.0) == sender.position


def test_where_nothing_is_known_to_get_lost_the_end_of_messages_that_follow_closely_is_polled_together() -> None:
    for lossy in (True, False):
        sender = Sender(1 << 20, lossy=lossy)
        sender.add(message(1, 3), 0.0)
        take_all(sender)
        assert sender.poll(0.0) is not None
        sender.reported(sender.position, 2, 1 << 20, 0.0005)
        for seq in (2, 3, 4):
            sender.add(message(seq, 3), seq * 0.001)
            take_all(sender)
            assert (sender.poll(seq * 0.001) is not None) == lossy
        if not lossy:
            assert sender.next_timer() == 0.002 + HURRY and sender.backlog == 3
            assert sender.handle_timer(sender.next_timer()) == sender.position
            assert not sender.stalled(0.002 + HURRY + STALLED), "it was asked just then"
            sender.reported(sender.position, 5, 1 << 20, 0.02)
            assert sender.backlog == 0 and sender.next_timer() == NEVER


def test_an_unanswered_poll_is_repeated_and_then_all_is_given_up() -> None:
    sender = Sender(1 << 20, lossy=True)
    sender.add(message(1, 3), 5.0)
    take_all(sender)
    position = sender.poll(5.0)
    assert sender.next_timer() == 5.0 + POLL_PAUSE
    polls = 0
    while (now := sender.next_timer()) != NEVER:
        answer = sender.handle_timer(now)
        assert answer in (position, None)
        polls += answer is not None
        assert sender.stalled(now) == (now - 5.0 > STALLED)
    assert 8 <= polls <= 60 and now != 0
    assert (sender.given_up, sender.backlog) == (1, 0) and sender.next_timer() == NEVER and not sender.full


def test_nobody_waits_for_who_was_given_up_until_he_answers() -> None:
    sender = Sender(0, lossy=False)
    sender.charge(MIN_WINDOW)
    assert sender.full and sender.poll(5.0) is not None
    while (now := sender.next_timer()) != NEVER:
        sender.handle_timer(now)
    sender.charge(2 * MIN_WINDOW)
    position = sender.poll(9.0)
    assert sender.full and sender.stalled(9.0) and position is not None
    sender.reported(position, 1, 0, 9.1)
    assert not sender.full and not sender.stalled(9.1)


def test_patience_begins_with_the_first_question_though_nothing_was_sent_for_long() -> None:
    sender = Sender(0, lossy=False)
    sender.charge(MIN_WINDOW)
    position = sender.poll(5.0)
    assert sender.handle_timer(5.0 + POLL_PAUSE) == position and sender.full


def test_given_up_within_patience() -> None:
    sender = Sender(1 << 20, lossy=True)
    sender.add(message(1, 3), 0.0)
    take_all(sender)
    sender.poll(0.0)
    last = 0.0
    while (now := sender.next_timer()) != NEVER:
        sender.handle_timer(now)
        last = now
    assert PATIENCE < last < PATIENCE + 0.2


def test_missing_fragments_are_sent_again_but_not_those_still_on_their_way() -> None:
    sender = Sender(200_000, lossy=True)
    owed = message(1, 300)
    sender.add(owed, 0.0)
    first = take_all(sender)
    half = COST * 20
    sender.reported(half, 1, 200_000, 0.0)
    sender.missing(1, 0, b"\xff" * 40)
    assert owed.resend == list(range(20)) and len(first) > 60
    sender.reported(sender.position, 1, 200_000, 0.0)
    assert take_all(sender)[:20] == [(1, index) for index in range(20)]
    assert sender.retransmitted == 20
    sender.missing(1, 0, b"\xff\xff")
    assert owed.resend == [], "they were just sent again"


def test_a_message_none_of_which_arrived_is_sent_again() -> None:
    sender = Sender(1 << 20, lossy=True)
    sender.add(message(1, 3), 0.0)
    take_all(sender)
    position = sender.poll(0.0)
    assert position is not None
    sender.reported(position - 1, 1, 1 << 20, 0.0, [(1, 2)])
    assert take_all(sender) == [], "it may still arrive"
    sender.reported(position, 5, 1 << 20, 0.0, [(1, 2)])
    assert take_all(sender) == [(1, 0), (1, 1), (1, 2)]
    assert sender.retransmitted == 3


def test_what_is_missing_is_asked_about_again_if_the_answer_was_lost() -> None:
    sender = Sender(1 << 20, lossy=True)
    sender.add(message(1, 3), 0.0)
    take_all(sender)
    position = sender.poll(0.0)
    assert position is not None
    sender.reported(position, 1, 1 << 20, 0.01)  # the MISSING that belongs to it did not come
    assert sender.next_timer() != NEVER
    assert sender.handle_timer(sender.next_timer()) == position
    sender.reported(position, 2, 1 << 20, 0.02)
    assert sender.backlog == 0 and sender.next_timer() == NEVER


def test_credit_shrinks_once_a_round_trip_and_grows_again() -> None:
    sender = Sender(1 << 20, lossy=True)
    sender.add(message(1, 5_000), 0.0)
    take_all(sender)
    half = sender.position // 2
    sender.reported(half, 1, 1 << 20, 0.0)
    for at in range(5):
        sender.missing(1, at, b"\1")
    assert sender.limit == (1 << 20) * 3 // 4
    for _ in range(50):
        take_all(sender)
        sender.reported(sender.position, 1, 1 << 20, 0.0)
    assert sender.limit == 1 << 20


def test_small_frames_may_be_charged_too() -> None:
    sender = Sender(MIN_WINDOW, lossy=True)
    while not sender.full:
        sender.charge(100)
    position = sender.poll(0.0)
    assert position == sender.position and MIN_WINDOW <= position < MIN_WINDOW + 1_000
    sender.reported(position, 1, MIN_WINDOW, 0.0)
    assert not sender.full
    sender.charge(100)
    assert sender.poll(0.0) is None
    sender.charge(100, again=True)
    assert sender.poll(0.0) == sender.position


def test_the_rest_of_a_message_comes_from_a_copy() -> None:
    buffer = bytearray(b"x" * 100)
    sender = Sender(0, lossy=True)
    for seq in (1, 2):
        sender.add(Outgoing(Place(1, seq, 0, 0, 100, 50), [memoryview(buffer)]), 0.0)
    sender.replace(1, [memoryview(bytes(buffer))])
    buffer[:] = b"z" * 100
    first, second = sender.take(), None
    while second is None:
        taken = sender.take()
        second = taken if taken is not None and taken[0].seq == 2 else None
    assert first is not None
    assert b"".join(first[0].fragments(range(1, 2))[0])[44:] == b"x" * 50
    assert b"".join(second[0].fragments(range(1, 2))[0])[44:] == b"z" * 50


@pytest.mark.parametrize("lossy", [False, True])
def test_a_message_is_owed_until_the_subscriber_says_that_it_is_there(lossy: bool) -> None:
    sender = Sender(1 << 20, lossy=lossy)
    sender.add(message(1, 3), 0.0)
    take_all(sender)
    assert sender.owes(1) and sender.lowest(7) == 1
    assert sender.poll(0.0) is not None
    sender.reported(sender.position, 1, 1 << 20, 0.01)
    sender.missing(1, 0, b"\1")
    assert take_all(sender) == [(1, 0)]
    sender.reported(sender.position, 2, 1 << 20, 0.02)
    assert sender.backlog == 0 and sender.lowest(7) == 7


def owe(sender: Sender, seq: int, size: int, now: float) -> None:
    sender.make_room(size, now)
    sender.add(Outgoing(Place(1, seq, 0, 0, size, SIZE), [memoryview(bytes(size))]), now)
    take_all(sender)


def test_messages_wait_for_their_turn_for_a_bounded_time_and_then_the_oldest_gives_way() -> None:
    sender = Sender(MIN_WINDOW, lossy=True)
    for number in range(30):
        owe(sender, 1 + number, 200_000, number / 30)
        waited = [seq for seq in range(2, 31) if sender.owes(seq)]
        assert number / 30 - (waited[0] - 1 if waited else 0) / 30 <= MAX_WAIT + 1e-9
    assert sender.owes(1), "it is being sent"
    assert waited == list(range(15, 31)) and sender.given_up == 13


def test_a_few_messages_wait_for_their_turn_however_old_they_are() -> None:
    sender = Sender(MIN_WINDOW, lossy=True)
    for number in range(8):
        owe(sender, 1 + number, 200_000, float(number))
    assert [seq for seq in range(1, 9) if sender.owes(seq)] == [1, 6, 7, 8]


def test_what_is_owed_is_bounded_in_bytes_and_messages() -> None:
    sender = Sender(MIN_WINDOW, lossy=True)
    for number in range(20):
        owe(sender, 1 + number, MAX_OWED // 8, number / 1_000)
    assert sender.backlog == 8 and sender.owes(1) and sender.owes(20)
    sender = Sender(MIN_WINDOW, lossy=True)
    for number in range(100):
        owe(sender, 1 + number, 2 * SIZE, number / 1_000)
    assert sender.backlog == MAX_PARTIALS and sender.owes(100)
    sender = Sender(MIN_WINDOW, lossy=True)
    for number in range(6):
        owe(sender, 1 + number, MAX_OWED, number / 1_000)
    assert sender.backlog == AHEAD and sender.owes(6)


def test_messages_that_wait_are_not_given_up_for_those_that_were_sent_and_are_not_confirmed_yet() -> None:
    sender = Sender(MAX_WINDOW, lossy=True)
    for number in range(20):
        owe(sender, 1 + number, 20 * SIZE, float(number))
    assert sender.backlog == 20 and not sender.busy and not sender.given_up


def test_the_first_fragments_of_the_next_few_only_are_sent_ahead() -> None:
    sender = Sender(0, lossy=True)
    for number in range(10):
        sender.add(message(1 + number, 100), 0.0)
    taken = take_all(sender)
    assert [seq for seq, index in taken if not index] == list(range(1, AHEAD + 1))


def test_hostile_answers_cost_nothing() -> None:
    random_ = random.Random(3)
    sender, added = Sender(200_000, lossy=True), []
    for step in range(3_000):
        if sender.backlog < 4:
            added.append(message(step + 1, 50))
            sender.add(added[-1], step)
        giant = random_.choice([0, 1, step, 1 << 32, (1 << 64) - 1, random_.getrandbits(64)])
        ranges = [(random_.getrandbits(64), giant), (0, 1 << 65)] * 32
        sender.reported(giant, random_.choice([0, giant]), random_.getrandbits(32), step, ranges)
        sender.missing(random_.choice([giant, step]), random_.getrandbits(32) >> random_.randrange(32), b"\xff" * 1_500)
        while (taken := sender.take()) is not None:
            assert all(0 <= index < taken[0].count for index in taken[1])
        sender.poll(step)
        sender.handle_timer(step + 0.5)
        assert sender.window <= MAX_WINDOW and sender.backlog <= 4
        assert all(len(owed.resend) <= owed.count for owed in added[-8:])


def test_who_is_asked_soon_after_a_long_silence_is_asked_and_not_given_up() -> None:
    sender = Sender(200_000, lossy=False)
    sender.charge(1_000)
    now = 10 * PATIENCE
    sender.ask_soon(now)
    assert sender.next_timer() == now + HURRY and sender.handle_timer(now) is None
    assert sender.handle_timer(now + HURRY) == sender.position
    assert not sender.stalled(now + HURRY) and sender.limit == sender.window
    sender.reported(sender.position, 2, 200_000, now + 2 * HURRY)
    assert sender.acknowledged == sender.position and sender.next_timer() == NEVER


def test_where_all_that_was_sent_is_known_to_have_arrived_nothing_is_asked() -> None:
    sender = Sender(200_000, lossy=False)
    sender.charge(1_000)
    placed = sender.position
    sender.ask_soon(1.0)
    sender.settle(0, 1.0)
    assert sender.next_timer() == 1.0 + HURRY, "nothing is known"
    sender.settle(placed, 1.0)
    assert sender.acknowledged == placed and sender.next_timer() == NEVER
    sender.charge(1_000)
    sender.ask_soon(2.0)
    sender.settle(placed, 2.0)
    assert sender.acknowledged == placed and sender.next_timer() == 2.0 + HURRY, "more was sent after it"


def test_who_is_owed_a_large_message_or_was_asked_is_asked_on() -> None:
    owing = Sender(200_000, lossy=False)
    owing.add(message(1, 2), 1.0)
    asked = Sender(200_000, lossy=False)
    asked.charge(1_000)
    asked.ask_soon(1.0)
    assert asked.handle_timer(1.0 + HURRY) == asked.position
    for sender in (owing, asked):
        sender.settle(sender.position, 1.0 + HURRY)
        assert sender.acknowledged == 0


def test_who_does_not_answer_when_it_is_asked_soon_is_given_up_in_time() -> None:
    sender = Sender(200_000, lossy=False)
    sender.charge(1_000)
    now = 10 * PATIENCE
    sender.ask_soon(now)
    polls, begun = 0, now
    while sender.next_timer() != NEVER:
        now = sender.next_timer()
        sender.ask_soon(now)  # more is sent meanwhile
        polls += sender.handle_timer(now) is not None
        assert now < begun + 2 * PATIENCE
    assert polls > 3 and sender.stalled(now)
