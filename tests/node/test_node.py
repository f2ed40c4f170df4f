"""Node, as users hold it: what its arguments may be, what it tells, and what it says after the end."""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import threading
import time
import weakref
from functools import partial

import pytest

import ipcpy as ipc
from ipcpy.errors import ClosedError
from ipcpy.node.shared import node_for
from ipcpy.protocol.wire import FLAG_SEALED, Kind, pack_frame
from ports import own_udp_ports


@pytest.fixture
def node():
    with ipc.Node("arm", domain="handles", interfaces="lo") as node:
        yield node


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": ""}, "a node's name is"),
        ({"domain": "a\nb"}, "domain is"),
        ({"interfaces": [1]}, "interfaces are"),
        ({"peers": "robot:0"}, "a peer is"),
        ({"namespace": "a b"}, "namespace is a name such as 'robot1'"),
        ({"namespace": 5}, "namespace is a name such as 'robot1'"),
        ({"remap": "imu=gps"}, "remap is OLD:=NEW"),
        ({"remap": {"imu": "a b"}}, "remap is OLD:=NEW"),
        ({"key": "/no/key"}, "the key file '/no/key' cannot be read"),
        ({"key": b"secret"}, "key is the path of a key file"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_was_expected(wrong, says):
    with pytest.raises(ipc.ArgumentError, match=says):
        ipc.Node(**wrong)


def test_a_key_in_the_environment_is_refused_rather_than_ignored(monkeypatch):
    monkeypatch.setenv("IPCPY_KEY", "secret")
    with pytest.raises(ipc.ArgumentError, match="IPCPY_KEY"):
        ipc.Node()


def test_it_says_who_it_is(node):
    assert (node.name, node.domain, node.closed) == ("arm", "handles", False)
    assert re.fullmatch("[0-9a-f]{16}", node.id)
    assert repr(node) == f"<ipcpy.Node 'arm' {node.id} domain 'handles'>"


def test_every_start_has_an_id_of_its_own(node):
    with ipc.Node("arm", domain="handles", interfaces="lo") as other:
        assert other.id != node.id


def test_it_knows_itself_at_once(node):
    (own,) = node.nodes()
    assert (own.id, own.name, own.address, own.state, own.age) == (node.id, "arm", None, "alive", 0.0)


def test_two_see_each_other_and_their_topics(node, wait_until):
    with ipc.Node("eye", domain="handles", interfaces="lo") as other, ipc.Publisher("image", node=other):
        wait_until(lambda: any(topic.name == "image" for topic in node.topics()))
        (eye,) = [each for each in node.nodes() if each.id == other.id]
        assert eye.name == "eye" and eye.address.startswith("127.0.0.1:") and 0 < eye.age < 60
    wait_until(lambda: [each.id for each in node.nodes()] == [node.id])
    assert node.topics() == ()


def test_a_first_picture_is_complete_when_the_others_have_told_all(node):
    with ipc.Node("eye", domain="handles", interfaces="lo") as other, ipc.Publisher("image", node=other):
        assert node.wait_complete(30)
        assert [topic.name for topic in node.topics()] == ["image"]
        assert not node.wait_complete(0), "that takes a moment, and none was given"


@pytest.mark.parametrize("timeout", [None, float("inf")])
def test_a_first_picture_can_be_waited_for_without_end(node, timeout):
    assert node.wait_complete(timeout)


def test_a_time_to_wait_that_is_none_is_refused(node):
    with pytest.raises(ipc.ArgumentError, match="timeout is a time in seconds"):
        node.wait_complete("soon")


# -- counts


def test_what_the_link_sends_and_receives_is_counted(node, wait_until):
    with ipc.Node("eye", domain="handles", interfaces="lo") as other:
        wait_until(lambda: len(node.nodes()) == len(other.nodes()) == 2)
        for each in (node, other):
            assert each.stats.received > 0 and each.stats.sent > 0
        before = node.stats
        wait_until(lambda: node.stats.sent > before.sent, timeout=20)  # heartbeats


FRAME = pack_frame(Kind.ALIVE, 5, 1, 0, bytes(17))


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"nonsense", "malformed"),
        (FRAME[:2] + bytes([FRAME[2] + 1]) + FRAME[3:], "version"),
        (FRAME[:5] + bytes([FRAME[5] | FLAG_SEALED]) + FRAME[6:], "unauthenticated"),
        (FRAME, "unknown"),
    ],
)
def test_what_is_dropped_is_counted_by_cause(node, wait_until, data, cause):
    before = node.stats.dropped.get(cause, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(3):
            sock.sendto(data, ("127.0.0.1", node_for(node).link_port))
    wait_until(lambda: node.stats.dropped.get(cause, 0) == before + 3)


def test_a_node_of_another_domain_is_counted_and_not_seen(node, wait_until):
    with ipc.Node("stranger", domain="elsewhere", interfaces="lo"):
        wait_until(lambda: node.stats.dropped.get("domain", 0) > 0, timeout=20)
        assert [each.id for each in node.nodes()] == [node.id]


def test_counts_are_values_that_stay_as_they_were(node, wait_until):
    before = node.stats
    copied = (before.received, before.sent, dict(before.dropped))
    with ipc.Node("eye", domain="handles", interfaces="lo"):
        wait_until(lambda: node.stats.received > before.received)
    assert (before.received, before.sent, dict(before.dropped)) == copied


# -- the end


def test_closing_closes_all_it_had_within_moments_and_once_is_enough():
    node = ipc.Node(domain="handles", interfaces="lo")
    publisher, subscriber = ipc.Publisher("a", node=node), ipc.Subscriber("a", node=node)
    publisher.wait_for_subscribers(timeout=10)
    started = time.monotonic()
    node.close()
    assert time.monotonic() - started < 5.0
    node.close()
    assert node.closed and repr(node).endswith("closed>")
    with pytest.raises(ipc.ClosedError):
        publisher.publish(1)
    with pytest.raises(ipc.ClosedError):
        subscriber.recv(0)


@pytest.mark.parametrize("ask", ["topics", "nodes", "watch", "wait_complete"])
def test_a_closed_node_knows_nothing_any_more(ask):
    with ipc.Node("arm", domain="handles", interfaces="lo") as node:
        pass
    with pytest.raises(ipc.ClosedError, match="the node 'arm' is closed"):
        getattr(node, ask)()


def test_a_closed_node_takes_no_publisher_or_subscriber(node):
    node.close()
    for kind in (ipc.Publisher, ipc.Subscriber):
        with pytest.raises(ipc.ClosedError):
            kind("a", node=node)


def test_the_last_counts_can_be_read_after_the_end(node, wait_until):
    wait_until(lambda: node.stats.sent)
    node.close()
    assert node.stats.sent > 0


def test_closing_ends_its_watches(node):
    watch = node.watch()
    node.close()
    assert [event.node.id for event in watch] == [node.id]


# -- nodes that are forgotten


def test_a_node_that_nobody_holds_is_closed_with_its_thread_and_its_sockets(wait_until):
    def others():
        return [thread for thread in threading.enumerate() if thread.name == "ipcpy forgotten"]

    node = ipc.Node("forgotten", domain="handles", interfaces="lo")
    core = weakref.ref(node_for(node))
    assert len(others()) == 1
    del node
    gc.collect()
    wait_until(lambda: not others())
    gc.collect()
    assert core() is None


@pytest.mark.parametrize("kind", ["publisher", "subscriber", "watch", "callback"])
def test_a_node_of_which_something_is_held_stays_open(node, wait_until, kind):
    inner = ipc.Node("held", domain="handles", interfaces="lo")
    core = weakref.ref(node_for(inner))
    make = {
        "publisher": partial(ipc.Publisher, "held/p", node=inner),
        "subscriber": partial(ipc.Subscriber, "held/s", node=inner),
        "callback": partial(ipc.Subscriber, "held/c", callback=print, node=inner),
        "watch": inner.watch,
    }
    held = make[kind]()
    del inner, make
    gc.collect()
    wait_until(lambda: "held" in [each.name for each in node.nodes()])
    assert not core().closed
    if kind == "callback":  # its thread holds it until it is closed
        held.close()
    del held
    gc.collect()
    wait_until(lambda: "held" not in [each.name for each in node.nodes()])


def test_the_events_of_a_node_that_only_its_watch_holds_go_on(node):
    events = iter(ipc.Node("eye", domain="handles", interfaces="lo").watch())
    assert {next(events).node.name, next(events).node.name} == {"eye", "arm"}


def test_a_coroutine_waits_for_the_first_picture(node):
    async def main():
        with ipc.Node("eye", domain="handles", interfaces="lo") as other:
            assert await other.wait_complete_async(5)
            assert "arm" in [each.name for each in other.nodes()]
            for wrong in ("soon", float("nan")):
                with pytest.raises(ipc.ArgumentError):
                    await other.wait_complete_async(wrong)
            waiting = asyncio.create_task(other.wait_complete_async(None))
        with pytest.raises(ipc.ClosedError):
            await waiting
        with pytest.raises(ipc.ClosedError):
            await other.wait_complete_async()

    asyncio.run(main())


@pytest.mark.parametrize("kind", [ipc.Publisher, ipc.Subscriber])
def test_nothing_is_made_on_a_node_that_is_closed_meanwhile(kind):
    node = ipc.Node("going")
    ensure_open = node._core.ensure_open

    def closed_right_after():
        node._core.ensure_open = ensure_open
        ensure_open()
        node.close()

    node._core.ensure_open = closed_right_after
    before = own_udp_ports()
    with pytest.raises(ClosedError):
        kind("t", node=node)
    assert own_udp_ports() <= before


def test_a_node_says_what_names_become(monkeypatch):
    monkeypatch.setenv("IPCPY_NAMESPACE", "robot1")
    monkeypatch.setenv("IPCPY_REMAP", "imu:=front/imu, gps:=/gps")
    with ipc.Node(interfaces="lo") as node:
        assert node.namespace == "robot1"
        assert [node.resolve(each) for each in ("imu", "gps", "a/*", "/a")] == [
            "robot1/front/imu",
            "gps",
            "robot1/a/*",
            "a",
        ]
        with pytest.raises(ipc.ArgumentError, match="a topic is a name"):
            node.resolve("a b")
    with ipc.Node(interfaces="lo", namespace="", remap={"imu": "rear/imu"}) as node:
        assert [node.namespace, node.resolve("imu"), node.resolve("gps")] == ["", "rear/imu", "gps"]


def test_publisher_and_subscriber_meet_under_a_namespace_and_say_both_names():
    with ipc.Node(interfaces="lo", domain="names", namespace="r") as node:
        pub, sub = ipc.Publisher("imu", node=node), ipc.Subscriber("/r/*", node=node)
        assert (pub.topic, sub.topic) == ("r/imu", "r/*")
        pub.wait_for_subscribers(timeout=10)
        pub.publish(1)
        assert sub.recv(timeout=10).topic == "r/imu"
        nobody = ipc.Subscriber("gps", node=node)
        both = "'r/gps' \\(asked for as 'gps', in namespace 'r'\\)"
        with pytest.raises(ipc.RecvTimeout, match=f"no message on {both} within 0 s. No publisher of {both} is known"):
            nobody.recv(0)
        with pytest.raises(ipc.RecvTimeout, match=f"0 of 1 publishers of {both}"):
            nobody.wait_for_publishers(timeout=0)
        nobody.close()
        for wrong in (nobody.recv, nobody.latest):
            with pytest.raises(ClosedError, match=f"the subscriber of {both} is closed"):
                wrong()
        sub.close()  # its pattern is for that too
        alone = ipc.Publisher("cmd", node=node)
        with pytest.raises(
            ipc.RecvTimeout, match=r"0 of 1 subscribers of 'r/cmd' \(asked for as 'cmd'.*No subscriber of 'r/cmd'"
        ):
            alone.wait_for_subscribers(timeout=0)
        assert both not in repr(alone) and "asked for as 'cmd'" in repr(alone)
        alone.close()
        with pytest.raises(ClosedError, match=r"'r/cmd' \(asked for as 'cmd'"):
            alone.publish(1)
