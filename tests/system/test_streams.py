"""A recorded-like IMU stream and large arrays, between processes on one host and between hosts."""

from __future__ import annotations

import json

import pytest

import programs

COUNT = 600
RATE = 600.0


def run_stream(start, order, options=None):
    """Run one publisher and three kinds of subscribers; start(place, program, ...) starts each."""
    arguments = [str(COUNT)]
    kinds = [programs.SYNC, programs.CALLBACK, programs.ASYNCIO]
    publish = [programs.PUBLISHER, str(COUNT), str(RATE), "3", json.dumps(options or {})]
    publisher = None
    if order == "publisher first":
        publisher = start(0, *publish)
        publisher.wait_line("ready")
    subscribers = [start(1 + number, kind, *arguments) for number, kind in enumerate(kinds)]
    for subscriber in subscribers:
        subscriber.wait_line("ready")
    publisher = publisher or start(0, *publish)
    published = publisher.wait_line(r"published (\w+)", timeout=30)[1]
    digests = [subscriber.wait_line(r"received (\w+)", timeout=30)[1] for subscriber in subscribers]
    by_multicast = int(publisher.wait_line(r"by multicast (\d)")[1])
    publisher.send_line()
    for process in (publisher, *subscribers):
        process.succeed()
    assert digests == [published] * 3
    return by_multicast


ORDERS = ["publisher first", "subscribers first"]


@pytest.mark.parametrize("order", ORDERS)
def test_three_kinds_of_subscribers_get_every_sample_in_order(spawn, order):
    by_multicast = run_stream(lambda _place, *program: spawn(*program), order)
    assert by_multicast == 3  # three on one host: one send reaches them all


@pytest.mark.parametrize("multicast", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_the_same_across_three_hosts(lan, order, multicast):
    hosts = lan(3)
    by_multicast = run_stream(
        lambda place, *program: hosts.spawn(1 + place % 3, *program), order, {"multicast": multicast}
    )
    assert by_multicast == (3 if multicast else 0)


def test_a_fourth_host_lists_topic_schema_nodes_and_hosts(lan):
    hosts = lan(4)
    publisher = hosts.spawn(1, programs.PUBLISHER, "5", "100", "1")
    publisher.wait_line("ready")
    subscriber = hosts.spawn(2, programs.SYNC, "5")
    subscriber.wait_line("received")
    program = """
import ipcpy as ipc
[topic] = [topic for topic in ipc.topics(3) if topic.publishers]
[publisher] = topic.publishers
print(topic.name, topic.codec, topic.schema["messages"][0]["fields"], publisher.node.host, publisher.node.address)
print(sorted(node.host for node in ipc.nodes()))
"""
    shown = hosts.spawn(4, program).succeed()
    assert "robot/imu struct ['gx', 'gy', 'gz'" in shown
    assert " h1 10.77.0.1:" in shown
    publisher.send_line()
    publisher.succeed()


@pytest.mark.parametrize("where", ["one host", "one host, udp", "lan"])
def test_large_arrays_arrive_equal(spawn, lan, where, monkeypatch):
    pytest.importorskip("numpy")
    if where == "one host, udp":
        monkeypatch.setenv("IPCPY_SHM", "0")
    if where == "lan":
        hosts = lan(2)
        publisher, subscriber = hosts.spawn(1, programs.LARGE_PUBLISHER, "1"), hosts.spawn(2, programs.LARGE_SUBSCRIBER)
    else:
        publisher, subscriber = spawn(programs.LARGE_PUBLISHER, "1"), spawn(programs.LARGE_SUBSCRIBER)
    sent = publisher.wait_line("digest (.*)", timeout=30)[1]
    got = subscriber.wait_line("digest (.*)", timeout=30)[1]
    assert got == sent
    subscriber.succeed()
    publisher.send_line()
    publisher.succeed()


@pytest.mark.parametrize("where", ["one host", "lan"])
@pytest.mark.parametrize("order", ORDERS)
def test_the_first_message_after_waiting_arrives(spawn, lan, where, order):
    if where == "lan":
        hosts = lan(2)
        places = (lambda program: hosts.spawn(1, program)), (lambda program: hosts.spawn(2, program))
    else:
        places = spawn, spawn
    programs_in_order = [programs.FIRST_PUBLISHER, programs.FIRST_SUBSCRIBER]
    if order == "subscribers first":
        programs_in_order.reverse()
    for _ in range(5):
        first = places[0](programs_in_order[0])
        first.wait_line("ready")
        second = places[1](programs_in_order[1])
        subscriber = second if order == "publisher first" else first
        subscriber.wait_line("complete")
        for process in (first, second):
            process.send_line()
            process.succeed()
