"""The weather: seeded dice, copies, what comes later and what never comes. No socket."""

from __future__ import annotations

import threading
import time

import pytest

from ipcpy.testing.weather import HELD, Weather


@pytest.fixture
def weathers():
    """Make weathers that are closed at the end."""
    made = []

    def make(loss=0.0, duplicate=0.0, reorder=0.0, delay=0.0, seed=1):
        made.append(Weather(loss, duplicate, reorder, delay, seed))
        return made[-1]

    yield make
    for weather in made:
        weather.close()


def test_the_dice_are_seeded(weathers):
    def fates(seed):
        weather, out = weathers(loss=0.3, duplicate=0.2, seed=seed), []
        for number in range(100):
            weather.pass_on(out.append, b"%d" % number)
        return out

    assert fates(1) == fates(1) != fates(2)


def test_in_fair_weather_all_is_sent_at_once_in_this_thread(weathers):
    weather, threads = weathers(), []
    for number in range(10):
        weather.pass_on(lambda data: threads.append((data, threading.get_ident())), b"%d" % number)
    assert threads == [(b"%d" % number, threading.get_ident()) for number in range(10)]
    assert weather.counts["sent"] == 10 and sum(weather.counts.values()) == 10


def test_the_shares_are_those_asked_for_and_counted(weathers):
    weather, out = weathers(loss=0.3, duplicate=0.2), []
    for _ in range(10_000):
        weather.pass_on(out.append, b"x")
    assert 2_700 < weather.counts["lost"] < 3_300
    assert 1_200 < weather.counts["duplicated"] < 1_600  # of the 7,000 that are not lost
    assert len(out) == 10_000 - weather.counts["lost"] + weather.counts["duplicated"]


def test_what_is_held_back_is_overtaken(weathers, wait_until, monkeypatch):
    monkeypatch.setattr("ipcpy.testing.weather.HELD", 2.0)  # more than a busy machine takes between two lines
    weather, out = weathers(reorder=1.0), []
    weather.pass_on(out.append, b"first")
    weather.reorder = 0.0
    weather.pass_on(out.append, b"second")
    wait_until(lambda: len(out) == 2)
    assert out == [b"second", b"first"] and weather.counts["reordered"] == 1


def test_a_delay_keeps_the_order_and_is_no_shorter_than_asked_for(weathers, wait_until):
    weather, out = weathers(delay=0.02), []
    started = time.monotonic()
    for number in range(5):
        weather.pass_on(lambda data: out.append((data, time.monotonic())), b"%d" % number)
    wait_until(lambda: len(out) == 5)
    assert [data for data, _ in out] == [b"0", b"1", b"2", b"3", b"4"]
    assert all(when - started >= 0.02 for _, when in out) and HELD > 0


def test_an_error_of_a_send_at_once_is_the_callers_and_of_a_late_one_nobodys(weathers, wait_until):
    def refuse(data):
        refused.append(data)
        raise OSError("nobody listens")

    refused, out = [], []
    with pytest.raises(OSError, match="nobody listens"):
        weathers().pass_on(refuse, b"now")
    late = weathers(delay=0.001)
    late.pass_on(refuse, b"late")
    late.pass_on(out.append, b"after")
    wait_until(lambda: out)
    assert refused == [b"now", b"late"]


def test_what_is_on_its_way_at_the_end_is_lost_and_the_thread_ends():
    weather, out = Weather(0.0, 0.0, 0.0, 30.0, 1), []
    weather.pass_on(out.append, b"x")
    weather.close()
    weather.close()
    assert out == [] and not weather._thread.is_alive()
