"""Names of static peers: looked up until they are known, again when the network changes, and never waited for."""

from __future__ import annotations

import threading

import pytest

from ipcpy.node import names
from ipcpy.node.names import Names


class Made:
    """Names with a resolver that answers what a test says; calls come in the thread of the name."""

    def __init__(self, monkeypatch):
        self.answers, self.asked = [], threading.Semaphore(0)
        self.told = []
        monkeypatch.setattr(names, "resolve", self.resolve)
        self.names = Names(self, lambda *told: self.told.append(told))

    def resolve(self, host):
        answers = self.answers  # before a test is told, which then has others
        self.asked.release()
        return answers

    def call(self, function, *arguments):
        function(*arguments)

    def was_asked(self):
        return self.asked.acquire(timeout=20)


@pytest.fixture
def made(monkeypatch):
    made = Made(monkeypatch)
    yield made
    made.names.close()


def test_an_address_is_told_at_once_and_never_looked_up(made):
    made.names.add("10.0.0.7", 18_000)
    made.names.again()
    assert made.told == [(18_000, ["10.0.0.7"], [])]
    assert not made.asked.acquire(blocking=False)


def test_a_name_is_told_when_it_is_known_and_when_it_moves(made, wait_until):
    made.names.add("robot.local", None)
    assert made.was_asked() and made.told == []
    made.answers = ["10.0.0.2", "10.0.0.1", "10.0.0.1"]
    made.names.again()
    wait_until(lambda: made.told)
    assert made.told == [(None, ["10.0.0.1", "10.0.0.2"], [])]
    made.answers = ["10.0.0.3"]
    made.names.again()
    wait_until(lambda: len(made.told) == 2)
    assert made.told[1] == (None, ["10.0.0.3"], ["10.0.0.1", "10.0.0.2"])


def test_the_same_addresses_are_not_told_twice_and_a_name_that_vanishes_keeps_them(made, wait_until):
    made.answers = ["10.0.0.1"]
    made.names.add("robot.local", 18_000)
    wait_until(lambda: made.told)
    assert made.was_asked()
    for answers in (["10.0.0.1"], [], ["10.0.0.1"], ["10.0.0.2"]):
        made.answers = answers
        made.names.again()
        assert made.was_asked()
    wait_until(lambda: len(made.told) == 2)
    assert made.told[1] == (18_000, ["10.0.0.2"], ["10.0.0.1"])


def test_a_name_is_looked_up_again_by_itself_until_it_is_known(made, monkeypatch, wait_until):
    monkeypatch.setattr(names, "RESOLVE_AGAIN", 0.01)
    made.names.add("robot.local", None)
    assert all(made.was_asked() for _ in range(3))
    made.answers = ["10.0.0.1"]
    wait_until(lambda: made.told)


def test_closing_ends_the_threads_and_tells_nothing_more(made):
    made.names.add("closing.local", None)
    assert made.was_asked()
    (thread,) = [each for each in threading.enumerate() if each.name == "ipcpy closing.local"]
    made.answers = ["10.0.0.1"]
    made.names.close()
    thread.join(20)
    assert not thread.is_alive() and made.told == []


def test_a_name_that_does_not_resolve_is_warned_of_once_and_looked_up_on(made, monkeypatch, caplog, wait_until):
    monkeypatch.setattr(names, "RESOLVE_AGAIN", 0.01)
    made.names.add("a..b", None)
    assert all(made.was_asked() for _ in range(3))
    made.answers = ["10.0.0.1"]
    wait_until(lambda: made.told)
    made.answers = []
    made.names.again()
    assert made.was_asked() and made.was_asked()
    assert [record.getMessage() for record in caplog.records if record.name == names.__name__] == [
        "the peer 'a..b' cannot be resolved to an IPv4 address; it is tried again every 0.01 s"
    ]


def test_what_is_no_address_of_a_host_is_not_knocked_at(made):
    made.answers = ["224.0.0.1", "255.255.255.255", "0.0.0.0"]
    made.names.add("odd.local", None)
    assert made.was_asked()
    made.names.again()
    assert made.was_asked() and made.told == []
