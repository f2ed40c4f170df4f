"""sealing.sockets: what leaves a node that has a key is sealed, and what comes in was opened."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import pytest

from ipcpy import fast
from ipcpy.sealing.datagram import OVERHEAD
from ipcpy.sealing.seal import Seal
from ipcpy.sealing.sockets import sealed
from ipcpy.testing.sockets import sockets_in
from ipcpy.testing.weather import Weather
from ipcpy.transport.kernel import LINUX, RECEIVE_SIZE
from ipcpy.transport.sockets import Sockets
from sealing import keyring, two_lives

HOST = "127.0.0.1"
GROUP = ("239.255.77.88", 21_077)
LO = socket.if_nametoindex("lo") if LINUX else 1


class Ends:
    """The sockets of two nodes that believe each other: ``one`` publishes, ``other`` subscribes."""

    def __init__(self, plain: Sockets) -> None:
        self.one, self.other = two_lives()
        self.stack = ExitStack()
        self.publishing, self.subscribing = sealed(plain, self.one), sealed(plain, self.other)
        self.data = self.stack.enter_context(closing(self.subscribing.data(HOST)))
        self.connected = self.connect(self.data.port)

    def connect(self, port: int) -> Any:
        return self.stack.enter_context(closing(self.publishing.connected((HOST, port), 65_000)))


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends(Sockets())
    with made.stack:
        yield made


@pytest.fixture
def wire() -> Iterator[Any]:
    """A plain socket, which sees what travels."""
    with closing(Sockets().data(HOST)) as sock:
        yield sock


def come(sock: Any, wait_until: Callable[..., object]) -> tuple[bytes, Any]:
    """Return the next datagram that comes, and is not refused."""
    found: list[tuple[bytes, Any]] = []
    wait_until(lambda: (received := sock.poll()) is not None and (found.append(received) or bool(received[0])))
    return found[-1]


def test_what_is_sent_comes_as_it_was_and_nothing_of_it_can_be_read_on_the_way(ends, wire, wait_until):
    ends.connected.send(b"secret" * 20)
    assert come(ends.data, wait_until)[0] == b"secret" * 20
    ends.connect(wire.port).send(b"secret" * 20)
    data, _ = come(wire, wait_until)
    assert len(data) == 6 * 20 + OVERHEAD and b"secret" not in data


def test_an_answer_comes_back_sealed(ends, wire, wait_until):
    ends.connected.send(b"question")
    _, address = come(ends.data, wait_until)
    assert address == (HOST, ends.connected.port)
    ends.data.sendto(b"answer", address)
    wait_until(lambda: ends.connected.poll() == b"answer")
    ends.data.sendto(b"answer", (HOST, wire.port))
    assert b"answer" not in come(wire, wait_until)[0]


def test_the_same_bytes_are_never_sealed_to_the_same_ones(ends, wire, wait_until):
    sender = ends.connect(wire.port)
    seen = set()
    for _ in range(50):
        sender.send(b"again")
        seen.add(come(wire, wait_until)[0])
    assert len(seen) == 50


@pytest.mark.parametrize(
    ("size", "count", "last"), [(1_400, 60, 7), (1_400, 1, 1_400), (9_000, 20, 9_000), (1, 500, 1)]
)
def test_a_run_of_datagrams_comes_whole(ends, wait_until, size, count, last):
    sizes = [size] * (count - 1) + [last]
    datagrams = [os.urandom(each) for each in sizes]
    ends.connected.send_many([(each[:1], memoryview(each)[1:]) for each in datagrams], size)
    found = bytearray()
    wait_until(
        lambda: found.extend(b"".join(data for data, _ in ends.data.poll_all(1_000))) or len(found) >= sum(sizes)
    )
    assert bytes(found) == b"".join(datagrams)
    assert not ends.other.refused


def test_datagrams_are_as_much_smaller_as_sealing_makes_them_larger(ends, wait_until):
    plain = Sockets().connected((HOST, ends.data.port), 65_000)
    assert ends.connected.datagram == plain.datagram - OVERHEAD and ends.connected.overhead == OVERHEAD
    assert plain.overhead == 0
    plain.close()
    ends.connected.send(bytes(ends.connected.datagram))
    assert come(ends.data, wait_until)[0] == bytes(ends.connected.datagram)


def test_what_is_too_large_is_refused_as_by_the_system(ends):
    with pytest.raises(OSError) as refusal:
        ends.connected.send(bytes(65_507 - OVERHEAD + 1))
    assert refusal.value.errno == errno.EMSGSIZE
    ends.data.sendto(bytes(65_507), (HOST, ends.connected.port))  # lost, as any answer may be


@pytest.mark.parametrize("garbage", [b"x", bytes(40), bytes(3_000), b"\x20\x00\x01\x20\x00\x01" + bytes(90)])
def test_what_is_refused_comes_as_nothing_so_that_nobody_waits_longer_for_it(ends, wire, garbage):
    wire.sendto(garbage, (HOST, ends.data.port))
    assert ends.data.recvfrom(RECEIVE_SIZE) == (b"", (HOST, wire.port))
    assert ends.other.refused.total() == 1
    ends.data.wake()
    assert ends.data.recvfrom(RECEIVE_SIZE)[0] == b"" and ends.other.refused.total() == 1, "a call to wake is none"


def test_a_wait_ends_when_its_time_is_up(ends):
    ends.data.set_timeout(0.01)
    with pytest.raises(BlockingIOError):
        ends.data.recvfrom(RECEIVE_SIZE)
    assert ends.data.timeout == 0.01 and ends.data.poll() is None and ends.data.poll_all(5) == []


def test_a_datagram_for_one_subscriber_is_none_for_another(ends, wire, wait_until):
    with closing(ends.subscribing.data(HOST)) as another:
        ends.connect(wire.port).send(b"for the wire")
        data, _ = come(wire, wait_until)
        wire.sendto(data, (HOST, another.port))
        assert another.recvfrom(RECEIVE_SIZE)[0] == b"" and ends.other.refused["misdirected"] == 1


def test_what_comes_twice_is_taken_once(ends, wire, wait_until):
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as on_path:
        on_path.bind((HOST, 0))
        port = ends.data.port
        sealer = ends.one.sealer(port)
        for data in (sealer.seal(b"first"), sealer.seal(b"second")):
            for _ in range(3):
                on_path.sendto(data, (HOST, port))
        came = [ends.data.recvfrom(RECEIVE_SIZE)[0] for _ in range(6)]
    assert [data for data in came if data] == [b"first", b"second"] and ends.other.refused["replayed"] == 4


def test_a_multicast_is_sealed_once_and_taken_once_by_each(ends, wait_until):
    with ExitStack() as stack:
        fanout = stack.enter_context(closing(ends.publishing.fanout(GROUP, LO, HOST)))
        groups = [stack.enter_context(closing(ends.subscribing.group(*GROUP))) for _ in range(3)]
        assert all(each.join([LO]) == {LO} for each in groups)
        fanout.send(b"to all")
        fanout.try_send(b"to all too")
        for each in groups:
            assert [come(each, wait_until)[0] for _ in range(2)] == [b"to all", b"to all too"]
        assert not ends.other.refused
        fanout.try_send(b"to one", (HOST, ends.data.port))
        data, address = come(ends.data, wait_until)
        assert (data, address) == (b"to one", (HOST, fanout.port))
        ends.data.sendto(b"answer", address)
        assert come(fanout, wait_until)[0] == b"answer"


@pytest.mark.skipif(fast.compiled is None, reason="the compiled part is not there")
def test_a_multicast_is_sealed_and_sent_without_python(ends, wait_until):
    with (
        closing(ends.publishing.fanout(GROUP, LO, HOST)) as fanout,
        closing(ends.subscribing.group(*GROUP)) as group,
    ):
        assert group.join([LO]) == {LO}
        way = fanout.send, None
        assert fast.compiled.send((way,), b"by C") == ()
        fanout.send(b"by Python")
        assert [come(group, wait_until)[0] for _ in range(2)] == [b"by C", b"by Python"]
        assert not ends.other.refused
    assert fast.compiled.send((way,), b"closed") == (way,)


def test_a_socket_that_is_made_to_look_for_a_way_takes_no_stream(ends):
    streams = []
    take = ends.one.streams.take
    ends.one.streams.take = lambda: streams.append(take()) or streams[-1]
    for _ in range(10):
        ends.publishing.connected((HOST, ends.data.port), 1_472).close()
    assert not streams
    for _ in range(10):  # and the stream of one that sent is given back
        with closing(ends.publishing.connected((HOST, ends.data.port), 1_472)) as sock:
            sock.send(b"x")
    assert len({id(stream) for stream in streams}) == 1


@pytest.mark.skipif(fast.compiled is None, reason="the compiled part is not there")
def test_heads_and_data_are_sealed_in_one_step_and_opened_where_they_belong(ends):
    assert ends.connected.lays and ends.data.in_place
    ends.connected.send(b"first")
    assert ends.data.recvfrom(RECEIVE_SIZE)[0] == b"first"
    body = bytes(range(250)) * 20
    assert ends.connected.send_laid(b"12345", memoryview(body), 1_000)
    found = b""
    while len(found) < len(body) + 5:
        heads, parts, rest = bytearray(5), bytearray(5_000), bytearray(RECEIVE_SIZE)
        views = [memoryview(heads)[at : at + 1] for at in range(5)]
        places = [memoryview(parts)[at : at + 1_000] for at in range(0, 5_000, 1_000)]
        buffers = [each for pair in zip(views, places, strict=True) for each in pair]
        size, address = ends.data.receive_into([*buffers, rest])
        assert address[0] == HOST
        found += b"".join(map(bytes, [*buffers, rest]))[:size]
    assert found == b"".join(b"%d" % (n + 1) + body[n * 1_000 : (n + 1) * 1_000] for n in range(5))
    ends.one.end()
    assert not ends.connected.send_laid(b"1", memoryview(b"x"), 1)


def test_a_closed_one_is_refused_as_by_the_system(ends):
    send, send_many = ends.connected.send, ends.connected.send_many
    send(b"x")
    for sock in (ends.connected, ends.data):
        sock.close()
        sock.close()
        assert sock.fileno() == -1
    for call in (send, ends.connected.send, partial(send_many, segment=4)):
        with pytest.raises(OSError):
            call([(b"data",)] if isinstance(call, partial) else b"data")
    ends.data.sendto(b"x", (HOST, 9))


def test_each_has_what_the_plain_one_has(ends):
    plain, made = Sockets(), ends.publishing
    arguments = {"data": (HOST,), "connected": ((HOST, 9), 1_472), "fanout": (GROUP, LO, HOST), "group": GROUP}
    for kind, given in arguments.items():
        with closing(getattr(plain, kind)(*given)) as one, closing(getattr(made, kind)(*given)) as other:
            assert isinstance(other, type(one))
            assert {name for name in dir(one) if not name.startswith("_") and not hasattr(other, name)} == set()


def test_what_the_plain_ones_can_beside_sending_the_others_can(ends):
    data, connected = ends.data, ends.connected
    assert data.capacity > 4_096 and data.drops() == 0
    assert (connected.address, connected.source, connected.closed) == ((HOST, data.port), HOST, False)
    with closing(ends.subscribing.group(*GROUP)) as group:
        assert group.join([LO]) == group.rejoin([LO]) == {LO} and group.join([]) == set()
        assert group.poll() is None and group.drops() == 0


def test_only_the_kinds_of_the_data_path_and_the_link_are_others(ends):
    plain = sockets_in(Weather(0, 0, 0, 0, 0))
    made = sealed(plain, Seal(keyring()))
    assert (made.mdns, made.memory) == (plain.mdns, plain.memory) == (False, False)


def test_sockets_on_a_bad_network_are_sealed_too(wait_until):
    weather = Weather(0.0, 1.0, 0.0, 0.0, 1)  # all comes twice
    bad = Ends(sockets_in(weather))
    with bad.stack:
        assert bad.connected.lossy and bad.connected.intact
        bad.connected.send(b"one")
        bad.connected.send_many([(b"tw", b"o"), (b"three",)], 5)
        found = []
        wait_until(lambda: found.extend(data for data, _ in bad.data.poll_all(9)) or len(found) >= 6)
        assert sorted(data for data in found if data) == [b"one", b"three", b"two"]
        assert bad.other.refused == {"replayed": 3}
    weather.close()
