"""The servers of one service: what the graph tells, and which one is asked."""

from __future__ import annotations

from dataclasses import replace

from ipcpy.asking.names import requests_topic
from ipcpy.asking.servers import Servers, choose
from ipcpy.events import NodeFound, SubscriberFound, SubscriberLost
from ipcpy.graph import EndpointInfo, NodeInfo

HERE = NodeInfo("0" * 16, "me", "h1", 1, "default", None, "1", "alive", 0.0)


def server(number, host="h1", state="alive", name="arm"):
    id = f"{number:016x}"
    node = NodeInfo(id, f"node{number}", host, number, "default", "10.0.0.1:1", "1", state, 0.0)
    return EndpointInfo(id, "subscriber", requests_topic(name, id), "any", {}, False, 0, node)


def test_servers_of_the_name_come_and_go_and_no_others():
    lost = []
    servers = Servers("arm", lambda topic, reason: lost.append((topic, reason)))
    one, other = server(1), server(2, name="leg")
    for event in (NodeFound(HERE), SubscriberFound(one), SubscriberFound(other)):
        servers.put(event)
    assert servers.there() == [one]
    servers.put(SubscriberLost(other, "closed"))
    servers.put(SubscriberLost(one, "process died"))
    assert (servers.there(), lost) == ([], [(one.topic, "process died")])


def test_who_waits_hears_the_end():
    servers = Servers("arm", print)
    servers.end()
    assert servers.monitor.wait_for(lambda: servers.ended, 0)
    servers = Servers("arm", print)
    servers.abandon()
    assert servers.ended


def test_one_that_answers_is_asked_rather_on_this_host():
    stalled, far, near = server(1, state="unresponsive"), server(2, host="h2"), server(3)
    assert choose([stalled, far, near], HERE, lambda each: each) is near
    assert choose([stalled, far], HERE, lambda each: each) is far
    assert choose([stalled], HERE, lambda each: each) is stalled


def test_among_equals_each_client_stays_with_one_and_clients_are_spread():
    servers = [server(number) for number in range(4)]
    clients = [replace(HERE, id=f"{number:016x}") for number in range(400)]
    chosen = [choose(servers, client, lambda each: each) for client in clients]
    assert chosen == [choose(servers[::-1], client, lambda each: each) for client in clients]
    assert min(map(chosen.count, servers)) > 60
