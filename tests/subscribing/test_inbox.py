"""The inbox: the newest are kept, by count and by bytes."""

from __future__ import annotations

import random
import threading
import time

import pytest

from ipcpy.message import Message
from ipcpy.subscribing.inbox import DEPTH_BYTES, Inbox


def message(seq, publisher="p", received_ns=0):
    return Message(seq, "t", seq + 1, 0, received_ns, publisher)


def numbers(inbox):
    return [each.data for each in inbox.messages]


def test_the_oldest_gives_way_and_is_counted_by_publisher():
    inbox = Inbox(3)
    for seq in range(5):
        inbox.put(message(seq, "ab"[seq % 2]), 0)
    assert numbers(inbox) == [2, 3, 4]
    assert inbox.dropped == {"a": 1, "b": 1}


def test_large_messages_are_bounded_by_memory():
    inbox = Inbox(1000)
    for seq in range(20):
        inbox.put(message(seq), DEPTH_BYTES // 5)
    assert numbers(inbox) == [16, 17, 18, 19]
    inbox.put(message(20), 2 * DEPTH_BYTES)
    assert numbers(inbox) == [20]  # one is always kept
    inbox.put(message(21), 0)
    inbox.put(message(22), 5_000)
    assert numbers(inbox) == [21, 22]
    assert inbox.dropped == {"p": 21}


def test_a_second_of_images_is_kept_by_default():
    inbox = Inbox(1_000)
    for seq in range(240):  # 8 s of VGA at 30 Hz
        inbox.put(message(seq), 921_600)
    assert 28 <= len(inbox.messages) <= 36 and inbox.messages[-1].data == 239
    assert inbox.dropped["p"] == 240 - len(inbox.messages)


@pytest.mark.parametrize("depth", [1, 10, 1_000])
@pytest.mark.parametrize("depth_bytes", [1, 1_000, 1_000_000])
def test_the_bound_on_bytes_is_never_passed_but_by_the_newest_alone(depth, depth_bytes):
    random_ = random.Random(depth * depth_bytes)
    inbox, put, taken = Inbox(depth, depth_bytes), 0, 0
    sizes, small = [], inbox.small
    for _ in range(3_000):
        for _ in range(random_.choice((0, 0, 1, 5))):
            taken += bool(inbox.messages) and bool(inbox.messages.popleft())
        size = random_.choice((0, 1, small, small + 1, depth_bytes // 3, random_.randrange(2 * depth_bytes)))
        if size <= inbox.small and len(inbox.sizes) < depth:
            inbox.sizes.append(size)
            inbox.messages.append(message(put))  # as Inbound does
        else:
            inbox.put(message(put), size)
        put += 1
        sizes.append(size)
        total = sum(sizes[each.data] for each in inbox.messages)
        assert inbox.unread(0)[:2] == (len(inbox.messages), total)
        assert inbox.messages[-1].data == put - 1 and len(inbox.messages) <= depth
        assert total <= depth_bytes or len(inbox.messages) == 1
        assert put == taken + len(inbox.messages) + inbox.dropped["p"]


def test_what_has_no_number_gives_way_uncounted_for_it_is_not_in_the_books():
    inbox = Inbox(2)
    for seq in (-1, 0, 1, 2):
        inbox.put(message(seq), 0)
    assert (numbers(inbox), inbox.dropped) == ([1, 2], {"p": 1})


@pytest.mark.parametrize(("depth", "there", "size", "fits"), [(2, 1, 9, True), (1, 1, 1, False), (9, 100, 9, False)])
def test_what_fits_makes_nothing_give_way(depth, there, size, fits):
    inbox = Inbox(depth, 100)
    inbox.put(message(0), there)
    assert inbox.fits(size) is fits
    inbox.messages.clear()
    assert inbox.fits(size)


def test_what_was_taken_makes_room():
    inbox = Inbox(10, 1_000)
    for seq in range(100):
        inbox.put(message(seq), 800)
        assert inbox.messages.popleft().data == seq
    assert not inbox.dropped


def test_batches_of_large_messages_are_bounded_too():
    inbox = Inbox(10, 1_000)
    inbox.put_all(list(map(message, range(5))), [300] * 5)
    assert numbers(inbox) == [3, 4] or numbers(inbox) == [2, 3, 4]
    inbox.put_all(list(map(message, range(10, 40))), [1] * 30)
    assert numbers(inbox) == list(range(30, 40))
    assert inbox.dropped["p"] == 25


def test_what_a_batch_needs_beyond_small_ones_is_remembered():
    inbox = Inbox(1_000, 100_000)
    assert inbox.small < 500
    for _ in range(4):
        inbox.put_all(list(map(message, range(100))), [600] * 100)
        assert sum(inbox.sizes) <= 100_000


def test_nothing_is_counted_twice_while_somebody_takes():
    inbox, taken, stop = Inbox(1_000, 100_000), [], threading.Event()

    def take():
        while not stop.is_set() or inbox.messages:
            if inbox.messages:
                try:
                    taken.append(inbox.messages.popleft())
                except IndexError:
                    pass

    reader = threading.Thread(target=take)
    reader.start()
    for seq in range(20_000):
        inbox.put(message(seq), 7_000)
    stop.set()
    reader.join()
    assert len(taken) + inbox.dropped["p"] == 20_000


def test_what_is_unread_is_told():
    inbox = Inbox(10)
    assert inbox.unread(5_000_000_000) == (0, 0, 0.0)
    for seq in range(3):
        inbox.put(message(seq, received_ns=1_000_000_000 * (seq + 1)), 100)
    assert inbox.unread(5_000_000_000) == (3, 300, 4.0)
    assert inbox.unread(0) == (3, 300, 0.0), "a wall clock may be set back"


def test_a_full_inbox_costs_no_more_than_an_empty_one():
    inbox, depth = Inbox(1_000_000, 1_000_000), 100_000
    for seq in range(depth):
        inbox.put(message(seq), 10)
    assert len(inbox.messages) == depth
    started = time.process_time()
    for seq in range(depth, 2 * depth):
        inbox.put(message(seq), 10)
        if seq % 10 == 0:
            inbox.messages.popleft()
    assert time.process_time() - started < 10, "quadratic would be minutes"
    assert len(inbox.messages) <= depth and inbox.messages[-1].data == 2 * depth - 1
