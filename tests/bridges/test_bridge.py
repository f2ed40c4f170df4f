"""Bridges as a whole, over an engine that is memory: what crosses, and what becomes of it."""

from __future__ import annotations

import logging
import threading
from collections import namedtuple

import pytest

import ipcpy as ipc
from ipcpy.bridges.memory import MemoryAdapter, Sky
from sites import drain, meet, sites, wait_until

Imu = namedtuple("Imu", "gx gy")
LIBRARY = ipc.MsgLibrary({23: ("<2f", Imu)})


@pytest.fixture
def make():
    with sites() as made:
        yield made


@pytest.fixture
def sky() -> Sky:
    return Sky()


@pytest.fixture
def two(make, sky):
    """Site a, a robot with a prefix, and site b, with a bridge each."""
    a, b = make("a"), make("b")
    a.link, b.link = sky.adapter(), sky.adapter()
    a.bridge_here, b.bridge_here = a.bridge(a.link, ipc.Rules(prefix="robot7")), b.bridge(b.link)
    return a, b


def test_a_subscriber_beyond_gets_the_same_tuples_numbers_times_and_publisher(two) -> None:
    a, b = two
    pub, sub = a.publisher("imu", LIBRARY), b.subscriber("robot7/imu")
    for n in range(10):
        pub.publish(Imu(n, n))  # to nobody: it is not lost for who comes later
    meet(pub, sub)
    for n in range(3):
        pub.publish(Imu(n, 0.5))
    got = [sub.recv(20) for _ in range(3)]
    assert [(type(each.data).__name__, *each.data) for each in got] == [("Imu", n, 0.5) for n in range(3)]
    assert [each.seq for each in got] == [11, 12, 13]
    assert {each.publisher for each in got} == {pub.id}
    assert all(0 <= each.received_ns - each.sent_ns < 5e9 for each in got)
    assert sub.stats.lost == {}


def test_discovery_says_where_it_comes_from(two) -> None:
    a, b = two
    pub = a.publisher("imu", LIBRARY, reliable=True, keep=3)
    ear = b.node("ear")
    topic = wait_until(lambda: next((each for each in ear.topics() if each.name == "robot7/imu"), None))
    (found,) = topic.publishers
    assert (found.id, found.codec, found.reliable, found.keep) == (pub.id, "struct", True, 3)
    assert dict(found.schema) == dict(LIBRARY.schema)
    told = {name: found.via[name] for name in ("bridge", "engine", "node", "path")}
    assert told == {"bridge": "a-bridge", "engine": "memory", "node": "a-pub", "path": [a.bridge_here.id]}


def test_what_nobody_beyond_subscribes_to_does_not_cross(two, sky) -> None:
    a, b = two
    pub, sub = a.publisher("camera", ipc.Raw()), b.subscriber("robot7/camera")
    meet(pub, sub)
    pub.publish(b"1")
    assert bytes(sub.recv(20).data) == b"1"
    sub.close()
    wait_until(lambda: not pub.subscribers)
    crossed = sky.parcels
    pub.publish(b"2")
    again = b.subscriber("robot7/camera")
    meet(pub, again)
    pub.publish(b"3")
    assert (bytes(again.recv(20).data), again.stats.lost) == (b"3", {})
    assert sky.parcels == crossed + 2, "the number with which it begins, and one message"


def test_commands_go_the_other_way_with_the_prefix_taken_off(two) -> None:
    a, b = two
    pub, sub = b.publisher("robot7/cmd"), a.subscriber("cmd")
    meet(pub, sub)
    pub.publish({"speed": 1.5})
    assert sub.recv(20).data == {"speed": 1.5}


def test_latched_topics_cross_latched(two) -> None:
    a, b = two
    pub = a.publisher("map", keep=2)
    for n in range(4):
        pub.publish(n)
    first = b.subscriber("robot7/map")
    assert [first.recv(20).data for _ in range(2)] == [2, 3]
    second = b.subscriber("robot7/map")
    assert [second.recv(20).data for _ in range(2)] == [2, 3]
    first.close()
    second.close()
    wait_until(lambda: not pub.subscribers)
    pub.publish(4)
    third = b.subscriber("robot7/map")
    assert [third.recv(20).data for _ in range(2)] == [3, 4], "what was kept here when nobody listened is not shown"


def test_a_latched_topic_reaches_a_third_site_that_comes_late(make, two, sky) -> None:
    a, b = two
    pub = a.publisher("map", keep=2)
    for n in range(4):
        pub.publish(n)
    assert b.subscriber("robot7/map").recv(20).data == 2
    c = make("c")
    c.bridge(sky.adapter())
    late = c.subscriber("robot7/map")
    assert [late.recv(20).data for _ in range(2)] == [2, 3]


def test_large_arrays_cross_whole_and_in_order(two) -> None:
    a, b = two
    np = pytest.importorskip("numpy")
    pub, sub = a.publisher("image"), b.subscriber("robot7/image")
    meet(pub, sub)
    dice = np.random.default_rng(7)
    images = [dice.integers(0, 255, (300, 400, 3), "uint8") for _ in range(5)]
    for n, image in enumerate(images):
        pub.publish({"n": n, "image": image})
        got = sub.recv(20).data
        assert got["n"] == n
        assert (got["image"] == image).all()


def test_reliable_topics_cross_reliably(two) -> None:
    a, b = two
    pub, sub = a.publisher("log", reliable=True), b.subscriber("robot7/log", depth=5000)
    meet(pub, sub)
    for n in range(2000):
        pub.publish(n)
    assert [sub.recv(20).data for _ in range(2000)] == list(range(2000))


def test_the_link_goes_away_and_comes_back_and_what_was_lost_is_counted(two, caplog) -> None:
    caplog.set_level(logging.INFO)
    a, b = two
    pub, sub = a.publisher("imu", LIBRARY), b.subscriber("robot7/imu")
    meet(pub, sub)
    pub.publish(Imu(0, 0))
    sub.recv(20)
    a.link.cut("the router is gone")
    wait_until(lambda: not sub.publishers and not pub.subscribers)
    assert a.bridge_here.status().state == "away"
    assert a.bridge_here.status().detail == "the router is gone"
    for n in range(50):
        pub.publish(Imu(n, 1))
    a.link.mend()
    meet(pub, sub)
    pub.publish(Imu(7, 7))
    assert (sub.recv(20).seq, sub.stats.lost) == (52, {"network": 50})
    (taken,) = b.bridge_here.status().imports
    assert (taken.received, dict(taken.missing), taken.doubles) == (2, {"link": 50}, 0)
    assert a.bridge_here.status().outages == 1
    assert "the link is away, and is tried again: the router is gone" in caplog.text


def test_what_a_rate_leaves_out_is_in_the_books_on_both_sides(make, sky) -> None:
    a, b = make("a"), make("b")
    here, there = a.bridge(sky.adapter(), ipc.Rules(rate={"imu": 5})), b.bridge(sky.adapter())
    pub, sub = a.publisher("imu"), b.subscriber("imu")
    meet(pub, sub)
    for n in range(100):
        pub.publish(n)
    while sub.recv(20).data != 99:  # the newest crosses, though nothing follows it
        pass
    wait_until(lambda: here.status().exports[0].sent + here.status().exports[0].left_out.get("rate", 0) == 100)
    wait_until(lambda: here.status().exports[0].sent == there.status().imports[0].received)
    (out,), (into,) = here.status().exports, there.status().imports
    assert out.sent + out.left_out["rate"] == 100
    assert into.received == out.sent
    assert into.missing.get("left out", 0) + into.received == 100


def test_while_the_uplink_is_full_the_newest_waits_and_the_others_are_counted(two) -> None:
    a, b = two
    pub, sub = a.publisher("camera", ipc.Raw()), b.subscriber("robot7/camera")
    meet(pub, sub)
    a.link.full.set()
    for n in range(50):
        pub.publish(bytes([n]) * 1000)
    wait_until(lambda: a.bridge_here.status().exports[0].left_out.get("uplink", 0) == 49)
    a.link.full.clear()
    assert bytes(sub.recv(20).data) == bytes([49]) * 1000


def test_both_ends_may_publish_the_same_name(two) -> None:
    a, b = two
    there, sub = b.publisher("robot7/imu"), a.subscriber("imu")
    here, ear = a.publisher("imu"), b.subscriber("robot7/imu")
    sub.wait_for_publishers(2, timeout=20)
    ear.wait_for_publishers(2, timeout=20)
    here.wait_for_subscribers(2, timeout=20)
    there.wait_for_subscribers(2, timeout=20)
    for n in range(20):
        here.publish(("a", n))
        there.publish(("b", n))
    for each in (sub, ear):
        got = sorted((data[0], data[1]) for data in (message.data for message in drain(each, 40)))
        assert got == [(side, n) for side in "ab" for n in range(20)]


def test_two_bridges_of_one_lan_bring_each_message_once(make, sky) -> None:
    a, b = make("a"), make("b")
    bridges = [site.bridge(sky.adapter(), name=f"{site.name}{n}") for site in (a, b) for n in (1, 2)]
    pub, sub = a.publisher("imu"), b.subscriber("imu")
    meet(pub, sub)
    for n in range(50):
        pub.publish(n)
    assert [message.data for message in drain(sub, 50)] == list(range(50))
    assert sum(bridge.status().summary()["received"] for bridge in bridges) == 50
    assert sub.stats.duplicates == 0
    back = a.subscriber("imu")
    meet(pub, back)
    pub.publish("x")
    assert [message.data for message in drain(back, 1)] == ["x"], "nothing comes back to where it came from"


def test_when_one_of_two_bridges_ends_the_other_takes_over(make, sky) -> None:
    a, b = make("a"), make("b")
    a.bridge(sky.adapter())
    bridges = [b.bridge(sky.adapter(), name=f"b{n}") for n in (1, 2)]
    pub, sub = a.publisher("imu"), b.subscriber("imu")
    meet(pub, sub)
    pub.publish(0)
    assert sub.recv(20).data == 0
    (at_work,) = [bridge for bridge in bridges if bridge.status().imports]
    at_work.close()
    wait_until(lambda: any(bridge.status().imports for bridge in bridges if bridge is not at_work), timeout=20)
    meet(pub, sub)
    wait_until(lambda: pub.subscribers and sub.publishers)
    pub.publish(1)
    assert sub.recv(20).data == 1
    assert sub.stats.duplicates == 0


def test_in_a_ring_of_three_sites_each_message_arrives_once(make) -> None:
    a, b, c = make("a"), make("b"), make("c")
    for one, other in ((a, b), (b, c), (c, a)):
        between = Sky()
        one.bridge(between.adapter(), name=f"{one.name}-{other.name}")
        other.bridge(between.adapter(), name=f"{other.name}-{one.name}")
    pub = a.publisher("imu")
    ears = [b.subscriber("imu"), c.subscriber("imu")]
    for ear in ears:
        meet(pub, ear)
    home = a.subscriber("imu")
    meet(pub, home)
    for n in range(30):
        pub.publish(n)
    for ear in (*ears, home):
        assert [message.data for message in drain(ear, 30)] == list(range(30))
        assert ear.stats.duplicates == 0
    pub.close()
    wait_until(lambda: not any(ear.publishers for ear in ears), timeout=20)


def test_a_site_in_the_middle_hands_on_as_far_as_the_hops_allow(make) -> None:
    a, b, c = make("a"), make("b"), make("c")
    left, right = Sky(), Sky()
    a.bridge(left.adapter())
    b.bridge(left.adapter(), name="b-left")
    b.bridge(right.adapter(), name="b-right")
    c.bridge(right.adapter())
    pub, sub = a.publisher("imu"), c.subscriber("imu")
    meet(pub, sub)
    pub.publish(1)
    message = sub.recv(20)
    assert (message.data, message.publisher) == (1, pub.id)
    assert (sub.publishers[0].via["node"], len(sub.publishers[0].via["path"])) == ("a-pub", 2)


def test_an_offer_that_cannot_be_announced_here_is_told_once_and_hurts_nothing(two, caplog) -> None:
    from ipcpy.bridges.offers import Offer

    a, b = two
    wrong = Offer("ee" * 8, "odd", "x" * 64, {"deep": ["x" * 70_000]}, path=("dd" * 8,))
    b.link.ears.offered(wrong)
    wait_until(lambda: "cannot be announced" in caplog.text)
    pub, sub = a.publisher("imu"), b.subscriber("robot7/imu")
    meet(pub, sub)
    pub.publish(1)
    assert sub.recv(20).data == 1


def test_a_bridge_says_how_it_is_to_all_on_its_lan(two) -> None:
    a, _ = two
    seen = a.subscriber(f"ipcpy/bridge/{a.bridge_here.id}")
    while (told := seen.recv(20).data).get("state") != "linked":
        pass
    assert (told["name"], told["engine"], told["detail"]) == ("a-bridge", "memory", "the sky")


def test_a_bridge_ends_at_once_and_leaves_nothing(make, sky) -> None:
    a, b = make("a"), make("b")
    a.bridge(sky.adapter())
    bridge = b.bridge(sky.adapter())
    pub, sub = a.publisher("imu"), b.subscriber("imu")
    meet(pub, sub)
    before = threading.active_count()
    bridge.close()
    bridge.close()
    assert bridge.closed
    assert repr(bridge) == "<ipcpy.Bridge 'b-bridge' memory closed>"
    wait_until(lambda: not sub.publishers and not pub.subscribers)
    assert threading.active_count() < before


def test_without_a_node_it_has_one_of_its_own_and_carries_what_its_process_publishes(make, sky) -> None:
    b = make("b")
    b.bridge(sky.adapter())
    with ipc.Publisher("imu") as pub, b.subscriber("imu") as sub:
        before = threading.active_count()
        bridge = ipc.Bridge(sky.adapter(), name="here")
        meet(pub, sub)
        pub.publish(7)
        assert sub.recv(20).data == 7
        assert sub.publishers[0].via["bridge"] == "here"
        bridge.close()
        wait_until(lambda: threading.active_count() <= before)


@pytest.mark.parametrize("wrong", [{"hops": 0}, {"hops": True}, {"name": ""}, {"name": "a\nb"}, {"node": "n"}])
def test_what_is_wrong_is_refused_at_once(wrong) -> None:
    with pytest.raises(ipc.ArgumentError):
        ipc.Bridge(MemoryAdapter(Sky()), **wrong)


def test_topics_are_whole_names_to_a_bridge_whatever_its_node_makes_of_names(make, sky) -> None:
    a, b = make("a"), make("b")
    naming = {"namespace": "depot", "remap": "/imu:=/gps,/robot7/imu:=/gps"}
    with (
        ipc.Bridge(sky.adapter(), ipc.Rules(prefix="robot7"), name="a", node=a.node("a-bridge", **naming)) as here,
        ipc.Bridge(sky.adapter(), name="b", node=b.node("b-bridge", **naming)),
    ):
        pub, sub = a.publisher("imu"), b.subscriber("robot7/imu")
        meet(pub, sub)
        pub.publish(7)
        assert sub.recv(20).data == 7
        eye = a.node("eye")
        wait_until(lambda: f"ipcpy/bridge/{here.id}" in [topic.name for topic in eye.topics()])


def test_services_do_not_cross_as_topics_and_parameters_are_seen_beyond_as_the_latched_topic_that_they_are(two) -> None:
    a, b = two
    service = ipc.Service("arm/move", lambda data: data, node=a.node("arm"))
    found = ipc.Parameters("camera", {"gain": 1.5}, node=a.node("camera"))
    with service, found, ipc.Subscriber("**", node=b.node("ear")) as sub:
        seen = {}
        while "robot7/camera/parameters" not in seen:
            message = sub.recv(20)
            seen[message.topic] = message.data
        assert "gain" in str(seen["robot7/camera/parameters"])
        own = [t.name for t in b.node("eye").topics(hidden=True) if t.name.startswith("@ipcpy/") and t.publishers]
        assert own == []
        assert {each.topic for each in a.bridge_here.status().exports} == {"camera/parameters"}
