"""Unread messages that are young enough: how old is too old, and what is counted."""

from __future__ import annotations

import threading
from collections import Counter, deque

import pytest

from ipcpy.message import Message
from ipcpy.subscribing.freshness import Fresh

SECOND = 1_000_000_000


def message(number, received_ns, publisher="a"):
    return Message(number, "t", number, 0, received_ns, publisher)


class World:
    """Messages that took ``lags[seq]`` seconds to come, and a clock."""

    def __init__(self, max_age=0.2):
        self.now_ns = 100 * SECOND
        self.lags, self.discarded, self.messages = {}, Counter(), deque()
        lag, clock = (lambda message: self.lags[message.seq]), (lambda: self.now_ns)
        self.fresh = Fresh(self.messages, max_age, lag, threading.RLock(), self.discarded, clock)

    def come(self, number, lag=0.0, publisher="a"):
        self.lags[number] = lag
        self.messages.append(message(number, self.now_ns, publisher))

    def taken(self):
        found = []
        try:
            while True:
                found.append(self.fresh.popleft().seq)
        except IndexError:
            return found


def test_what_was_on_its_way_or_waited_for_too_long_is_discarded_and_counted_by_publisher():
    world = World()
    world.come(1, lag=0.15)
    world.come(2, lag=0.25, publisher="b")
    world.now_ns += SECOND // 10
    world.come(3)
    assert len(world.fresh) == 3
    assert world.taken() == [3], "0.15 s on its way and 0.1 s here are too much"
    assert world.discarded == {"a": 1, "b": 1}
    assert not world.fresh


def test_what_is_exactly_as_old_as_it_may_be_is_handed_out():
    world = World(0.5)
    world.come(1, lag=0.25)
    world.now_ns += SECOND // 4
    assert world.taken() == [1]


def test_a_clock_that_is_set_back_makes_nobody_old_and_nobody_younger_than_when_it_came():
    world = World()
    world.come(1)
    world.come(2, lag=0.3)
    world.now_ns -= 3600 * SECOND
    assert world.taken() == [1]


def test_where_there_is_none_it_says_so_as_a_deque_does():
    with pytest.raises(IndexError):
        World().fresh.popleft()
