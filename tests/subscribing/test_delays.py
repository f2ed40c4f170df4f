"""How long a subscriber's messages were on their way."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

import ipcpy as ipc
from ipcpy.errors import ArgumentError
from ipcpy.protocol.link.readings import Reading, Track
from ipcpy.subscribing.delays import MAX_PUBLISHERS, Delays

S = 10**9


class Clocks:
    """Node 1 is here, node 2 is another host of which nothing is known."""

    def is_here(self, id):
        return id == 1

    def known(self, id):
        return None

    def now(self):
        return Reading(S, S)

    def own_at(self, now):
        return Track().add(now)


def message(sent_ns=10 * S, received_ns=11 * S, publisher="0a"):
    return ipc.Message(None, "t", 1, sent_ns, received_ns, publisher)


def test_on_one_host_the_bound_is_0():
    assert Delays(lambda publisher: 1).of(message(), Clocks()) == (1.0, 0.0)


def test_on_one_host_whose_clock_was_set_back_nothing_is_certain():
    assert Delays(lambda publisher: 1).of(message(received_ns=9 * S), Clocks()) == (-1.0, math.inf)


@pytest.mark.parametrize("node", [2, None])
def test_of_a_publisher_of_which_nothing_is_known_the_difference_of_the_clocks_is_told_without_a_bound(node):
    assert Delays(lambda publisher: node).of(message(), Clocks()) == (1.0, math.inf)


def test_few_publishers_are_remembered():
    asked = []
    delays = Delays(lambda publisher: asked.append(publisher) or 1)
    for number in [*range(MAX_PUBLISHERS + 1), MAX_PUBLISHERS]:
        delays.of(message(publisher=str(number)), Clocks())
    assert len(asked) == MAX_PUBLISHERS + 1
    assert len(delays._publishers) == 1


def test_a_subscriber_says_how_late_its_messages_are():
    with ipc.Publisher("late") as pub, ipc.Subscriber("late") as sub:
        pub.wait_for_subscribers(timeout=20)
        pub.publish(1)
        received = sub.recv(timeout=20)
        delay = sub.delay(received)
        assert delay == ((received.received_ns - received.sent_ns) / 1e9, 0.0)
        assert sub.delay(received._replace(publisher="nobody")).bound == math.inf
        with pytest.raises(ArgumentError, match="a delay is that of a Message"):
            sub.delay(5)


def test_a_node_takes_what_stands_for_a_peer():
    with ipc.Node("one") as node, ipc.Publisher("late", node=node) as pub, ipc.Subscriber("late", node=node) as sub:
        pub.wait_for_subscribers(timeout=20)
        (publisher,) = sub.publishers
        for peer in (publisher, publisher.node, publisher.id, node.id, "one"):
            assert node.clock(peer) == ipc.Clock(0.0, 0.0, 0.0)
        assert node.clock("0123456789abcdef") == ipc.Clock(0.0, math.inf, math.inf)
        for nobody in (5, None, "two", SimpleNamespace(id="1")):
            with pytest.raises(ArgumentError):
                node.clock(nobody)
    with pytest.raises(ipc.ClosedError):
        node.clock("one")
