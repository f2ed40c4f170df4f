"""A signal handler that publishes or receives comes in before every line of a call that does so too, one after another.

tests/system/test_interrupts.py does it with real signals, which come at a few of these places only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ipcpy as ipc

PACKAGE = str(Path(ipc.__file__).parent)
MOST = 2_000  # lines of one call
SIZES = {"small": 64, "batched": 20_000, "fragments": 200_000}


@pytest.fixture
def pair(request, monkeypatch):
    monkeypatch.setenv("IPCPY_SHM", "0")  # large messages go in datagrams
    with ipc.Node("test") as node:
        publisher = ipc.Publisher("t", ipc.Raw(), node=node, reliable=request.param)
        subscriber = ipc.Subscriber("t", ipc.Raw(), node=node, depth=100)
        publisher.wait_for_subscribers(timeout=20)
        yield publisher, subscriber


def interrupted(call: Callable[[], object], at: int, handler: Callable[[], object]) -> tuple[object, bool]:
    """Call something, and a handler before one line of it that is ours; return what it returned, and whether so."""
    count, interrupts = 0, False

    def lines(frame, event, arg):
        nonlocal count, interrupts
        if event == "line":
            count += 1
            if count == at:
                interrupts = True
                sys.settrace(None)
                handler()
        return None if interrupts else lines

    def calls(frame, event, arg):
        return lines if not interrupts and frame.f_code.co_filename.startswith(PACKAGE) else None

    before = sys.gettrace()
    sys.settrace(calls)
    try:
        return call(), interrupts
    finally:
        sys.settrace(before)


def received(subscriber, timeout: float) -> list[bytes]:
    """Receive a message, if one comes."""
    try:
        return [bytes(subscriber.recv(timeout).data)]
    except ipc.RecvTimeout:
        return []


def body(number: int, size: int) -> bytes:
    """Return the message of a number."""
    return number.to_bytes(4, "little") * (size // 4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pair", [False, True], ids=["best effort", "reliable"], indirect=True)
def test_a_handler_publishes_while_something_is_published(pair, size):
    publisher, subscriber = pair
    for at in range(1, MOST):
        own, handlers = body(2 * at, SIZES[size]), body(2 * at + 1, SIZES[size])
        _, interrupts = interrupted(lambda own=own: publisher.publish(own), at, lambda b=handlers: publisher.publish(b))
        came = [each for _ in range(1 + interrupts) for each in received(subscriber, 5)]
        assert sorted(came) == sorted([own, handlers][: 1 + interrupts]), at
        if not interrupts:
            break
    assert at < MOST - 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pair", [False, True], ids=["best effort", "reliable"], indirect=True)
def test_a_handler_receives_while_something_is_received(pair, size):
    publisher, subscriber = pair
    for at in range(1, MOST):
        sent = [body(3 * at + number, SIZES[size]) for number in range(3)]
        for each in sent:
            publisher.publish(each)
        came: list[bytes] = []
        own, interrupts = interrupted(
            lambda: received(subscriber, 5), at, lambda came=came: came.extend(received(subscriber, 0.05))
        )
        came += own
        while len(came) < len(sent) and (more := received(subscriber, 5)):
            came += more
        assert sorted(came) == sorted(sent), at
        if not interrupts:
            break
    assert at < MOST - 1
