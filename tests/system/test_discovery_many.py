"""A hundred nodes, a thousand topics: how soon all know all, and what it costs to stay so."""

from __future__ import annotations

import json
import time

import pytest

from robots import measured

CROWD = """
import json, resource, sys, time
import ipcpy as ipc

first, count, topics, expected_nodes, expected_topics, options = (json.loads(word) for word in sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
ipc.Node, ipc.Publisher, ipc.Raw
begun = time.monotonic()
nodes = [ipc.Node(f"n{number}", **options) for number in range(first, first + count)]
publishers = [
    ipc.Publisher(f"{node.name}/topic{number}", ipc.Raw(), node=node) for node in nodes for number in range(topics)
]
print("ready", begun, flush=True)


def complete(node):  # seldom by topics(): that is not what is measured
    known = node._core._view.endpoints()
    return len(known) >= expected_topics and len(node.nodes()) >= expected_nodes and len(node.topics()) == len(known)


missing = list(nodes)
while missing and time.monotonic() < begun + 30:
    missing = [node for node in missing if not complete(node)]
    time.sleep(0.05)  # counting costs what the counted need
print("complete" if not missing else "incomplete", time.monotonic(), len(missing), flush=True)
for line in sys.stdin:
    if line.strip() == "cpu":
        sent = sum(node.stats.sent for node in nodes)
        print("cpu", json.dumps([time.process_time(), time.monotonic(), sent]), flush=True)
    elif line.strip() == "nodes":
        print("nodes", json.dumps([len(node.nodes()) for node in nodes]), flush=True)
"""


def crowd(where, *what, place=(), options=None):
    return where(*place, CROWD, *map(json.dumps, (*what, options or {})))


def completed(process, timeout=40.0):
    found = process.wait_line(r"(in)?complete (\S+) (\d+)", timeout)
    assert not found[1], f"{found[3]} nodes do not know all\n{process.report()}"
    return float(found[2])


def idle(processes, seconds=3.0):
    """Return the share of a core and the datagrams a second that the processes take together while nothing happens."""

    def ask():
        for process in processes:
            process.send_line("cpu")
        rows = [json.loads(process.wait_line("^cpu (.*)")[1]) for process in processes]
        return [sum(row[0] for row in rows), max(row[1] for row in rows), sum(row[2] for row in rows)]

    before = ask()
    time.sleep(seconds)  # the time is what is measured
    after = ask()
    return [(after[at] - before[at]) / (after[1] - before[1]) for at in (0, 2)]


@pytest.mark.slow
def test_a_hundred_nodes_of_ten_topics_on_one_host(spawn):
    processes = [crowd(spawn, 10 * number, 10, 10, 100, 1000) for number in range(10)]
    begun = max(float(process.wait_line("ready (.*)", 40)[1]) for process in processes)
    measured("100 nodes, 1,000 topics all known", max(map(completed, processes)) - begun, 3.0, 20.0)
    newcomer = crowd(spawn, 100, 1, 1, 101, 1001)
    started = float(newcomer.wait_line("ready (.*)")[1])
    measured("a newcomer knows all", completed(newcomer) - started, 0.5, 5.0)
    share, datagrams = idle(processes)
    print(f"measured: idle: {share:.1%} of a core for 100 nodes, {datagrams:.0f} datagrams/s")
    assert 0 < datagrams < 12_000  # docs/discovery.md: 100 * 99 / 1.7


@pytest.mark.slow
def test_nodes_on_several_hosts(lan):
    hosts = lan(5)
    processes = [crowd(hosts.spawn, 10 * host, 10, 10, 50, 500, place=(host,)) for host in hosts.hosts]
    begun = max(float(process.wait_line("ready (.*)", 40)[1]) for process in processes)
    measured("50 nodes on 5 hosts all known", max(map(completed, processes)) - begun, 3.0, 20.0)
    share, datagrams = idle(processes)
    print(f"measured: idle: {share:.1%} of a core for 50 nodes on 5 hosts, {datagrams:.0f} datagrams/s")
    assert 0 < datagrams < 12_000  # docs/discovery.md: 50 * 49 / 0.5


def test_a_thousand_topics_in_one_node(lan):
    hosts = lan(2)
    large = crowd(hosts.spawn, 0, 1, 1000, 1, 1000, place=(1,))
    completed(large)
    newcomer = crowd(hosts.spawn, 1, 1, 1, 2, 1001, place=(2,))
    started = float(newcomer.wait_line("ready (.*)")[1])
    measured("1,000 topics of one node known on another host", completed(newcomer) - started, 0.5, 5.0)
