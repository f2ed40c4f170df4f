"""Reliable topics over real sockets, between hosts on a bad network: everything arrives, in order, once."""

from __future__ import annotations

import json

import pytest

PUBLISHER = """
import json, sys, time
import ipcpy as ipc
count, rate, size, options = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
publisher = ipc.Publisher("numbers", ipc.Raw(), **options)
publisher.wait_for_subscribers(timeout=20)
start = time.monotonic()
for number in range(count):
    publisher.publish(number.to_bytes(8, "little") * (size // 8))
    time.sleep(max(0.0, start + (number + 1) / rate - time.monotonic()))
print("published", flush=True)
sys.stdin.readline()
stats = publisher.stats
print("stats", json.dumps([stats.retransmitted, stats.refused, stats.given_up]), flush=True)
"""

SUBSCRIBER = """
import json, sys
import ipcpy as ipc
count, size = int(sys.argv[1]), int(sys.argv[2])
subscriber = ipc.Subscriber("numbers", depth=100_000)
print("ready", flush=True)
late = []
for number in range(count):
    message = subscriber.recv(timeout=30)
    assert message.seq == number + 1, (message.seq, number, subscriber.stats)
    assert bytes(message.data) == number.to_bytes(8, "little") * (size // 8)
    late.append((message.received_ns - message.sent_ns) / 1e6)
late.sort()
stats = subscriber.stats
print("received", stats.received, json.dumps(dict(stats.lost)), flush=True)
print("late", *(round(late[int(len(late) * share)], 1) for share in (0.5, 0.99)), round(late[-1], 1), flush=True)
"""


def run(hosts, count, rate, size, options, capsys=None):
    subscriber = hosts.spawn(2, SUBSCRIBER, str(count), str(size))
    subscriber.wait_line("ready")
    publisher = hosts.spawn(1, PUBLISHER, str(count), str(rate), str(size), json.dumps(options))
    received = subscriber.wait_line(r"received (\d+) (.*)", timeout=50)
    late = subscriber.wait_line("late (.*)")[1]
    publisher.wait_line("published")
    publisher.send_line()
    stats = publisher.wait_line("stats (.*)")[1]
    print(f"{count} x {size} B at {rate}/s: late p50/p99/max {late} ms; retransmitted, refused, given up {stats}")
    assert received[1] == str(count) and json.loads(received[2]) == {}


@pytest.mark.parametrize("loss", [0.01, 0.1, 0.3])
def test_small_messages_at_1_khz(lan, loss):
    hosts = lan(2, switch="user", seed=7)
    hosts.impair(loss=loss, reorder=0.02, duplicate=0.02, delay=0.001, jitter=0.0005)
    run(hosts, 2000, 1000, 64, {"reliable": True})


@pytest.mark.parametrize("loss", [0.01, 0.1, 0.3])
def test_megabytes_at_10_hz(lan, loss):
    hosts = lan(2, switch="user", seed=7)
    hosts.impair(loss=loss, reorder=0.02, duplicate=0.02, delay=0.001, jitter=0.0005)
    run(hosts, 15, 10, 1_000_000, {"reliable": True})


def test_multicast_with_loss(lan):
    hosts = lan(2, switch="user", seed=7)
    hosts.impair(loss=0.1)
    run(hosts, 1000, 1000, 64, {"reliable": True, "multicast": True})


def test_large_best_effort_messages_are_refilled(lan):
    hosts = lan(2, switch="user", seed=7)
    hosts.impair(loss=0.05)
    run(hosts, 10, 10, 1_000_000, {})
