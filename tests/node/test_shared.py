"""The node that the process shares: made when it is needed, replaced when it was closed."""

from __future__ import annotations

import asyncio

import pytest

import ipcpy as ipc
from ipcpy.node.core import Core
from ipcpy.node.shared import node_for, share, shared_node


@pytest.fixture(autouse=True)
def alone():
    """Leave the shared node of other tests as it is."""
    before = share(None)
    yield
    made = share(before)
    if made is not None:
        made.close()


def test_it_is_made_on_first_use_and_then_the_same():
    node = shared_node()
    assert shared_node() is node and not node.closed
    with ipc.Publisher("shared/a"):
        assert [topic.name for topic in ipc.topics(timeout=10)] == ["shared/a"]
    assert node.id in {each.id for each in ipc.nodes(timeout=10)}


def test_coroutines_ask_it_too_while_others_run():
    async def main():
        turns = 0

        async def others():
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        running = asyncio.create_task(others())
        with ipc.Publisher("shared/a"):
            assert [topic.name for topic in await ipc.topics_async(timeout=10)] == ["shared/a"]
        assert shared_node().id in {each.id for each in await ipc.nodes_async(timeout=10)}
        running.cancel()
        assert turns

    asyncio.run(main())


def test_after_it_was_closed_another_one_is_made():
    first = shared_node()
    first.close()
    second = shared_node()
    assert second is not first and not second.closed
    with ipc.Publisher("shared/b") as publisher:
        assert publisher.publish(1) == 0


def test_another_node_can_be_shared_and_the_one_before_is_handed_back():
    first = shared_node()
    with ipc.Node("mine") as mine:
        assert share(mine) is first
        assert shared_node() is mine
        assert share(None) is mine
    assert shared_node() not in (first, mine)
    first.close()


def test_a_node_or_none_has_a_core():
    with ipc.Node("mine") as mine:
        assert isinstance(node_for(mine), Core) and node_for(mine) is node_for(mine)
        assert node_for(None) is node_for(shared_node()) is not node_for(mine)


@pytest.mark.parametrize("wrong", ["mine", 7, ipc.Node, object()])
def test_what_is_no_node_is_refused_and_shown(wrong):
    with pytest.raises(ipc.ArgumentError, match="node is a Node, or None") as caught:
        node_for(wrong)
    assert repr(wrong) in str(caught.value)
    with pytest.raises(ipc.ArgumentError):
        ipc.Publisher("a", node=wrong)


@pytest.mark.parametrize("ask", [ipc.topics, ipc.nodes])
def test_a_time_to_wait_that_is_none_is_refused(ask):
    with pytest.raises(ipc.ArgumentError, match="timeout is a time in seconds"):
        ask("soon")


def test_a_child_forked_while_a_thread_makes_the_shared_node_makes_its_own(spawn):
    program = """
import os, threading
import ipcpy as ipc
from ipcpy.node import shared

held = threading.Event()


def hold():
    with shared._lock:
        held.set()
        threading.Event().wait(30)


threading.Thread(target=hold, daemon=True).start()
held.wait()
if os.fork() == 0:
    print(len(ipc.nodes(timeout=0)), flush=True)
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    assert spawn(program).succeed(timeout=40) == "1\n"


def test_flows_of_the_shared_node_have_rates_where_they_are_read_twice():
    with ipc.Publisher("shared/flow") as pub:
        pub.publish(1)
        (flow,) = ipc.flows(timeout=10)
        assert (flow.published, flow.subscriber) == (1, None)

    async def main():
        with ipc.Subscriber("shared/both"), ipc.Publisher("shared/both") as both:
            assert await both.wait_for_subscribers_async(timeout=30)
            (once,) = await ipc.flows_async(timeout=10)
            (twice,) = await ipc.flows_async(timeout=10, over=0.3)
            return once.rate, twice.rate

    assert asyncio.run(main()) == (None, 0.0)
    with pytest.raises(ipc.ArgumentError):
        ipc.flows(over="long")
