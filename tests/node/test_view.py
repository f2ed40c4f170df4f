"""The graph: topics from endpoints, events in order, watching with threads and coroutines."""

from __future__ import annotations

import asyncio
import threading

import pytest

import ipcpy as ipc
from ipcpy.graph import EndpointInfo, NodeInfo
from ipcpy.node.view import View
from ipcpy.protocol.topics import matches


def node(name="n"):
    return NodeInfo("0" * 16, name, "host", 1, "default", None, "1", "alive", 0.0)


def endpoint(kind, topic, codec="raw", number=1):
    return EndpointInfo(f"{number:016x}", kind, topic, codec, {}, False, 0, node())


@pytest.fixture
def view():
    view = View(matches)
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


def test_a_closed_watch_ends_iteration(view):
    watch = view.watch()
    threading.Timer(0.05, watch.close).start()
    assert [type(event).__name__ for event in watch] == ["NodeFound"]
    view.close()


def test_coroutines_can_watch(view):
    async def main():
        seen = []
        with view.watch() as watch:
            threading.Timer(0.02, view.add_node, (2, node("second"))).start()
            threading.Timer(0.05, view.close).start()
            async for event in watch:
                seen.append(event)
        return seen

    assert [event.node.name for event in asyncio.run(main())] == ["n", "second"]


def test_unread_events_are_bounded(view, monkeypatch):
    watch = view.watch()
    for number in range(20_000):
        watch.put(ipc.NodeFound(node(str(number))))
    assert len(watch._events) == 10_000
    assert watch.get(0).node.name == "10000"
