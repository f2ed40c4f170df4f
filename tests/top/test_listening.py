"""One topic listened to: its newest message and the past of a number, whatever comes."""

from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.testing import MemoryNetwork
from ipcpy.top import listening
from ipcpy.top.listening import Listening


@pytest.fixture
def pair():
    """A publisher, and who listens to it."""
    with MemoryNetwork() as network:
        pub = ipc.Publisher("imu", node=network.node("arm"))
        heard = Listening(network.node("top"), "imu")
        assert pub.wait_for_subscribers(timeout=10)
        yield pub, heard
        heard.close()
        pub.close()


@pytest.fixture
def each_kept(monkeypatch):
    """Have every value kept, however close they come."""
    monkeypatch.setattr(listening, "SPAN", 1e-9)


def until_came(heard, wait_until, newest):
    wait_until(lambda: (heard.look(), heard.newest is not None and heard.newest.data == newest)[1], 10)


def test_every_value_of_the_first_number_is_kept(pair, wait_until, each_kept):
    pub, heard = pair
    assert not heard.look()
    for number in range(20):
        pub.publish({"name": "a", "gz": number})
    until_came(heard, wait_until, {"name": "a", "gz": 19})
    assert heard.field == ("gz",)
    assert [value for _, value in heard.points] == list(range(20))


def test_of_many_values_at_a_time_the_extremes_are_kept(pair, wait_until, monkeypatch):
    pub, heard = pair
    monkeypatch.setattr(listening, "SPAN", 1e6)  # all of them fall into one or, rarely, two
    for value in (5.0, 3.0, 4.0, -7.0, float("nan"), 9.0, 1.0):
        pub.publish(value)
    pub.publish(2.0)
    until_came(heard, wait_until, 2.0)
    values = [value for _, value in heard.points]
    assert (min(values), max(values)) == (-7.0, 9.0)
    assert len(values) <= 4


def test_another_field_begins_with_the_newest_message(pair, wait_until):
    pub, heard = pair
    pub.publish({"gz": 1, "pose": {"x": 5}})
    until_came(heard, wait_until, {"gz": 1, "pose": {"x": 5}})
    heard.plot(("pose", "x"))
    assert [value for _, value in heard.points] == [5]
    heard.plot(("pose", "x"))
    assert len(heard.points) == 1


def test_what_has_no_number_is_no_plot(pair, wait_until):
    pub, heard = pair
    pub.publish("text")
    until_came(heard, wait_until, "text")
    assert heard.field is None
    assert not heard.points


def test_a_field_that_is_not_always_there_has_gaps(pair, wait_until, each_kept):
    pub, heard = pair
    for data in ({"gz": 1}, {"other": 2}, {"gz": "text"}, {"gz": 3}):
        pub.publish(data)
    until_came(heard, wait_until, {"gz": 3})
    assert [value for _, value in heard.points] == [1, 3]


def test_too_many_messages_take_bounded_time_and_the_newest_is_shown(pair, wait_until, each_kept, monkeypatch):
    pub, heard = pair
    monkeypatch.setattr(listening, "BUDGET", 0.0)
    for number in range(100):
        pub.publish(number)
    until_came(heard, wait_until, 99)
    assert heard.skipped + len(heard.points) == 100
    assert heard.points[-1][1] == 99


def test_closed_twice_it_hears_nothing_and_raises_nothing(pair):
    _, heard = pair
    heard.close()
    heard.close()
    assert not heard.look()
