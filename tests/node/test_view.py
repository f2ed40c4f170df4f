"""The graph as one node sees it: topics from endpoints, events in order, when a first picture is settled."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from ipcpy.errors import ClosedError
from ipcpy.graph import EndpointInfo, NodeInfo
from ipcpy.node.view import CALM, View
from still import StillLoop, held_by_another_thread


def node(name="n"):
    return NodeInfo("0" * 16, name, "host", 1, "default", None, "1", "alive", 0.0)


def endpoint(kind, topic, codec="raw", number=1):
    return EndpointInfo(f"{number:016x}", kind, topic, codec, {}, False, 0, node())


@pytest.fixture
def view():
    view = View()
    view.add_node(1, node())
    return view


def test_topics_gather_publishers_subscribers_and_patterns(view):
    view.put(1, 1, endpoint("publisher", "a/b", "raw", 1))
    view.put(1, 2, endpoint("publisher", "a/b", "msgpack", 2))
    view.put(1, 3, endpoint("subscriber", "a/*", "any", 3))
    view.put(1, 4, endpoint("subscriber", "alone", "any", 4))
    view.put(1, 5, endpoint("subscriber", "none/*", "any", 5))
    shown = {topic.name: (topic.codec, len(topic.publishers), len(topic.subscribers)) for topic in view.topics()}
    assert shown == {"a/b": ("mixed", 2, 1), "alone": ("", 0, 1), "none/*": ("", 0, 1)}


def test_events_tell_what_was_there_and_what_came_and_went(view):
    view.put(1, 1, endpoint("publisher", "a"))
    watch = view.watch()
    view.put(1, 2, endpoint("subscriber", "a", number=2))
    view.put(1, 2, endpoint("subscriber", "a", number=2))  # a change, not a second one
    view.remove(1, 1)
    view.change_node(1, state="unresponsive")
    view.change_node(1, state="alive")
    view.remove_node(1, "process died")
    kinds = [type(watch.get(0)).__name__ for _ in range(8)]
    assert kinds == [
        "NodeFound",
        "PublisherFound",
        "SubscriberFound",
        "PublisherLost",
        "NodeStalled",
        "NodeResumed",
        "SubscriberLost",
        "NodeLost",
    ]
    with pytest.raises(TimeoutError):
        watch.get(0)


def test_a_watch_that_was_closed_is_told_nothing_more(view):
    with view.watch() as watch:
        pass
    view.put(1, 1, endpoint("publisher", "a"))
    assert [type(event).__name__ for event in watch] == ["NodeFound"]


def test_the_end_of_the_graph_ends_every_watch_those_that_come_late_too(view):
    early = view.watch()
    threading.Timer(0.02, view.close).start()
    assert [type(event).__name__ for event in early] == ["NodeFound"]
    late = view.watch()
    assert [type(event).__name__ for event in late] == ["NodeFound"]
    with pytest.raises(ClosedError):
        late.get()


def test_what_is_not_known_can_be_changed_or_removed_without_harm(view):
    watch = view.watch()
    view.change_node(9, state="unresponsive")
    view.remove_node(9, "closed")
    view.remove(1, 9)
    view.remove(9, 9)
    assert watch.get(0).node.name == "n"
    with pytest.raises(TimeoutError):
        watch.get(0)


def test_a_change_of_a_node_shows_in_all_it_has(view):
    view.put(1, 1, endpoint("publisher", "a"))
    view.change_node(1, state="unresponsive", address="10.0.0.2:17770")
    (topic,) = view.topics()
    assert topic.publishers[0].node == view.node(1)
    assert view.node(1).state == "unresponsive" and topic.publishers[0].address == "10.0.0.2:17770"


def test_nodes_are_listed_by_name(view):
    for id, name in enumerate(("b", "a", "c"), 2):
        view.add_node(id, node(name))
    assert [each.name for each in view.nodes()] == ["a", "b", "c", "n"]


# -- when a first picture is settled


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on only while somebody waits for the graph."""
    loop = StillLoop()
    loop.stop_time(monkeypatch, "view")
    return loop


def settled(clock, view, *, timeout, complete=lambda: True, changes=()):
    """Return whether the graph settled and how long that took; changes are times at which it changes."""
    started, due = clock.now, [clock.now + seconds for seconds in changes]

    def wait(seconds):
        clock.now += seconds
        while due and due[0] <= clock.now:
            view._changed_at = due.pop(0)

    view._monitor.bell.waiter = lambda: wait
    found = view.wait_settled(complete, timeout)
    return found, clock.now - started


def test_it_is_settled_a_tenth_of_a_second_after_the_question_if_nothing_happens(clock):
    view = View()
    clock.now += 100
    found, took = settled(clock, view, timeout=5)
    assert found and took == pytest.approx(CALM, abs=0.06)


def test_every_change_makes_it_wait_anew(clock):
    found, took = settled(clock, View(), timeout=5, changes=[0.05, 0.1, 0.15, 0.2])
    assert found and took == pytest.approx(0.2 + CALM, abs=0.06)


@pytest.mark.parametrize("timeout", [0.0, 0.05, 1.0])
def test_it_is_not_settled_while_something_is_missing(clock, timeout):
    found, took = settled(clock, View(), timeout=timeout, complete=lambda: False)
    assert not found and took == pytest.approx(timeout)


def test_without_a_timeout_it_waits_until_all_has_come(clock):
    view = View()
    ready = clock.now + 1_000
    found, took = settled(clock, view, timeout=None, complete=lambda: clock.now >= ready)
    assert found and took == pytest.approx(1_000, abs=0.06)


# -- watches that are forgotten


def test_a_watch_that_is_forgotten_is_told_nothing_more_and_kept_by_nobody(view):
    watch, other = view.watch(), view.watch()
    queue = weakref.ref(watch._queue)
    del watch
    gc.collect()
    assert queue() is None
    view.put(1, 1, endpoint("publisher", "a"))
    other.close()
    assert [type(event).__name__ for event in other] == ["NodeFound", "PublisherFound"]


def test_a_watch_keeps_its_node_alive(view):
    class Handle:
        pass

    handle = Handle()
    alive, watch = weakref.ref(handle), view.watch(handle)
    del handle
    assert alive() is not None
    del watch
    gc.collect()
    assert alive() is None


def test_a_coroutine_waits_until_it_is_settled_and_others_run_meanwhile(view):
    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        assert await view.wait_settled_async(lambda: True, 5)
        assert not await view.wait_settled_async(lambda: False, 0.01)
        assert not await view.wait_settled_async(lambda: True, 0)
        ticking.cancel()
        return ticks

    assert asyncio.run(main()) > 10


def test_whoever_waits_for_a_picture_is_woken_by_the_end_of_the_graph(view):
    threading.Timer(0.02, view.close).start()
    assert not view.wait_settled(lambda: False, None)
    assert not asyncio.run(view.wait_settled_async(lambda: False, None))


def test_what_a_forked_child_has_of_the_parents_can_be_closed_whoever_held_its_lock(view):
    watch = view.watch()
    with held_by_another_thread(view._lock) as other:
        view.abandon()
        watch.close()
        view.close()
        assert other.is_alive(), "nobody waited for it"
