from __future__ import annotations

import json
import time
from collections import namedtuple

import pytest

import ipcpy as ipc
from ipcpy.bag.capture import Bodies, Capture, Sources
from ipcpy.bag.chunk import Chunk
from ipcpy.testing import MemoryNetwork

Imu = namedtuple("Imu", "x y")
LIBRARY = ipc.MsgLibrary({23: ("<2f", Imu)})


@pytest.fixture
def network():
    with MemoryNetwork() as network:
        yield network


def publish(network, topic, codec, *data, **options):
    pub = ipc.Publisher(topic, codec, node=network.node(f"robot {topic}"), **options)
    if not options.get("keep"):
        pub.wait_for_subscribers(timeout=10)
    for each in data:
        pub.publish(each)
    return pub


def count(chunks: list[Chunk], topic: str) -> int:
    """Return how many messages of a topic's publishers there are, of which others see several views."""
    return sum(
        len(entries) // 2
        for chunk in chunks
        for number, entries in chunk.entries.items()
        if (origin := chunk.catalog.channels[number].origin) is not None and origin.topic == topic
    )


def test_bodies_come_as_they_were_published_whatever_the_codec(network) -> None:
    with ipc.Subscriber("*", Bodies(), node=network.node("reader")) as sub:
        publish(network, "imu", LIBRARY, Imu(1, 2))
        publish(network, "doc", None, {"a": 1})
        publish(network, "raw", ipc.Raw(), b"\0\1")
        got = {message.topic: message.data for message in (sub.recv(timeout=10) for _ in range(3))}
        assert got == {"imu": LIBRARY.encode(Imu(1, 2)), "doc": ipc.MsgPack().encode({"a": 1}), "raw": b"\0\1"}
        assert sub.stats.dropped == {}


def test_bodies_of_many_at_once_come_apart(network) -> None:
    with ipc.Subscriber("imu", Bodies(), node=network.node("reader")) as sub:
        pub = publish(network, "imu", LIBRARY)
        pub.publish_many([Imu(n, 0) for n in range(300)])
        assert [sub.recv(timeout=10).data for _ in range(300)] == [LIBRARY.encode(Imu(n, 0)) for n in range(300)]


def test_a_codec_of_ones_own_is_read_too(network) -> None:
    class Odd:
        name, schema = "odd", {"any": [1]}

        def encode(self, data):
            return bytes(data)

        def decode(self, body):
            raise NotImplementedError

    with ipc.Subscriber("odd", Bodies(), node=network.node("reader")) as sub:
        publish(network, "odd", Odd(), b"xyz")
        assert sub.recv(timeout=10).data == b"xyz"


def test_nothing_is_published_with_it() -> None:
    with pytest.raises(ipc.CodecError):
        Bodies().encode(5)


def test_a_publisher_is_known_though_it_is_gone(network) -> None:
    node = network.node("reader")
    sources = Sources(node)
    with ipc.Subscriber("imu", Bodies(), node=node) as sub:
        pub = publish(network, "imu", LIBRARY, Imu(1, 2))
        message = sub.recv(timeout=10)
        pub.close()
        info = sources.of(message.publisher)
    assert (info.topic, info.codec, info.node.name) == ("imu", "struct", "robot imu")
    assert sources.of("00" * 8) is None
    sources.close()


def test_topics_that_come_later_and_those_of_before_are_recorded(network, wait_until) -> None:
    latched = publish(network, "map", None, {"n": 1}, {"n": 2}, keep=2)
    chunks: list[Chunk] = []
    capture = Capture("**", chunks.append, node=network.node("recorder"))
    wait_until(lambda: latched.subscribers)
    publish(network, "robot/imu", LIBRARY, *[Imu(n, 0) for n in range(10)])
    wait_until(lambda: sum(each.recorded for each in capture.counts().values()) == 12)
    capture.close()
    capture.close()
    assert (count(chunks, "map"), count(chunks, "robot/imu")) == (2, 10)


def test_patterns_that_overlap_record_a_message_once(network, wait_until) -> None:
    chunks: list[Chunk] = []
    capture = Capture(["imu", "*", "**", "imu"], chunks.append, node=network.node("recorder"))
    pub = ipc.Publisher("imu", LIBRARY, node=network.node("robot"))
    pub.wait_for_subscribers(3, timeout=10)
    for n in range(20):
        pub.publish(Imu(n, 0))
    wait_until(lambda: sum(each.recorded for each in capture.counts().values()) == 20)
    books = capture.books()
    capture.close()
    assert count(chunks, "imu") == 20
    assert json.loads(books.told[pub.id])["recorded"] == 20
    assert json.loads(books.told[pub.id])["received"] == 20


def test_what_is_excluded_is_neither_recorded_nor_counted(network, wait_until) -> None:
    chunks: list[Chunk] = []
    capture = Capture("**", chunks.append, node=network.node("recorder"), exclude=["cam/**", "raw"])
    for topic in ("cam/left", "raw"):
        publish(network, topic, None, 1, 2, 3)
    publish(network, "imu", LIBRARY, Imu(1, 2))
    wait_until(lambda: capture.counts())
    books = capture.books()
    capture.close()
    assert [count(chunks, topic) for topic in ("cam/left", "raw", "imu")] == [0, 0, 1]
    assert [json.loads(told)["topic"] for told in books.told.values()] == ["imu"]
    assert set(capture.lost_by_topic()) == {"imu"}


def test_what_was_sent_before_close_is_recorded(network) -> None:
    chunks: list[Chunk] = []
    capture = Capture("imu", chunks.append, node=network.node("recorder"))
    pub = publish(network, "imu", LIBRARY, *[Imu(n, 0) for n in range(100)])
    capture.close()
    assert count(chunks, "imu") == 100
    assert json.loads(capture.books().told[pub.id])["received"] == 100
    assert capture.lost().total() == 0


def test_flush_hands_on_what_there_is(network, wait_until) -> None:
    chunks: list[Chunk] = []
    capture = Capture("imu", chunks.append, node=network.node("recorder"))
    publish(network, "imu", LIBRARY, Imu(1, 2))
    wait_until(lambda: capture.counts())
    capture.flush()
    assert count(chunks, "imu") == 1
    capture.close()


def test_what_is_lost_is_in_the_books_by_cause(wait_until) -> None:
    with MemoryNetwork(loss=0.2, seed=3) as network:
        chunks: list[Chunk] = []
        capture = Capture("imu", chunks.append, node=network.node("recorder"))
        pub = ipc.Publisher("imu", LIBRARY, node=network.node("robot"))
        pub.wait_for_subscribers(timeout=20)
        for n in range(500):
            pub.publish(Imu(n, 0))
            time.sleep(0)
        network.loss = 0.0
        pub.publish(Imu(0, 0))
        wait_until(lambda: count(chunks, "imu") + capture.lost().total() == 501, timeout=20)
        books = json.loads(capture.books().told[pub.id])
        assert books["lost"]["network"] > 0
        assert books["recorded"] + sum(books["lost"].values()) == 501
        assert capture.lost_by_topic()["imu"] == books["lost"]
        capture.close()


def test_a_defect_costs_one_message_and_is_counted(network, wait_until, monkeypatch, caplog) -> None:
    capture = Capture("imu", print, node=network.node("recorder"))
    with monkeypatch.context() as patched:
        patched.setattr(capture.tape, "_add", lambda *_: 1 / 0)
        pub = publish(network, "imu", LIBRARY, Imu(1, 2), Imu(3, 4))
        wait_until(lambda: capture.lost()["recorder"] == 2)
    pub.publish(Imu(5, 6))
    wait_until(lambda: sum(each.recorded for each in capture.counts().values()) == 1)
    assert caplog.text.count("a message could not be recorded") == 1
    capture.close()


@pytest.mark.parametrize("topics", [[], "a b", ["imu", ""], [5]])
def test_wrong_topics_are_refused_and_nothing_stays_open(network, topics) -> None:
    node = network.node("recorder")
    with pytest.raises(ipc.ArgumentError):
        Capture(topics, print, node=node)
    assert not any(topic.subscribers for topic in node.topics())


@pytest.mark.parametrize("rate", [0, -1, True, "5", float("nan")])
def test_a_wrong_rate_is_refused(network, rate) -> None:
    with pytest.raises(ipc.ArgumentError, match="max_rate is a number of messages a second"):
        Capture("**", print, node=network.node("recorder"), max_rate=rate)


def test_what_is_captured_and_left_out_is_under_the_namespace(network):
    chunks = []
    node = network.node("recorder", namespace="r")
    capture = Capture("**", chunks.append, node=node, exclude="gps")
    for topic in ("r/imu", "r/gps"):
        publish(network, topic, None, 1)
    elsewhere = ipc.Publisher("imu", node=network.node("elsewhere"))
    capture.close()
    assert [count(chunks, topic) for topic in ("r/imu", "r/gps")] == [1, 0]
    assert elsewhere.stats.handed == 0
