"""Waiting for publishers: how many, how long, and what is said of waiting in vain; threads and coroutines alike."""

from __future__ import annotations

import asyncio
import threading

import pytest

import ipcpy as ipc


@pytest.fixture
def node():
    with ipc.Node("test") as node:
        yield node


def waited(sub, way, *arguments, **options):
    if way == "thread":
        return sub.wait_for_publishers(*arguments, **options)
    return asyncio.run(sub.wait_for_publishers_async(*arguments, **options))


@pytest.mark.parametrize("way", ["thread", "coroutine"])
def test_it_waits_for_as_many_as_are_wanted_and_says_why_there_are_fewer(node, way):
    sub = ipc.Subscriber("t", node=node)
    assert waited(sub, way, 0, timeout=0) == 0
    with pytest.raises(TimeoutError, match=r"0 of 1 publishers of 't' within 0 s\. No publisher of 't' is known"):
        waited(sub, way, timeout=0)
    for wrong in (-1, 1.5, True, None):
        with pytest.raises(ipc.ArgumentError, match="count is how many"):
            waited(sub, way, wrong)
    first = ipc.Publisher("t", node=node)
    assert waited(sub, way, timeout=5) == 1
    with pytest.raises(TimeoutError, match=r"1 of 2 publishers of 't' within 0\.01 s"):
        waited(sub, way, 2, timeout=0.01)
    first.close()


@pytest.mark.parametrize("way", ["thread", "coroutine"])
def test_closing_ends_it(node, way):
    sub = ipc.Subscriber("t", node=node)
    threading.Timer(0.02, sub.close).start()
    with pytest.raises(ipc.ClosedError):
        waited(sub, way)
    with pytest.raises(ipc.ClosedError):
        waited(sub, way, timeout=0)
