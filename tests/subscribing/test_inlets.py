"""A subscriber's sockets as one: waiting for any, and the order in which they are emptied. Real sockets on loopback."""

from __future__ import annotations

import itertools
import select
import time

import pytest

from ipcpy.subscribing.inlets import DRAIN, DRAIN_BYTES, ROUNDS, Inlets
from ipcpy.transport.data import DataSocket
from ipcpy.transport.group import FanoutSocket

LO = 1  # the index of loopback
GROUPS = itertools.count(1)


@pytest.fixture
def inlets():
    inlets = Inlets(DataSocket("127.0.0.1"))
    yield inlets
    inlets.close()


@pytest.fixture
def group():
    return f"239.255.200.{next(GROUPS)}", 25_000 + next(GROUPS)


def send(socket, *bodies):
    for body in bodies:
        socket.unicast.sendto(body, ("127.0.0.1", socket.unicast.port))


@pytest.fixture
def to_group(group):
    socket = FanoutSocket(group, LO, "127.0.0.1")
    yield socket.send
    socket.close()


def everything(inlets):
    found = []
    inlets.empty(found.extend, lambda emptied: False, lambda data: False)
    return [data for data, _ in found]


def test_waiting_ends_with_those_that_can_be_read(inlets, group, to_group):
    joined = inlets.join(group, [LO])
    assert inlets.wait(0.0) == []
    to_group(b"multicast")
    assert inlets.wait(20) == [joined]
    send(inlets, b"unicast")
    assert set(inlets.wait(20)) == {joined, inlets.unicast}


def test_waiting_ends_in_time_whether_it_polls_or_sleeps(inlets):
    for timeout, spin in ((0.03, 0.0), (0.0, 0.03), (0.02, 0.01)):
        started = time.monotonic()
        assert inlets.wait(timeout, spin) == []
        assert time.monotonic() - started >= 0.029


def test_who_polls_sees_what_comes(inlets):
    send(inlets, b"x")
    assert inlets.wait(None, 10.0) == [inlets.unicast]


def test_where_there_is_no_poll_select_serves(inlets, monkeypatch):
    monkeypatch.delattr(select, "poll")
    assert inlets.wait(0.0) == []
    send(inlets, b"x")
    assert inlets.wait(20) == [inlets.unicast]


def test_what_came_by_unicast_is_taken_before_what_came_by_multicast_later(inlets, group, to_group):
    inlets.join(group, [LO])
    send(inlets, b"1", b"2")
    to_group(b"3")
    inlets.wait(20)
    assert everything(inlets) == [b"1", b"2", b"3"]


def test_what_is_due_is_taken_first_whichever_way_it_came(inlets, group, to_group):
    joined = inlets.join(group, [LO])
    to_group(b"1")
    to_group(b"2")
    send(inlets, b"3", b"4")
    to_group(b"5")
    inlets.wait(20)
    found = []

    def is_due(data):
        return int(data) == len(found) + 1

    inlets.empty(found.extend, lambda emptied: False, is_due, (joined, joined.poll()))
    assert [data for data, _ in found] == [b"1", b"2", b"3", b"4", b"5"]


def test_what_was_read_already_is_taken_as_the_first_of_its_socket(inlets):
    send(inlets, b"1", b"2")
    inlets.wait(20)
    found = []
    inlets.empty(found.extend, lambda emptied: False, lambda data: False, (inlets.unicast, inlets.unicast.poll()))
    assert [data for data, _ in found] == [b"1", b"2"]


def test_a_group_that_had_more_than_a_portion_was_not_emptied(inlets, group, to_group):
    inlets.join(group, [LO])
    found, said = [], []
    for _ in range(DRAIN):
        to_group(b"x")
    inlets.empty(found.extend, lambda emptied: said.append(emptied) or not emptied, lambda data: False)
    assert len(found) == DRAIN and said == [False, True]
    inlets.empty(found.extend, lambda emptied: said.append(emptied) or True, lambda data: False)
    assert said[2:] == [True] * ROUNDS


def test_with_one_socket_a_portion_is_bounded_in_bytes(inlets):
    large = bytes(DRAIN_BYTES // 2)
    send(inlets, large, large, b"rest")
    assert [len(data) for data, _ in inlets.drain_unicast()] == [len(large)] * 2
    assert everything(inlets) == [b"rest"]


def test_a_group_is_joined_once_and_left_for_good(inlets, group, to_group):
    joined = inlets.join(group, [LO])
    assert inlets.join(group, [LO]) is None and list(inlets) == [inlets.unicast, joined]
    assert inlets.leave(group) is joined and inlets.leave(group) is None
    inlets.close_left()
    assert joined.fileno() == -1
    to_group(b"unheard")
    send(inlets, b"heard")
    assert inlets.wait(20) == [inlets.unicast] and everything(inlets) == [b"heard"]


def test_a_group_that_cannot_be_had_leaves_everything_to_unicast(group):
    def refuse(*_):
        raise OSError("no socket")

    inlets = Inlets(DataSocket("127.0.0.1"), refuse)
    assert inlets.join(group, [LO]) is None and list(inlets) == [inlets.unicast]
    inlets.close()
