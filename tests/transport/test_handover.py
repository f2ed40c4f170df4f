"""transport.handover: descriptors between processes of one user, by sockets of this host."""

from __future__ import annotations

import os
import socket

import pytest

from handing import another_user, descriptors, ends, readable
from ipcpy.transport import handover
from ipcpy.transport.handover import MAX_DATA, MAX_DESCRIPTORS, HandoverSocket, Listener, connect

pytestmark = pytest.mark.skipif(not hasattr(socket, "SCM_RIGHTS"), reason="descriptors are handed over on Unix")


@pytest.fixture
def name():
    return os.urandom(8).hex()


@pytest.fixture
def pair():
    before = descriptors()
    pair = ends()
    yield pair
    for each in pair:
        each.close()
    assert descriptors() == before, "no descriptor is left, however it went"


@pytest.fixture
def file(tmp_path):
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def test_what_is_sent_to_a_name_arrives_there_with_its_descriptor(name, file):
    listener = Listener(name)
    assert listener.accept() is None
    client = connect(name)
    server = listener.accept()
    assert server.receive() is None and not server.ended
    assert client.send(b"one", [file]) and client.send(b"two")
    data, (received,) = server.receive()
    assert data == b"one" and os.path.sameopenfile(received, file) and not os.get_inheritable(received)
    os.close(received)
    assert server.receive() == (b"two", []) and server.receive() is None and not server.ended
    assert server.send(b"answer") and client.receive() == (b"answer", [])
    for each in (listener, client, server):
        each.close()
        each.close()


def test_a_name_has_one_listener_and_is_free_once_that_is_closed(name):
    first = Listener(name)
    before = descriptors()
    with pytest.raises(OSError):
        Listener(name)
    assert descriptors() == before
    first.close()
    Listener(name).close()
    assert connect(name) is None


def test_nobody_waits_where_nobody_listens_or_too_many_wait_to_be_taken(name, monkeypatch):
    assert connect(name) is None
    monkeypatch.setattr(handover, "BACKLOG", 2)
    listener, connected = Listener(name), []
    before = descriptors()
    with pytest.raises(BlockingIOError):
        for _ in range(10):
            connected.append(connect(name))
    assert 2 <= len(connected) < 10 and None not in connected
    assert descriptors()["socket"] == before["socket"] + len(connected)
    listener.accept().close()
    connected.append(connect(name))
    for each in [listener, *connected]:
        each.close()


def test_the_end_of_the_other_side_is_told_after_all_that_it_sent(pair):
    here, there = pair
    there.send(b"last")
    there.close()
    assert here.receive() == (b"last", []) and not here.ended
    assert here.receive() is None and here.ended
    assert not here.send(b"too late")


def test_one_that_was_closed_has_no_descriptor_to_wait_on(pair):
    here, there = pair
    assert readable(here) is False
    there.send(b"x")
    assert readable(here)
    here.close()
    assert here.fileno() == -1 and not here.same_user() and not here.send(b"x")
    assert here.receive() is None and here.ended


def test_an_empty_message_is_taken_for_the_end_and_its_descriptors_are_closed(pair, file):
    here, there = pair
    there.send(b"", [file, file])
    assert here.receive() is None and here.ended


@pytest.mark.parametrize("count", [MAX_DESCRIPTORS, MAX_DESCRIPTORS + 1, 100])
def test_more_descriptors_than_are_wanted_do_not_stay(pair, file, count):
    here, there = pair
    there.send(b"many", [file] * count)
    data, received = here.receive()
    assert data == b"many" and len(received) <= MAX_DESCRIPTORS
    handover.close_all(received)


def test_of_a_message_that_is_too_long_the_beginning_is_read(pair):
    here, there = pair
    there.send(b"x" * 10_000)
    there.send(b"next")
    assert here.receive() == (b"x" * MAX_DATA, [])
    assert here.receive() == (b"next", [])


def test_a_message_that_the_system_does_not_take_is_not_waited_for(pair):
    here, there = pair
    sent = 0
    while here.send(b"x" * 200):
        sent += 1
        assert sent < 100_000
    assert sent and there.receive() == (b"x" * 200, [])


def test_a_descriptor_that_is_none_is_not_sent(pair):
    here, there = pair
    assert not here.send(b"x", [1_000_000])
    assert there.receive() is None and not there.ended


def test_this_user_is_known_and_another_is_told_apart(pair, name):
    assert pair[0].same_user() and pair[1].same_user()
    listener = Listener(name)

    def knock():
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(f"\0ipcpy/{name}")
        assert sock.recv(1) == b""

    with another_user(knock):
        assert readable(listener, 10)
        server = listener.accept()
        assert not server.same_user()
        server.close()
        listener.close()


def test_nobody_connects_to_a_listener_of_another_user(name):
    listener = Listener(name)

    def knock():
        assert connect(name) is None

    with another_user(knock):
        assert readable(listener, 10), "it was refused for who listens, not for want of one"
    listener.close()


class Alarmed:
    """Stands for a socket in whose calls a signal handler raises."""

    fileno = None

    def raise_it(self, *_):
        raise TimeoutError("the program's own")

    sendmsg = recvmsg = raise_it


def test_what_a_signal_handler_raises_reaches_the_program():
    sock = HandoverSocket(Alarmed())
    with pytest.raises(TimeoutError, match="the program's own"):
        sock.send(b"x")
    with pytest.raises(TimeoutError, match="the program's own"):
        sock.receive()
    assert not sock.ended
