"""The sockets of a bad network: every way out passes through the weather. Each is real, on loopback."""

from __future__ import annotations

import socket

import pytest

from ipcpy.addresses import LOOPBACK
from ipcpy.testing.sockets import sockets_in
from ipcpy.testing.weather import Weather
from ipcpy.transport.interfaces import list_interfaces

GROUP = ("239.255.77.99", 0)


@pytest.fixture
def sink():
    """A plain socket that listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind((LOOPBACK, 0))
        sink.settimeout(10)
        yield sink


@pytest.fixture
def weather():
    weather = Weather(0.0, 0.0, 0.0, 0.0, 1)
    yield weather
    weather.close()


def connected(sockets, address):
    made = sockets.connected(address, 1_400)
    return made, made.send


def data(sockets, address):
    made = sockets.data(LOOPBACK)
    return made, lambda body: made.sendto(body, address)


def link(sockets, address):
    made = sockets.link(LOOPBACK, ())
    return made, lambda body: made.sendto(body, address)


def fanout(sockets, address):
    index = next(each.index for each in list_interfaces() if each.loopback)
    made = sockets.fanout(GROUP, index, LOOPBACK)
    return made, lambda body: made.try_send(body, address)


KINDS = pytest.mark.parametrize("kind", [connected, data, link, fanout])


@KINDS
def test_in_fair_weather_what_is_sent_arrives(sink, weather, kind):
    made, send = kind(sockets_in(weather), sink.getsockname())
    send(b"hello")
    assert sink.recv(100) == b"hello" and weather.counts["sent"] == 1
    made.close()


@KINDS
def test_what_is_lost_is_not_sent_and_nobody_is_told(sink, weather, kind):
    made, send = kind(sockets_in(weather), sink.getsockname())
    weather.loss = 1.0
    assert send(b"lost") is not False
    weather.loss = 0.0
    send(b"hello")
    assert sink.recv(100) == b"hello" and weather.counts["lost"] == 1
    made.close()


@KINDS
def test_what_is_doubled_comes_twice(sink, weather, kind):
    made, send = kind(sockets_in(weather), sink.getsockname())
    weather.duplicate = 1.0
    send(b"hello")
    assert [sink.recv(100), sink.recv(100)] == [b"hello", b"hello"]
    made.close()


def test_of_many_fragments_each_has_a_fate_of_its_own(sink, weather):
    made = sockets_in(weather).connected(sink.getsockname(), 1_400)
    made.send_many([[b"a", memoryview(b"b")], [b"c"]], 1_400)
    assert [sink.recv(100), sink.recv(100)] == [b"ab", b"c"]
    assert weather.counts["sent"] == 2 and made.lossy
    made.close()


def test_a_large_message_is_not_sent_from_a_buffer_that_the_caller_may_change_meanwhile(sink, weather):
    made = sockets_in(weather).connected(sink.getsockname(), 1_400)
    weather.delay = 0.01
    buffer = bytearray(b"before")
    made.send(buffer)
    buffer[:] = b"after!"
    assert sink.recv(100) == b"before"
    made.close()


def test_a_greeting_by_multicast_passes_too(weather):
    made = sockets_in(weather).link(LOOPBACK, ())
    weather.loss = 1.0
    assert made.multicast(b"hello", 1, LOOPBACK)
    assert weather.counts["lost"] == 1
    made.close()


def test_they_say_nothing_by_mdns(weather):
    assert not sockets_in(weather).mdns
