"""Who is told what of lateness, and the events of a subscriber's own topic: with nodes, threads and coroutines."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import pytest

import ipcpy as ipc
from ipcpy.subscribing.timekeeping import OwnTopic
from receiving import NODE, publisher_info
from still import held_by_another_thread

SOON = 0.05  # seconds: a deadline that is over before long
LONG = 30.0  # seconds: one that is not over in a test


@pytest.fixture
def nodes():
    with ipc.Node("reader") as reader, ipc.Node("writer") as writer:
        yield reader, writer


@pytest.fixture
def pair(nodes):
    """``pair(topic="t", rate=None, **options) -> (publisher, subscriber)``, matched."""
    reader, writer = nodes

    def make(topic="t", rate=None, **options):
        sub = ipc.Subscriber(topic, node=reader, **options)
        pub = ipc.Publisher(topic, rate=rate, node=writer)
        pub.wait_for_subscribers(timeout=20)
        return pub, sub

    return make


def kinds(watch, count, timeout=20):
    """Return the kinds of the next events of a topic that have to do with time."""
    found = []
    while len(found) < count:
        event = watch.get(timeout)
        if isinstance(event, ipc.TopicLate | ipc.TopicInTime):
            found.append(event)
    return found


def test_who_does_not_read_is_told_when_a_message_is_late_and_when_it_flows_again(pair):
    told, lateness = [], threading.Semaphore(0)

    def on_late(event):
        told.append((time.monotonic(), event))
        lateness.release()

    pub, sub = pair(deadline=SOON, on_late=on_late)
    pub.publish(1)
    published = time.monotonic()
    assert lateness.acquire(timeout=20)
    pub.publish(2)
    assert lateness.acquire(timeout=20)
    (when, late), (_, in_time) = told[-2:]
    assert (type(late), type(in_time)) == (ipc.TopicLate, ipc.TopicInTime)
    assert when - published >= SOON - 0.001
    assert (late.topic, late.deadline, late.publisher.id) == ("t", SOON, pub.id)
    assert SOON <= late.seconds < in_time.seconds
    sub.close()


@pytest.mark.parametrize("reads", [False, True])
def test_one_is_told_soon_after_the_deadline_whoever_reads(pair, reads):
    """The best of many tries: a slow computer delays some of them."""
    told = threading.Semaphore(0)
    pub, sub = pair(deadline=SOON, on_late=lambda event: told.release() if type(event) is ipc.TopicLate else None)
    delays = []
    for number in range(100):
        while told.acquire(blocking=False):
            pass
        pub.publish(number)
        published = time.monotonic()
        if reads:
            while sub.recv(20).data != number:
                pass
        assert told.acquire(timeout=20)
        delays.append(time.monotonic() - published - SOON)
        if number > 6 and min(delays) < SOON:
            break
    assert min(delays) < SOON
    assert max(delays) > -0.001


def test_who_waits_for_messages_is_told_by_a_watch_and_counts(pair):
    pub, sub = pair(deadline=SOON)
    with sub.watch() as watch:
        pub.publish(1)
        assert sub.recv(20).data == 1
        with pytest.raises(TimeoutError) as error:
            sub.recv(4 * SOON)
        assert "Late: nothing has come on 't' for " in str(error.value)
        assert "; the deadline is 0.05 s." in str(error.value)
        pub.publish(2)
        assert sub.recv(20).data == 2
        assert "Late: " not in sub.why() or sub.stats.late > 1
        late, in_time = kinds(watch, 2)[-2:]
        assert (type(late), type(in_time)) == (ipc.TopicLate, ipc.TopicInTime)
    stats = sub.stats
    assert stats.late >= 1
    assert stats.publishers[pub.id].late == stats.late


def test_messages_that_lie_in_the_socket_of_a_reader_who_is_away_are_not_late(pair):
    """The reader has the socket on lease and computes: what comes meanwhile is read when it is looked at."""
    pub, sub = pair(deadline=2)  # a busy computer lets a thread that publishes wait for as much as a second
    pub.publish(0)
    sub.recv(20)
    stop = threading.Event()

    def publish():
        for _ in ipc.Rate(50):
            pub.publish(1)
            if stop.is_set():
                return

    thread = threading.Thread(target=publish)
    thread.start()
    for _ in range(10):
        sub.recv(20)
        time.sleep(0.3)  # that is what it is about
    stop.set()
    thread.join()
    assert sub.stats.late == 0


def test_without_a_deadline_the_publisher_s_rate_says_what_is_late_and_without_both_nothing_is(pair):
    pub, sub = pair(rate=20)
    plain, other = pair("plain")
    for each in (pub, plain):
        each.publish(1)
    with sub.watch() as watch:
        (late,) = kinds(watch, 1)
    assert late.deadline == 0.2
    assert "Late: nothing has come on 't' for " in sub.why()
    assert "20 a second are promised." in sub.why()
    assert (other.stats.late, "Late" in other.why()) == (0, False)
    assert sub.publishers[0].rate == 20


def test_a_publisher_that_promises_less_than_the_deadline_is_said_to_once(pair, nodes, caplog):
    _, sub = pair(rate=2, deadline=0.3)
    expected = "promises 2 messages a second on 't': fewer than one in 0.3 s, which is the deadline here"
    assert caplog.text.count(expected) == 1
    assert sub.why().count(expected) == 1
    pair("enough", rate=4, deadline=0.3)
    assert caplog.text.count("promises") == 1


def test_a_watch_tells_first_what_is_there_and_late_and_then_what_changes(pair, nodes):
    _, writer = nodes
    pub, sub = pair(deadline=SOON)
    with sub.watch() as early:
        kinds(early, 1)
    with sub.watch() as watch:
        found, late = watch.get(20), watch.get(20)
        assert (type(found), found.publisher.id) == (ipc.PublisherFound, pub.id)
        assert type(late) is ipc.TopicLate
        other = ipc.Publisher("other", node=writer)
        pub.publish(1)
        assert type(watch.get(20)) is ipc.TopicInTime
        pub.close()
        other.close()
        last = {}
        while len(last) < 2:  # in either order, by how long closing takes
            event = watch.get(20)
            last[type(event)] = event
        lost = last.pop(ipc.PublisherLost)
        assert (lost.publisher.id, lost.reason) == (pub.id, "closed")
        assert set(last) == {ipc.TopicLate}, "nothing comes, whatever the reason"
    with pytest.raises(ipc.ClosedError):
        watch.get()


def test_a_watch_of_a_pattern_tells_of_each_topic_by_itself(nodes):
    reader, writer = nodes
    pubs = {name: ipc.Publisher(f"arm/{name}", node=writer) for name in ("left", "right")}
    with ipc.Subscriber("arm/*", deadline=SOON, node=reader) as sub, sub.watch() as watch:
        for pub in pubs.values():
            pub.wait_for_subscribers(timeout=20)
        assert {event.topic for event in kinds(watch, 2)} == {"arm/left", "arm/right"}
        pubs["left"].publish(1)
        assert kinds(watch, 1)[0].topic == "arm/left"


def test_coroutines_watch_side_by_side_with_what_they_receive(pair):
    async def main():
        pub, sub = pair(deadline=SOON)
        late, in_time = asyncio.Event(), asyncio.Event()

        async def watch():
            async for event in sub.watch():
                if isinstance(event, ipc.TopicLate):
                    late.set()
                if isinstance(event, ipc.TopicInTime):
                    in_time.set()

        watching = asyncio.create_task(watch())
        async with asyncio.timeout(20):
            await late.wait()
            in_time.clear()
            pub.publish(1)
            assert (await sub.recv_async()).data == 1
            await in_time.wait()
            sub.close()
            await watching

    asyncio.run(main())


def test_a_watch_ends_with_its_subscriber_or_its_node_and_a_closed_subscriber_has_none(pair, nodes):
    reader, _ = nodes
    _, sub = pair()
    watch = sub.watch()
    sub.close()
    assert [type(event) for event in watch] == [ipc.PublisherFound]
    with pytest.raises(ipc.ClosedError):
        sub.watch()
    _, other = pair("u", deadline=LONG)
    watch = other.watch()
    reader.close()
    assert [type(event) for event in watch] == [ipc.PublisherFound]


def test_a_watch_keeps_its_subscriber_and_one_that_is_closed_or_forgotten_is_told_nothing(pair):
    pub, sub = pair(deadline=LONG)
    told = sub._subscription.timekeeper.told
    watch, other = sub.watch(), sub.watch()
    assert len(told()) == 2
    watch.close()
    del other
    assert told() == []
    watch = sub.watch()
    del sub
    pub.publish(1)
    assert type(watch.get(20)) is ipc.PublisherFound
    assert len(pub.subscribers) == 1


def test_on_late_keeps_its_subscriber_alive_as_a_callback_does_and_ends_with_close(nodes):
    reader, writer = nodes
    pub = ipc.Publisher("t", node=writer)
    told = threading.Event()

    def on_late(event):
        told.set()

    ipc.Subscriber("t", deadline=SOON, on_late=on_late, node=reader)
    pub.wait_for_subscribers(timeout=20)
    assert told.wait(20)
    threads = [thread for thread in threading.enumerate() if thread.name == "ipcpy late t"]
    assert len(threads) == 1
    reader.close()
    threads[0].join(20)
    assert not threads[0].is_alive()


def test_closing_from_within_on_late_is_possible(pair):
    known, closed = threading.Event(), threading.Event()

    def on_late(event):
        known.wait(20)
        sub.close()
        closed.set()

    pub, sub = pair(deadline=0.3, on_late=on_late)
    known.set()
    assert closed.wait(20)
    with pytest.raises(ipc.ClosedError):
        sub.recv()


def test_the_io_thread_does_not_wait_for_who_handles_events(pair):
    """While one on_late is stuck, other subscribers of the node are told."""
    stuck, told = threading.Event(), threading.Event()
    pair("stuck", deadline=SOON, on_late=lambda event: stuck.wait(30))
    pair("other", deadline=SOON, on_late=lambda event: told.set())
    assert told.wait(20)
    stuck.set()


def test_a_thread_that_holds_the_lock_of_the_subscriber_only_delays_what_is_told(pair):
    pub, sub = pair(deadline=SOON)
    with sub.watch() as watch:
        with held_by_another_thread(sub._subscription._lock):
            time.sleep(2 * SOON)
        assert type(kinds(watch, 1)[0]) is ipc.TopicLate


# -- the events of one topic, made of the graph's ----------------------------------------------------------------------


def test_only_publishers_that_match_are_told_of_and_their_nodes_stalls_are_theirs():
    own = OwnTopic("arm/*")
    left, other = publisher_info(1, topic="arm/left"), publisher_info(2, topic="leg")
    stalled = replace(NODE, state="unresponsive")
    assert own(ipc.PublisherFound(left)) == [ipc.PublisherFound(left)]
    assert own(ipc.PublisherFound(other)) == []
    assert own(ipc.NodeFound(NODE)) == []
    assert own(ipc.NodeStalled(stalled)) == [ipc.PublisherStalled(replace(left, node=stalled))]
    assert own(ipc.NodeResumed(NODE)) == [ipc.PublisherResumed(left)]
    assert own(ipc.NodeStalled(replace(stalled, id="f" * 16))) == []
    assert own(ipc.PublisherLost(left, "process died")) == [ipc.PublisherLost(left, "process died")]
    assert own(ipc.PublisherLost(left, "process died")) == own(ipc.PublisherLost(other, "closed")) == []
    assert own(ipc.NodeStalled(stalled)) == []
    assert own(ipc.SubscriberFound(left)) == []


def test_one_that_does_not_answer_when_it_is_found_is_said_to_be_stalled():
    stalled = publisher_info(1, node=replace(NODE, state="unresponsive"))
    assert OwnTopic("t")(ipc.PublisherFound(stalled)) == [ipc.PublisherFound(stalled), ipc.PublisherStalled(stalled)]


def test_what_is_of_the_topic_already_is_handed_on():
    late = ipc.TopicLate("t", 0.2, 0.1, publisher_info(1))
    assert OwnTopic("t")(late) == [late]
