"""How a thread waits in the socket: prepared once for a timeout, polling before sleeping, undone by one reset."""

from __future__ import annotations

import time

import pytest

from ipcpy.subscribing.wait import UNPREPARED, Wait
from ipcpy.transport.data import DataSocket
from ipcpy.transport.kernel import RECEIVE_SIZE


class Gathering:
    """Expects a large message until something else comes."""

    def __init__(self, expects=False):
        self.expects = expects

    def receive_first(self):
        self.expects = False
        return b"first", ("", 0)


@pytest.fixture
def socket():
    socket = DataSocket("127.0.0.1")
    yield socket
    socket.close()


def wait_for(socket, *, spin=0.0, expects=False):
    return Wait(socket, Gathering(expects), spin)


def send(socket, body=b"x"):
    socket.sendto(body, ("127.0.0.1", socket.port))


def test_the_kernel_keeps_the_time(socket):
    way = wait_for(socket)
    way.prepare(0.02)
    assert socket.timeout == 0.02
    started = time.monotonic()
    with pytest.raises(BlockingIOError):
        way.receive(RECEIVE_SIZE)
    assert time.monotonic() - started >= 0.019
    send(socket)
    assert way.receive(RECEIVE_SIZE)[0] == b"x"


def test_who_spins_sleeps_only_for_what_is_left(socket):
    way = wait_for(socket, spin=0.03)
    way.prepare(0.05)
    assert socket.timeout == pytest.approx(0.02)
    way.prepare(0.01)
    assert socket.timeout == 0.0 and way.part(0.01) == (0.01, 0.0)
    assert way.part(None) == (0.03, None)


def test_who_spins_takes_what_comes_without_sleeping(socket):
    way = wait_for(socket, spin=10.0)
    way.prepare(None)
    send(socket)
    assert way.receive(RECEIVE_SIZE)[0] == b"x"


def test_a_large_message_that_may_come_next_is_received_by_who_knows_its_place(socket):
    way = wait_for(socket, expects=True)
    way.prepare(None)
    assert way.receive(RECEIVE_SIZE)[0] == b"first"
    send(socket)
    assert way.receive(RECEIVE_SIZE)[0] == b"x", "something else came: the next is received without ado"


def test_a_reset_during_preparation_holds(socket):
    way = wait_for(socket)
    way.timeout = 0.5  # as its user does first
    way.reset()
    way.prepare(0.5)
    assert way.timeout == UNPREPARED


def test_what_is_closed_holds_no_method_of_its_own(socket):
    way = wait_for(socket, spin=1.0)
    way.prepare(None)
    way.close()
    assert way.receive == socket.recvfrom and way.timeout == UNPREPARED
