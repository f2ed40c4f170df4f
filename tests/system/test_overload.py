"""Subscribers that cannot follow: they find the newest, what was dropped is counted, and nobody else suffers."""

from __future__ import annotations

import signal
import time

import pytest

from books import PUBLISHER, SUBSCRIBER, balanced, publish_in_pieces, start
from lan_process import wait_until

CALM = 3.0  # seconds: far from for ever, and more than a loaded machine takes


def published(publisher, count):
    longest, seconds = map(float, publisher.ask("publish", count, answer="published")[1].split())
    print(f"published {count} in {seconds:.2f} s, one took at most {longest * 1e3:.1f} ms")
    return longest, seconds


def test_a_subscriber_that_sleeps_finds_the_newest(spawn):
    sleeper = start(spawn, SUBSCRIBER, depth=10, read=False)
    other = start(spawn, SUBSCRIBER)
    publisher = start(spawn, PUBLISHER, wait=2)
    assert publish_in_pieces(publisher, [sleeper, other], 3_000) < CALM
    assert sleeper.ask("latest")[1] == "3000"
    assert balanced(sleeper, 3_000)["lost"] == {"inbox": 2_990}
    assert balanced(other, 3_000)["received"] == 3_000


def test_a_stopped_subscriber_finds_the_newest_and_holds_nobody_up(spawn):
    stopped, other = start(spawn, SUBSCRIBER, buffer=212_992, depth=10), start(spawn, SUBSCRIBER)
    publisher = start(spawn, PUBLISHER, wait=2)
    publisher.process.wait_line("matched", 40)
    stopped.process.signal(signal.SIGSTOP)
    assert publish_in_pieces(publisher, [other], 6_000) < CALM
    assert balanced(other, 6_000)["received"] == 6_000
    stopped.process.signal(signal.SIGCONT)
    books = balanced(stopped, 6_000)
    assert books["lost"]["kernel"] > 1_000
    published(publisher, 10)
    wait_until(lambda: max(stopped.stats()["last"].values()) == 6_010)


def test_a_reliable_publisher_goes_on_without_a_stopped_subscriber(spawn):
    stopped, other = start(spawn, SUBSCRIBER, buffer=212_992), start(spawn, SUBSCRIBER)
    publisher = start(spawn, PUBLISHER, wait=2, options={"reliable": True, "block": 1.0})
    published(publisher, 100)
    balanced(stopped, 100)
    stopped.process.signal(signal.SIGSTOP)
    begun = time.monotonic()
    longest, _ = published(publisher, 20_000)  # the history holds 10,000
    assert longest < 6  # block is 1 s; the rest is for a machine that does other things
    longest, _ = published(publisher, 10_000)
    assert longest < CALM, "it blocks once"
    assert balanced(other, 30_100)["received"] == 30_100
    stopped.process.signal(signal.SIGCONT)
    books = balanced(stopped, 30_100)
    print(f"{time.monotonic() - begun:.1f} s")
    assert set(books["lost"]) == {"given up"} and books["order"]
    assert books["received"] >= 10_100
    assert publisher.stats()[1][0][3] >= books["lost"]["given up"]


def test_a_reliable_topic_with_a_slow_reader_keeps_its_books(spawn):
    slow = start(spawn, SUBSCRIBER, depth=50, read=False)
    publisher = start(spawn, PUBLISHER, options={"reliable": True})
    published(publisher, 5_000)
    assert balanced(slow, 5_000)["lost"] == {"inbox": 4_950}


def test_twenty_publishers_flat_out(spawn):
    subscriber = start(spawn, SUBSCRIBER, depth=1_000)
    publishers = [start(spawn, MANY, count=10) for _ in range(2)]
    for publisher in publishers:
        publisher.process.wait_line("matched", 40)
    for publisher in publishers:
        publisher.process.send_line("publish 5000")
    for publisher in publishers:
        publisher.process.wait_line("published", 40)
    books = balanced(subscriber, 100_000, 20)
    assert set(books["each"].values()) == {5_000} and len(books["each"]) == 20
    assert set(books["lost"]) <= {"kernel", "inbox"}
    assert books["peak"] < 120  # MB


MANY = """
import json, sys, threading
import ipcpy as ipc
count = json.loads(sys.argv[1])["count"]
publishers = [ipc.Publisher("books", ipc.Raw()) for _ in range(count)]
print("ready", flush=True)
for publisher in publishers:
    publisher.wait_for_subscribers(timeout=20)
print("matched", flush=True)


def publish(publisher, count):
    for _ in range(count):
        publisher.publish(bytes(64))


for line in sys.stdin:
    count = int(line.split()[1])
    threads = [threading.Thread(target=publish, args=(publisher, count)) for publisher in publishers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("published", flush=True)
"""


@pytest.mark.parametrize("options", [{}, {"reliable": True}], ids=["best effort", "reliable"])
def test_four_megabytes_at_30_hz_over_the_lan_with_default_buffers(lan, options):
    hosts = lan(2)
    subscriber = start(hosts.spawn, SUBSCRIBER, 2, buffer=212_992, depth=10)
    for rate in (30, 10, 3):  # the lower ones for a machine that cannot move 120 MB/s from host to host
        publisher = start(hosts.spawn, PUBLISHER, 1, rate=rate, size=4_000_000, options=options)
        longest, _ = published(publisher, 3 * rate)
        books = balanced(subscriber, 3 * rate)
        publisher.process.close_stdin()
        publisher.process.wait()
        if not books["lost"]:
            return
        assert longest > 0.05, (rate, books)  # publish() had to wait as long as it ever does: too much for the machine
        subscriber.process.close_stdin()
        subscriber.process.wait()
        subscriber = start(hosts.spawn, SUBSCRIBER, 2, buffer=212_992, depth=10)
    pytest.fail(f"at no rate without loss: {books}")


def test_large_messages_of_several_publishers_into_one_default_buffer(spawn, way):
    subscriber = start(spawn, SUBSCRIBER, buffer=212_992, patient=True)
    publishers = [start(spawn, PUBLISHER, rate=20, size=1_000_000, patient=True) for _ in range(3)]
    for publisher in publishers:
        publisher.process.wait_line("matched", 40)
        publisher.process.send_line("publish 30")
    for publisher in publishers:
        publisher.process.wait_line("published", 40)
    books = balanced(subscriber, 90)
    assert not books["lost"], books
