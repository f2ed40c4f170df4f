"""Each message either arrives or is counted under a cause: the books balance exactly, whatever happens."""

from __future__ import annotations

import signal

import pytest

import ipcpy as ipc
from books import PIECE, PUBLISHER, SUBSCRIBER, balanced, publish_in_pieces, start
from ipcpy.testing import MemoryNetwork
from lan_process import wait_until


def test_flat_out(spawn):
    subscriber = start(spawn, SUBSCRIBER, buffer=212_992)
    publisher = start(spawn, PUBLISHER)
    publisher.ask("publish", 100_000, answer="published")
    books = balanced(subscriber, 100_000)
    assert set(books["lost"]) <= {"kernel"} and books["order"]
    assert publisher.stats() == [100_000, [[100_000, 0, 0, 0]] * 2]


def test_flat_out_in_batches_and_by_multicast(spawn):
    subscribers = [start(spawn, SUBSCRIBER, buffer=212_992) for _ in range(3)]
    publisher = start(spawn, PUBLISHER, batch=100, wait=3)
    publisher.process.wait_line("matched")
    publisher.ask("publish", 200_000, answer="published")
    for subscriber in subscribers:
        # A POLL goes by unicast and overtakes batches, which go by multicast: these are not lost meanwhile.
        assert set(subscriber.stats()["lost"]) <= {"kernel"}
        assert set(balanced(subscriber, 200_000)["lost"]) <= {"kernel"}
    assert publisher.stats()[1] == [[600_000, 0, 0, 0], *[[200_000, 0, 0, 0]] * 3]


def test_a_subscriber_that_does_not_read(spawn):
    subscriber = start(spawn, SUBSCRIBER, depth=100, read=False)
    publisher = start(spawn, PUBLISHER)
    publish_in_pieces(publisher, [subscriber], 2_000)
    books = balanced(subscriber, 2_000)
    assert books["lost"] == {"inbox": 1_900}
    assert subscriber.ask("latest")[1] == "2000"


def test_stopped_and_resumed(spawn):
    subscriber = start(spawn, SUBSCRIBER, buffer=212_992, depth=1_000)
    publisher = start(spawn, PUBLISHER, rate=3_000)
    publisher.ask("publish", 100, answer="published")
    subscriber.process.signal(signal.SIGSTOP)
    longest, _ = map(float, publisher.ask("publish", 6_000, answer="published")[1].split())
    subscriber.process.signal(signal.SIGCONT)
    books = balanced(subscriber, 6_100)
    assert books["lost"].get("kernel", 0) > 1_000 and not books["lost"].get("network")
    assert longest < 3


@pytest.mark.parametrize("size, count", [(64, 2_000), (100_000, 30)])
def test_loss_between_hosts(lan, size, count):
    hosts = lan(2, switch="user", seed=3)
    hosts.impair(loss=0.1, reorder=0.02, duplicate=0.02, delay=0.001, jitter=0.0005)
    subscriber = start(hosts.spawn, SUBSCRIBER, 2)
    publisher = start(hosts.spawn, PUBLISHER, 1, rate=2_000 if size < 1_000 else 20, size=size)
    publisher.ask("publish", count, answer="published")
    books = balanced(subscriber, count)
    if size < 1_000:
        assert set(books["lost"]) == {"network"} and 100 < books["lost"]["network"] < 300
    else:
        assert not books["lost"]  # what is large is asked for again


def test_incomplete_large_messages(lan):
    hosts = lan(2, switch="user", seed=3)
    subscriber = start(hosts.spawn, SUBSCRIBER, 2)
    publisher = start(hosts.spawn, PUBLISHER, 1, rate=30, size=100_000)
    publisher.process.wait_line("matched", 40)
    hosts.impair(loss=0.8)
    published = 0

    def some_are_lost():  # which, and after how many, is a matter of how fast the two computers ask again
        nonlocal published
        publisher.ask("publish", 30, answer="published")
        published += 30
        return subscriber.stats()["lost"]

    wait_until(some_are_lost, 60)
    hosts.heal()  # what was published last may still arrive
    books = balanced(subscriber, published)
    assert books["lost"] and set(books["lost"]) <= {"fragments", "network"}


def test_a_publisher_that_closes_after_its_last_message(spawn):
    subscriber = start(spawn, SUBSCRIBER, buffer=212_992)
    for number in range(1, 6):
        publisher = start(spawn, PUBLISHER, count=20_000, close=True, patient=True)
        publisher.process.wait_line("matched")
        books = balanced(subscriber, 20_000 * number)
        publisher.process.close_stdin()
        publisher.process.wait()
    assert len(books["each"]) == 5 and set(books["each"].values()) == {20_000}


def test_a_publisher_that_closes_where_messages_get_lost(lan):
    hosts = lan(2, switch="user", seed=5)
    hosts.impair(loss=0.1, delay=0.001)
    subscriber = start(hosts.spawn, SUBSCRIBER, 2)
    for number in range(1, 6):
        publisher = start(hosts.spawn, PUBLISHER, 1, count=100, close=True, patient=True)
        balanced(subscriber, 100 * number)
        publisher.process.close_stdin()
        publisher.process.wait()


def test_subscribers_that_come_and_go(spawn):
    publisher = start(spawn, PUBLISHER, rate=2_000)
    for number in range(1, 4):
        subscriber = start(spawn, SUBSCRIBER)
        wait_until(lambda: len(publisher.stats()[1]) == number + 1)  # noqa: B023
        publisher.ask("publish", PIECE, answer="published")
        assert balanced(subscriber, PIECE)["received"] == PIECE
        subscriber.process.close_stdin()
        subscriber.process.wait()
        books = [[PIECE * number, 0, 0, 0], *[[PIECE, 0, 0, 0]] * number]
        wait_until(lambda: publisher.stats()[1] == books)  # noqa: B023
    assert publisher.stats()[0] == 3 * PIECE


def test_corruption_is_malformed_and_lost(lan):
    hosts = lan(2, switch="user", seed=3)
    subscriber = start(hosts.spawn, SUBSCRIBER, 2)
    publisher = start(hosts.spawn, PUBLISHER, 1, rate=2_000)
    publisher.process.wait_line("matched", 40)
    hosts.impair(corrupt=0.1)
    publisher.ask("publish", 2_000, answer="published")
    books = balanced(subscriber, 2_000)
    assert set(books["lost"]) == {"network"} and books["lost"]["network"] > 50


def test_a_host_out_of_reach_for_seconds(lan):
    hosts = lan(2, switch="user")
    subscriber = start(hosts.spawn, SUBSCRIBER, 2)
    publisher = start(hosts.spawn, PUBLISHER, 1, rate=50)
    publisher.ask("publish", 50, answer="published")
    balanced(subscriber, 50)
    hosts.block(1, 2)
    publisher.ask("publish", 250, answer="published")  # 5 s: each thinks that the other is gone
    hosts.heal()
    wait_until(lambda: publisher.ask("wait")[1] == "1", 20, 0.1)
    publisher.ask("publish", 50, answer="published")
    books = balanced(subscriber, 350)
    assert books["received"] >= 100 and set(books["lost"]) == {"network"}


def test_types_that_differ_are_not_sent_at_all():
    with MemoryNetwork() as network:
        subscriber = ipc.Subscriber("x", ipc.Raw(), node=network.node("b"))
        publisher = ipc.Publisher("x", node=network.node("a"))
        wait_until(lambda: "types differ" in subscriber.why())
        for number in range(100):
            publisher.publish(number)
        assert publisher.stats.published == 100 and publisher.stats.handed == 0
        assert subscriber.stats.received == 0 and subscriber.stats.lost == {}


def test_bodies_that_cannot_be_decoded():
    class Wrong(ipc.Raw):
        name = "msgpack"

    with MemoryNetwork() as network:
        subscriber = ipc.Subscriber("x", node=network.node("b"))
        publisher = ipc.Publisher("x", Wrong(), node=network.node("a"))
        publisher.wait_for_subscribers(timeout=10)
        for body in (b"\xc1", b"\x01", b"\x92\x01"):
            publisher.publish(body)
        assert subscriber.recv(timeout=10).data == 1
        publisher.close()
        wait_until(lambda: subscriber.stats.lost == {"codec": 2})
        assert subscriber.stats.received == 1


def test_the_counts_of_a_closed_publisher_stay():
    with MemoryNetwork() as network:
        subscriber = ipc.Subscriber("x", node=network.node("b"))
        publisher = ipc.Publisher("x", node=network.node("a"))
        publisher.wait_for_subscribers(timeout=10)
        publisher.publish_many(range(100))
        publisher.close()
        assert publisher.stats.handed == 100 and publisher.stats.subscribers[subscriber.id].handed == 100
        assert subscriber.stats.received == 100  # close waited for that
