"""Which requests go aside, and which by the topic."""

from __future__ import annotations

import threading

import pytest

from ipcpy.asking.calls import MAX_ASIDE, WARY, Call, Calls
from ipcpy.asking.envelope import CALL, CANCEL, SMALL, STEPS, unseal
from ipcpy.asking.sending import Sending
from ipcpy.errors import ClosedError


class Line(Sending):
    """What sends into lists."""

    def __init__(self, asides=True):
        self.lost, self.calls = "", Calls()
        self._lock, self._sending = threading.RLock(), threading.RLock()
        self.topic, self.beside, self.goes = [], [], True
        self._requests, self._aside = self, self.send if asides else None

    def send(self, data):
        if self.goes:
            self.beside.append(unseal(data))
        return self.goes

    def publish(self, data):
        if self.lost:
            raise ClosedError("closed")
        self.topic.append(unseal(b"".join(data) if isinstance(data, list) else data))


def test_a_small_request_goes_aside():
    line = Line()
    call = line.ask(b"x" * SMALL, 0)
    assert [each.number for each in line.beside] == [call.number]
    assert line.topic == []


@pytest.mark.parametrize(
    ("body", "flags"), [(bytes(SMALL + 1), 0), (b"", STEPS), ([b"a", b"b"], 0), (bytearray(b"a"), 0)]
)
def test_what_is_large_comes_in_steps_or_may_change_goes_by_the_topic(body, flags):
    line = Line()
    call = line.ask(body, flags)
    assert (line.beside, [each.number for each in line.topic]) == ([], [call.number])


def test_all_goes_by_the_topic_to_a_server_that_takes_nothing_else():
    line = Line(asides=False)
    line.ask(b"", 0)
    assert [each.kind for each in line.topic] == [CALL]


def test_what_is_one_too_many_at_a_time_goes_by_the_topic():
    line = Line()
    for _ in range(MAX_ASIDE + 3):
        line.ask(b"", 0)
    assert (len(line.beside), len(line.topic)) == (MAX_ASIDE, 3)


def test_after_one_that_had_to_come_again_some_go_by_the_topic():
    line = Line()
    line.ask(b"", 0)
    line.calls.due(1e9)
    for _ in range(WARY):
        line.ask(b"", 0)
    assert (len(line.beside), len(line.topic)) == (1, WARY)
    line.calls.fail("gone")
    line.ask(b"", 0)
    assert len(line.beside) == 2


def test_what_cannot_go_aside_goes_by_the_topic_at_once():
    line = Line()
    line.goes = False
    call = line.ask(b"go", 0)
    assert [(each.number, each.body) for each in line.topic] == [(call.number, b"go")]
    assert list(line.calls.open) == [call.number]


def test_a_server_that_is_gone_is_not_asked():
    line = Line()
    line.lost = "closed"
    assert line.ask(b"", 0) is None
    assert line.ask(bytes(SMALL + 1), 0) is None
    assert line.calls.open == {}


def test_who_is_interrupted_while_it_asks_gives_the_call_up():
    line = Line()

    def interrupted(_):
        raise KeyboardInterrupt

    line._aside = interrupted
    with pytest.raises(KeyboardInterrupt):
        line.ask(b"", 0)
    assert [each.kind for each in line.topic] == [CANCEL]
    assert line.calls.open == {}


@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError])
@pytest.mark.parametrize("where", ["begin", "publish", "sent"])
def test_a_request_that_an_interrupt_ends_is_cancelled_wherever_that_comes(monkeypatch, where, error):
    line = Line()
    place = {"begin": (Calls, "begin"), "publish": (Line, "publish"), "sent": (Call, "sent")}[where]
    whole = getattr(*place)

    def interrupted(*arguments, **options):
        whole(*arguments, **options)
        monkeypatch.undo()
        raise error

    monkeypatch.setattr(*place, interrupted)
    with pytest.raises(error):
        line.ask(bytes(SMALL + 1), 0)
    assert (line.calls.open, line.topic[-1].kind) == ({}, CANCEL)  # open for ever, it had nothing go aside
