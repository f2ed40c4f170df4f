"""Whether a silent peer is stopped, unreachable, or nobody can tell."""

from __future__ import annotations

import pytest

from ipcpy.protocol.link.hosts import MAX_HOSTS, Hosts
from ipcpy.protocol.link.link import PeerResumed, PeerStalled, Timing
from linknet import Network, Node, reasons

PORT = 17769


def pair(net: Network) -> tuple[Node, Node]:
    nodes = net.node(topics=1), net.node(topics=1)
    for node in nodes:
        node.link.hosts.port = PORT
    net.run(2, net.whole)
    net.run(1)
    return nodes


def stalls(node: Node) -> list[type]:
    return [type(event) for _, event in node.events if isinstance(event, PeerStalled | PeerResumed)]


def test_a_stopped_process_on_a_host_that_lives_is_unresponsive_and_not_lost():
    net = Network(seed=3)
    a, b = pair(net)
    b.stop()
    net.run(120)
    sent = net.datagrams
    net.run(60)
    assert net.datagrams - sent < 60 * 5, "an ask and a knock a second, and the greetings"
    assert stalls(a) == [PeerStalled]
    a.put(n77="while/stopped")
    b.resume()
    assert net.run(1, net.whole) < 0.1
    assert stalls(a) == [PeerStalled, PeerResumed]
    assert reasons(a) == reasons(b) == []


def test_a_process_that_never_comes_back_is_given_up_at_last():
    net = Network()
    a, b = pair(net)
    b.stop()
    net.run(Timing().remember + 3)
    assert len(reasons(a)) == 1


@pytest.mark.parametrize("late", [False, True])
def test_a_host_that_answered_before_and_not_now_is_unreachable(late):
    net = Network()
    a, b = pair(net)
    if late:  # the host was the last to be heard of
        a.link.receive_refusal((b.address()[0], PORT), net.now)
    b.host.dead = True
    took = net.run(3, lambda: bool(reasons(a)))
    assert reasons(a) == ["host unreachable"]
    assert took <= Timing().lost + Timing().ask


@pytest.mark.parametrize("dead", [False, True])
def test_of_a_host_that_never_answers_nothing_can_be_told(dead):
    net = Network(icmp=False)
    a, b = pair(net)
    b.stop()
    b.host.dead = dead
    net.run(3, lambda: bool(reasons(a)))
    assert reasons(a) == ["timed out"]


def test_what_the_network_says_is_believed_as_a_reason_only():
    net = Network(icmp=False)
    a, b = pair(net)
    a.link.receive_unreachable(b.address(), net.now)
    net.run(5)
    assert reasons(a) == []
    b.host.dead = True
    net.run(1)
    a.link.receive_unreachable(b.address(), net.now)
    net.run(3, lambda: bool(reasons(a)))
    assert reasons(a) == ["host unreachable"]


def test_a_killed_process_is_dead_although_its_host_lives():
    net = Network()
    a, b = pair(net)
    b.kill()
    assert net.run(1, lambda: bool(reasons(a))) < 0.4
    assert reasons(a) == ["process died"]


def test_our_own_sleep_does_not_lose_a_stopped_peer():
    net = Network()
    a, b = pair(net)
    b.stop()
    net.run(20)
    a.stop()
    net.run(30)
    a.resume()
    net.run(3)
    assert reasons(a) == []


def test_hosts_are_bounded():
    hosts = Hosts(Timing())
    for number in range(2 * MAX_HOSTS):
        hosts.knock(f"{number}", 0.0)
    assert len(hosts.known) == MAX_HOSTS
    hosts.answered("unknown", 1.0)
    hosts.unreachable("unknown", 1.0)
    assert len(hosts.known) == MAX_HOSTS


def test_a_killed_process_is_noticed_although_its_host_refuses_but_once():
    net = Network()
    a, b = pair(net)
    b.kill()
    net.lan.icmp = False
    net.run(0.1)
    a.link.doubt(b.link.id, net.now)
    a.link.doubt(99, net.now)
    a.flush()
    assert net.run(2, lambda: bool(reasons(a))) <= Timing().doubt + Timing().ask
    assert reasons(a) == ["process died"]


def test_a_peer_that_answers_is_in_doubt_no_longer():
    net = Network()
    a, b = pair(net)
    for _ in range(50):
        a.link.doubt(b.link.id, net.now)
        a.flush()
        net.run(0.05)
    assert reasons(a) == []
