"""Who meets whom: made-up publishers, subscribers and peers; no socket, no thread."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import msgpack
import pytest

from ipcpy.node.introductions import Introductions, node_info
from ipcpy.node.view import View
from ipcpy.protocol.link.entries import NodeEntry, PublisherEntry, SubscriberEntry, pack_entry
from ipcpy.protocol.link.link import (
    EntryChanged,
    Link,
    NodeRefused,
    PeerFound,
    PeerLost,
    PeerMoved,
    PeerResumed,
    PeerReturned,
    PeerStalled,
)

OWN, OTHER, THIRD = 1, 2, 3
AT = ("10.0.0.2", 17_770)


class Publisher:
    """A publisher of this node that takes note of whom it meets."""

    def __init__(self):
        self.met, self.lost, self.verified = [], [], []

    def verify(self, address, *, forgotten=False):
        self.verified.append((address, forgotten))

    def subscriber_found(self, number, info, address):
        self.met.append((number, info.topic, address))

    def subscriber_lost(self, number):
        self.lost.append(number)


class Subscriber:
    """The same of a subscriber."""

    def __init__(self):
        self.met, self.lost, self.is_its_address = [], [], None

    def publisher_found(self, number, info, is_its_address, group):
        self.met.append((number, info.topic, group))
        self.is_its_address = is_its_address

    def publisher_lost(self, number):
        self.lost.append(number)


class Made:
    """Introductions of a node that knows what a test tells it."""

    def __init__(self):
        entry = NodeEntry("own", "h", 1, "1", "d")
        self.link = Link(OWN, pack_entry(entry), "d", bytes(16))
        self.view = View()
        self.view.add_node(OWN, node_info(entry, OWN, None))
        self.publishers, self.subscribers = {}, {}
        self.made = Introductions(self.link, self.view, self.publishers, self.subscribers)

    def publish(self, number, topic, **options):
        """Make a publisher of this node."""
        publisher = self.publishers.setdefault(number, Publisher())
        self.made.change_own(number, PublisherEntry(topic, "raw", **options))
        return publisher

    def subscribe(self, number, topic, port=4_000, **options):
        """Make a subscriber of this node."""
        subscriber = self.subscribers.setdefault(number, Subscriber())
        self.made.change_own(number, SubscriberEntry(topic, "any", port, **options))
        return subscriber

    def find(self, id=OTHER, address=AT):
        """Meet another node."""
        self.link.peers[id] = SimpleNamespace(id=id, address=address, paths={address: None})
        self.made.on_link_event(PeerFound(id, NodeEntry(f"n{id}", "h2", 5, "1", "d"), address))

    def hear(self, number, entry, id=OTHER):
        """Hear another node announce something; None withdraws it."""
        data = entry if entry is None or isinstance(entry, bytes) else pack_entry(entry)
        self.made.on_link_event(EntryChanged(id, number, data))


@pytest.fixture
def made():
    made = Made()
    made.find()
    return made


# -- who meets whom


def test_a_publisher_meets_a_subscriber_that_was_there_before_and_one_that_comes(made):
    made.hear(20, SubscriberEntry("imu", "any", 4_000))
    publisher = made.publish(10, "imu")
    made.hear(21, SubscriberEntry("imu", "any", 4_001))
    assert publisher.met == [(20, "imu", ("10.0.0.2", 4_000)), (21, "imu", ("10.0.0.2", 4_001))]


def test_a_subscriber_meets_a_publisher_that_was_there_before_and_one_that_comes(made):
    made.hear(20, PublisherEntry("imu", "raw", group="239.1.2.3", group_port=5_000))
    subscriber = made.subscribe(10, "imu")
    made.hear(21, PublisherEntry("imu", "raw"))
    assert subscriber.met == [(20, "imu", ("239.1.2.3", 5_000)), (21, "imu", None)]


def test_two_of_this_node_meet_once_each_over_loopback(made):
    publisher, subscriber = made.publish(10, "imu"), made.subscribe(11, "imu", 4_000)
    assert publisher.met == [(11, "imu", ("127.0.0.1", 4_000))]
    assert subscriber.met == [(10, "imu", None)]
    assert subscriber.is_its_address("127.0.0.1") and not subscriber.is_its_address("10.0.0.2")


@pytest.mark.parametrize(
    ("pattern", "meets"), [("robot/*/imu", True), ("robot/**", True), ("robot/1/imu", True), ("robot/*", False)]
)
@pytest.mark.parametrize("publisher_first", [True, False])
def test_patterns_meet_what_they_match_whoever_was_first(made, pattern, meets, publisher_first):
    if publisher_first:
        made.hear(20, PublisherEntry("robot/1/imu", "raw"))
        subscriber = made.subscribe(10, pattern)
    else:
        subscriber = made.subscribe(10, pattern)
        made.hear(20, PublisherEntry("robot/1/imu", "raw"))
    assert bool(subscriber.met) is meets
    publisher = made.publish(11, "robot/1/imu")
    made.hear(21, SubscriberEntry(pattern, "any", 4_000))
    assert (21 in [number for number, *_ in publisher.met]) is meets


def test_two_of_other_nodes_are_shown_and_nobody_of_ours_is_bothered(made):
    publisher, subscriber = made.publish(10, "a"), made.subscribe(11, "b")
    made.find(THIRD, ("10.0.0.3", 17_770))
    made.hear(20, PublisherEntry("imu", "raw"))
    made.hear(30, SubscriberEntry("imu", "any", 4_000), THIRD)
    assert publisher.met == subscriber.met == []
    assert [topic.name for topic in made.view.topics()] == ["a", "b", "imu"]


def test_an_endpoint_that_is_announced_but_collected_meets_nobody(made):
    made.publish(10, "imu")
    made.publishers.clear()
    made.hear(20, SubscriberEntry("imu", "any", 4_000))
    assert [len(topic.subscribers) for topic in made.view.topics()] == [1]


def test_the_addresses_of_a_publishers_node_are_those_that_answered(made):
    made.hear(20, PublisherEntry("imu", "raw"))
    subscriber = made.subscribe(10, "imu")
    assert subscriber.is_its_address("10.0.0.2") and not subscriber.is_its_address("127.0.0.1")
    made.link.peers[OTHER].paths[("10.1.0.2", 17_770)] = None
    assert subscriber.is_its_address("10.1.0.2"), "as they are when it is asked"


# -- changes


def test_a_topic_that_was_withdrawn_or_cannot_be_read_parts_those_who_met(made, caplog):
    publisher = made.publish(10, "imu")
    made.hear(20, SubscriberEntry("imu", "any", 4_000))
    made.hear(20, None)
    made.hear(21, SubscriberEntry("imu", "any", 4_001))
    with caplog.at_level(logging.WARNING, "ipcpy.node.introductions"):
        made.hear(21, b"\xc1")
    assert publisher.lost == [20, 21]
    assert made.link.dropped["entry"] == 1 and "announces what is no publisher or subscriber" in caplog.text
    assert [len(topic.subscribers) for topic in made.view.topics()] == [0]


def test_what_cannot_be_read_of_a_node_is_logged_once_with_the_node_and_the_key(made, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            made.hear(21, msgpack.packb({"e": "s", "t": "imu", "c": "any"}))
        made.hear(22, msgpack.packb({"e": "n", "n": "a", "h": "b", "p": 1, "v": "1", "d": "d"}))
        for _ in range(3):
            reason = "the entry 'n' lacks 'v' (version)"
            made.made.on_link_event(NodeRefused(9, ("10.0.0.9", 17_770), reason))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 3
    assert f"{OTHER:016x} ('n{OTHER}' on h2)" in told[0] and "the entry 's' lacks 'p' (port)" in told[0]
    assert "an entry of a node under another id than 0" in told[1]
    assert told[2].startswith("the node 0000000000000009 at 10.0.0.9:17770: ")
    assert told[2].endswith("the entry 'n' lacks 'v' (version)")


def test_what_a_subscriber_says_of_mismatches_is_shown_and_introduces_nobody_anew(made):
    publisher = made.publish(10, "imu")
    made.hear(20, SubscriberEntry("imu", "struct", 4_000))
    made.hear(20, SubscriberEntry("imu", "struct", 4_000, mismatch={"a": ["gz: f here, d there"], "b": "other"}))
    assert len(publisher.met) == 1
    (topic,) = made.view.topics()
    assert topic.subscribers[0].mismatch == ("gz: f here, d there", "other")


def test_a_subscriber_that_moved_to_another_port_is_introduced_anew(made):
    publisher = made.publish(10, "imu")
    made.hear(20, SubscriberEntry("imu", "any", 4_000))
    made.hear(20, SubscriberEntry("imu", "any", 4_001))
    assert [address[1] for _, _, address in publisher.met] == [4_000, 4_001]


def test_a_node_that_moved_is_introduced_at_its_new_address(made):
    publisher = made.publish(10, "imu")
    made.hear(20, SubscriberEntry("imu", "any", 4_000))
    made.link.peers[OTHER].address = ("10.1.0.2", 17_771)
    made.made.on_link_event(PeerMoved(OTHER, ("10.1.0.2", 17_771)))
    assert publisher.met[-1] == (20, "imu", ("10.1.0.2", 4_000))
    assert [node.address for node in made.view.nodes()] == ["10.1.0.2:17771", None]


def test_a_node_that_is_lost_takes_all_it_had(made):
    publisher, subscriber = made.publish(10, "imu"), made.subscribe(11, "odom")
    made.hear(20, SubscriberEntry("imu", "any", 4_000))
    made.hear(21, PublisherEntry("odom", "raw"))
    made.made.on_link_event(PeerLost(OTHER, "process died"))
    assert 20 in publisher.lost and 21 in subscriber.lost
    assert [node.name for node in made.view.nodes()] == ["own"]
    made.hear(22, SubscriberEntry("imu", "any", 4_000))
    assert len(publisher.met) == 1, "what is not known announces nothing"


def test_a_publisher_that_two_nodes_announce_is_met_again_when_one_of_them_goes(made):
    ear = made.subscribe(7, "imu")
    for id, address in ((OTHER, AT), (THIRD, ("10.0.0.3", 17_770))):
        made.find(id, address)
        made.hear(20, PublisherEntry("imu", "raw", via={"bridge": "b7"}), id)
    made.made.on_link_event(PeerLost(OTHER, "closed"))
    assert ear.lost == [20]
    assert [number for number, *_ in ear.met] == [20, 20, 20]
    assert ear.is_its_address("10.0.0.3") is True
    (topic,) = made.view.topics()
    assert [dict(each.via) for each in topic.publishers] == [{"bridge": "b7"}]


def test_silence_is_shown_and_parts_nobody(made):
    publisher = made.publish(10, "imu")
    made.hear(20, SubscriberEntry("imu", "any", 4_000))
    made.made.on_link_event(PeerStalled(OTHER))
    assert [node.state for node in made.view.nodes()] == ["unresponsive", "alive"]
    made.made.on_link_event(PeerResumed(OTHER))
    assert [node.state for node in made.view.nodes()] == ["alive", "alive"] and publisher.lost == []


def test_who_had_given_us_up_is_challenged_anew(made):
    publisher = made.publish(10, "imu")
    made.hear(20, SubscriberEntry("imu", "any", 4_000))
    made.hear(21, PublisherEntry("imu", "raw"))
    made.made.on_link_event(PeerReturned(OTHER))
    made.made.on_link_event(PeerReturned(THIRD))  # nothing is known of it
    assert [(port, forgotten) for (_, port), forgotten in publisher.verified] == [(4_000, True)]
    assert publisher.lost == []


def test_what_this_node_withdraws_meets_nobody_any_more(made):
    publisher = made.publish(10, "imu")
    made.made.change_own(10, None)
    made.made.change_own(10, None)
    made.hear(20, SubscriberEntry("imu", "any", 4_000))
    assert publisher.met == [] and made.made.published(made.link.id) == ()


def test_what_this_node_changed_is_met_under_its_new_topic_only(made):
    publisher = made.publish(10, "before")
    made.publish(10, "after")
    made.hear(20, SubscriberEntry("before", "any", 4_000))
    made.hear(21, SubscriberEntry("after", "any", 4_001))
    assert [number for number, *_ in publisher.met] == [21]


def test_stale_addresses_are_challenged_anew_and_no_others(made):
    publisher = made.publish(10, "imu")
    made.hear(20, SubscriberEntry("imu", "any", 4_000))
    made.hear(21, SubscriberEntry("imu", "any", 4_001))
    made.made.renew(set())
    made.made.renew({("10.0.0.2", 4_001), ("10.0.0.9", 4_000)})
    assert [number for number, *_ in publisher.met] == [20, 21, 21]


# -- what is asked


def test_the_topics_published_are_each_named_once_in_order(made):
    made.publish(10, "b")
    made.publish(11, "a")
    made.publish(12, "b")
    made.subscribe(13, "c")
    made.hear(20, PublisherEntry("d", "raw"))
    assert made.made.published(made.link.id) == ("a", "b")
    made.made.change_own(10, None)
    assert made.made.published(made.link.id) == ("a", "b")


def test_the_topics_of_other_nodes_are_known_too_but_those_of_ipcpy_s_own(made):
    made.hear(20, PublisherEntry("d", "raw"))
    made.hear(21, PublisherEntry("@ipcpy/x", "raw"))
    made.hear(22, SubscriberEntry("e", "any", 4_000))
    assert made.made.published(OTHER) == ("d",)
    assert made.made.published(OTHER + 1) == ()


def test_the_node_that_listens_at_an_address_is_found(made):
    made.subscribe(10, "imu", 4_000)
    made.hear(20, SubscriberEntry("imu", "any", 4_001))
    made.hear(21, PublisherEntry("imu", "raw"))
    assert made.made.node_listening_at(("10.0.0.2", 4_001)) == OTHER
    assert made.made.node_listening_at(("10.0.0.2", 4_000)) is None
    assert made.made.node_listening_at(("10.0.0.3", 4_001)) is None
    assert made.made.node_listening_at(("127.0.0.1", 4_000)) is None, "that is ourselves"
