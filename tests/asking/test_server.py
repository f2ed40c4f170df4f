"""The interior of a service: who is answered, forged requests, repetitions."""

from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.asking import duties
from ipcpy.asking.envelope import CALL, seal
from ipcpy.asking.names import answers_topic, place_of, requests_topic
from ipcpy.asking.types import AnyEnvelopes, Envelopes, Kind
from lan_process import wait_until


def place(name, node):
    (topic,) = (topic.name for topic in node.topics(hidden=True) if topic.name.startswith(requests_topic(name, "")))
    return place_of(topic)


@pytest.fixture
def done():
    return []


@pytest.fixture
def stranger(serve, there, name, done):
    """Return a publisher of requests made by hand, and what it is to be called by."""
    service = serve(lambda request: done.append(request.data))
    wait_until(lambda: name in [each.name for each in ipc.services(0, there)])
    service_place = place(name, there)
    with ipc.Publisher(
        requests_topic(*service_place), Envelopes(Kind("msgpack", {})), reliable=True, node=there
    ) as pub:
        pub.wait_for_subscribers(timeout=20)
        yield service, service_place.server, pub


def test_requests_of_nobody_who_can_be_answered_are_counted_and_not_done(stranger, done):
    service, _, pub = stranger
    pub.publish(seal(CALL, 1, b"\xc0"))
    pub.publish(b"garbage")
    wait_until(lambda: service.stats.dropped == {"client": 2})
    assert done == []


def test_one_node_cannot_ask_in_the_name_of_another(stranger, done):
    service, server, pub = stranger
    with (
        ipc.Node("thief") as thief,
        ipc.Subscriber(answers_topic(server, pub.id), AnyEnvelopes({}), node=thief),
    ):
        wait_until(lambda: service.stats.dropped.get("forged") == 1)
        pub.publish(seal(CALL, 1, b"\xc0"))
        wait_until(lambda: service.stats.dropped.get("client") == 1)
    assert done == []


def test_a_client_is_answered_whatever_other_nodes_hear_or_leave(stranger, there, done):
    service, server, pub = stranger
    topic = answers_topic(server, pub.id)
    with ipc.Node("thief") as thief, ipc.Subscriber(topic, AnyEnvelopes({}), node=thief):
        wait_until(lambda: service.stats.dropped.get("forged") == 1)
        with ipc.Subscriber(topic, AnyEnvelopes({}), node=there) as answers:
            answers.wait_for_publishers(timeout=20)
            pub.publish(seal(CALL, 1, b"\x01"))
            wait_until(lambda: done == [1])
            thief.close()
            wait_until(lambda: "thief" not in [each.name for each in there.nodes()])
            pub.publish(seal(CALL, 2, b"\x02"))
            wait_until(lambda: done == [1, 2])


def test_a_client_that_was_too_many_has_the_place_of_one_that_leaves(serve, ask, monkeypatch):
    monkeypatch.setattr(duties, "MAX_CLIENTS", 1)
    serve(lambda request: request.data)
    first, second = ask(), ask()
    assert first.call(1, timeout=10) == 1
    with pytest.raises(TimeoutError):
        second.call(2, timeout=0.3)
    first.close()
    assert second.call(3, timeout=10) == 3


def test_repeated_and_malformed_requests_are_counted_and_the_rest_is_done(stranger, there, done):
    service, server, pub = stranger
    with ipc.Subscriber(answers_topic(server, pub.id), AnyEnvelopes({}), node=there) as answers:
        answers.wait_for_publishers(timeout=20)
        for data in (seal(CALL, 1, b"\x01"), seal(CALL, 1, b"\x01"), b"garbage", seal(CALL, 2, b"\x02")):
            pub.publish(data)
        wait_until(lambda: done == [1, 2])
        assert service.stats.dropped == {"repeated": 1, "malformed": 1}
        pub.publish(seal(CALL, 3, b"\xc1"))  # no msgpack
        wait_until(lambda: service.stats.failed == 1)


def test_a_clients_types_that_differ_are_answered_with_what_differs(serve, ask, there, name):
    from collections import namedtuple

    point = namedtuple("Point", "x y")
    serve(lambda request: 1, ipc.MsgLibrary({1: ("<2d", point)}))
    wait_until(lambda: name in [each.name for each in ipc.services(0, there)])
    topic = place(name, there)
    kind = Kind("msgpack", {})
    with ipc.Publisher(requests_topic(*topic), Envelopes(kind), reliable=True, node=there) as pub:
        pub.wait_for_subscribers(timeout=20)
        with ipc.Subscriber(answers_topic(topic.server, pub.id), AnyEnvelopes({}), node=there) as answers:
            answers.wait_for_publishers(timeout=20)
            pub.publish(seal(CALL, 1, b"\x01"))
            assert b"differs" in bytes(answers.recv(timeout=20).data)
