"""Large messages on one host arrive the same, and are counted the same, by UDP and through shared memory."""

from __future__ import annotations

import signal

import pytest

from books import PUBLISHER, SUBSCRIBER, balanced, start
from lan_process import wait_until

SIZE = 200_000
CALM = 3.0  # seconds: far from for ever, and more than a loaded machine takes
pytestmark = pytest.mark.usefixtures("way")
KINDS = {"best effort": {}, "reliable": {"reliable": True}, "latched": {"keep": 10}}
TOPICS = pytest.mark.parametrize("options", KINDS.values(), ids=list(KINDS))


def publish(publisher, subscriber, count, options):
    """Publish without a pause; of a latched topic, which waits for nobody, no more at a time than it keeps."""
    at_once = options.get("keep", count)
    for published in range(at_once, count + 1, at_once):
        publisher.ask("publish", at_once, answer="published")
        books = balanced(subscriber, published)
    return books


def end(*programs):
    for each in programs:
        each.process.close_stdin()
        each.process.wait()


@TOPICS
def test_flat_out_to_one_that_reads(spawn, options):
    subscriber = start(spawn, SUBSCRIBER, patient=True)
    publisher = start(spawn, PUBLISHER, patient=True, size=SIZE, options=options)
    publisher.process.wait_line("matched", 40)
    books = publish(publisher, subscriber, 200, options)
    assert books["lost"] == {} and books["order"]
    # what is kept is asked for again where the subscriber does not run for a while, but not again and again
    assert books["duplicates"] <= (200 if options else 0)
    wait_until(lambda: subscriber.stats()["taken"] == 200)
    assert publisher.stats()[1][1][0] == 200


@TOPICS
def test_flat_out_in_batches_to_three(spawn, options):
    subscribers = [start(spawn, SUBSCRIBER, patient=True) for _ in range(3)]
    publisher = start(spawn, PUBLISHER, patient=True, size=SIZE, wait=3, batch=10, options=options)
    publisher.process.wait_line("matched", 40)
    at_once = 10 if "keep" in options else 200
    for count in range(at_once, 201, at_once):
        publisher.ask("publish", at_once, answer="published")
        for subscriber in subscribers:
            books = balanced(subscriber, count)
            assert books["lost"] == {} and books["order"]
    assert [each[0] for each in publisher.stats()[1]] == [600, 200, 200, 200]


@TOPICS
def test_one_that_does_not_read_keeps_the_newest(spawn, options):
    subscriber = start(spawn, SUBSCRIBER, patient=True, depth=10, read=False)
    publisher = start(spawn, PUBLISHER, patient=True, size=SIZE, options=options)
    publisher.process.wait_line("matched", 40)
    assert publish(publisher, subscriber, 100, options)["lost"] == {"inbox": 90}
    assert subscriber.ask("latest")[1] == "100"


@pytest.mark.parametrize("reliable", [False, True], ids=["best effort", "reliable"])
def test_one_that_was_stopped_goes_on_and_the_other_never_waited(spawn, reliable):
    stopped, other = start(spawn, SUBSCRIBER, buffer=212_992), start(spawn, SUBSCRIBER)
    publisher = start(spawn, PUBLISHER, size=SIZE, rate=100, wait=2, options={"reliable": reliable})
    publisher.process.wait_line("matched", 40)
    publisher.ask("publish", 20, answer="published")
    assert balanced(stopped, 20)["lost"] == {}
    stopped.process.signal(signal.SIGSTOP)
    longest, _ = map(float, publisher.ask("publish", 600, answer="published", timeout=60)[1].split())
    assert longest < CALM
    assert balanced(other, 620)["lost"] == {}
    stopped.process.signal(signal.SIGCONT)
    books = balanced(stopped, 620, 20)
    assert set(books["lost"]) <= {"inbox"} | ({"given up"} if reliable else {"network", "kernel", "fragments"})
    assert books["order"] or not reliable
    publisher.ask("publish", 20, answer="published")
    assert balanced(other, 640)["lost"] == {}
    assert balanced(stopped, 640)["lost"] == books["lost"]


@TOPICS
def test_publishers_that_close_after_their_last_message(spawn, options):
    subscriber = start(spawn, SUBSCRIBER, patient=True)
    for number in range(1, 6):
        publisher = start(spawn, PUBLISHER, patient=True, count=10, size=SIZE, close=True, options=options)
        publisher.process.wait_line("matched", 40)
        books = balanced(subscriber, 10 * number)
        end(publisher)
    assert books["lost"] == {} and set(books["each"].values()) == {10}


def test_subscribers_that_come_and_go(spawn):
    publisher = start(spawn, PUBLISHER, patient=True, size=SIZE, rate=200)
    for number in range(1, 5):
        subscriber = start(spawn, SUBSCRIBER, patient=True)
        wait_until(lambda number=number: len(publisher.stats()[1]) == number + 1, 20)
        wait_until(lambda: publisher.ask("wait")[1] == "1", 20)
        publisher.ask("publish", 50, answer="published")
        assert balanced(subscriber, 50)["received"] == 50
        end(subscriber)
        books = [[50 * number, 0, 0, 0], *[[50, 0, 0, 0]] * number]
        wait_until(lambda books=books: publisher.stats()[1] == books)


@pytest.mark.parametrize("size", [32_767, 32_768, 65_000, 70_000, 5_000_000, 40_000_000])
def test_any_size(spawn, size):
    subscriber = start(spawn, SUBSCRIBER, patient=True)
    publisher = start(spawn, PUBLISHER, patient=True, size=size)
    publisher.process.wait_line("matched", 40)
    for number in range(1, 6):  # one by one: two of 40 MB are more than is put together at a time
        publisher.ask("publish", 1, answer="published")
        assert balanced(subscriber, number)["received"] == number


@pytest.mark.parametrize("reliable", [False, True], ids=["best effort", "reliable"])
def test_several_publishers_to_several_subscribers(spawn, reliable):
    subscribers = [start(spawn, SUBSCRIBER, patient=True, buffer=212_992) for _ in range(2)]
    publishers = [
        start(spawn, PUBLISHER, patient=True, size=250_000, wait=2, options={"reliable": reliable}) for _ in range(3)
    ]
    for publisher in publishers:
        publisher.process.wait_line("matched", 40)
    for publisher in publishers:
        publisher.process.send_line("publish 20")
    for publisher in publishers:
        publisher.process.wait_line("published", 40)
    for subscriber in subscribers:
        books = balanced(subscriber, 60)
        assert books["lost"] == {} and set(books["each"].values()) == {20}
        assert books["order"] or not reliable  # what a full socket dropped comes late: nobody waits for it
