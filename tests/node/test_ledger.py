"""Who sends what to whom, by what all nodes tell: between nodes, in threads and coroutines, from who is silent."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

import ipcpy as ipc
from ipcpy.protocol.link.inquiry import What

pytestmark = pytest.mark.usefixtures("ipcpy_network")


@pytest.fixture
def nodes(ipcpy_network):
    return [ipcpy_network.node(name) for name in ("camera", "logger", "viewer")]


def matched(nodes, **options):
    publisher, subscriber, viewer = nodes
    sub = ipc.Subscriber("imu", node=subscriber, **options)
    pub = ipc.Publisher("imu", node=publisher)
    assert pub.wait_for_subscribers(timeout=30)
    assert viewer.wait_complete(30)
    return pub, sub, viewer


def flow_of(viewer, wait_until, condition, topic="imu"):
    """Return the flow of a topic once it is as wanted."""
    found = []

    def look():
        found[:] = [flow for flow in viewer.flows(timeout=20) if flow.topic == topic]
        return bool(found) and condition(found[0])

    wait_until(look, timeout=30)
    return found[0]


def test_a_third_node_sees_what_goes_between_two_others(nodes, wait_until):
    pub, sub, viewer = matched(nodes)
    for number in range(7):
        pub.publish(number)
    flow = flow_of(viewer, wait_until, lambda flow: flow.received == 7)
    assert (flow.topic, flow.publisher.id, flow.subscriber.node.name) == ("imu", pub.id, "logger")
    assert (flow.published, flow.sent, flow.sent_bytes, flow.received_bytes, flow.lost) == (7, 7, 7, 7, {})
    assert (flow.way, flow.queued, flow.latency_bound, flow.why) == ("loopback", 7, None, "")
    assert flow.age < 30
    assert [sub.recv(timeout=20).data for _ in range(7)] == list(range(7))
    assert flow_of(viewer, wait_until, lambda flow: flow.queued == 0).received == 7


def test_rate_bandwidth_loss_and_latency_are_there_from_the_second_reading_on(nodes, wait_until):
    pub, _sub, viewer = matched(nodes, depth=2)
    first = flow_of(viewer, wait_until, lambda flow: flow.received is not None)
    assert (first.rate, first.latency_p50) == (None, None)
    for number in range(10):
        pub.publish(number)
    flow = flow_of(viewer, wait_until, lambda flow: flow.rate and flow.latency_p50 is not None)
    assert flow.lost == {"inbox": 8} and flow.loss == 0.8
    assert 0 < flow.latency_min <= flow.latency_p50 <= flow.latency_p99 < 30
    assert flow.latency_bound == 0.0
    assert "inbox, its program does not take them in time" in flow.why


def test_asking_subscribes_to_nothing_and_changes_no_books(nodes, wait_until):
    pub, sub, viewer = matched(nodes)
    pub.publish(1)
    sub.recv(timeout=10)
    before = pub.stats, sub.stats
    for _ in range(5):
        viewer.flows(timeout=20)
    assert (pub.stats, sub.stats) == before
    assert [each.id for each in pub.subscribers] == [flow_of(viewer, wait_until, lambda _: True).subscriber.id]


def test_a_topic_to_nobody_and_a_pattern_are_flows_too(nodes, wait_until):
    publisher, subscriber, viewer = nodes
    with ipc.Publisher("alone", node=publisher) as alone, ipc.Subscriber("arm/**", node=subscriber):
        alone.publish(1)
        with ipc.Publisher("arm/joint", node=publisher) as joint:
            assert joint.wait_for_subscribers(timeout=30)
            flow = flow_of(viewer, wait_until, lambda flow: flow.received == 0, "arm/joint")
            assert flow.subscriber.topic == "arm/**"
            flow = flow_of(viewer, wait_until, lambda flow: flow.published == 1, "alone")
            assert (flow.subscriber, flow.sent) == (None, 0)


def test_large_messages_go_by_shared_memory_and_that_is_said(ipcpy_network, wait_until):
    with ipc.Node("camera") as one, ipc.Node("logger") as other, ipc.Node("viewer") as viewer:
        if not one._core.handovers.limit:  # noqa: SLF001 (whether this system has any)
            pytest.skip("shared memory needs Linux 5.1 or later")
        pub, sub, _ = matched([one, other, viewer])

        def shared():
            pub.publish(os.urandom(100_000))
            sub.recv(timeout=10)
            return [flow.way for flow in viewer.flows(timeout=20)] == ["shared memory"]

        wait_until(shared, timeout=30)


def test_services_are_shown_only_when_they_are_asked_for(nodes, wait_until):
    server, client, viewer = nodes
    with ipc.Service("add", lambda request: len(request.data), node=server), ipc.Client("add", node=client) as add:
        assert add.call(bytes(5_000), timeout=30) == 5_000  # a small call goes beside the topics
        wait_until(lambda: any(flow.received for flow in viewer.flows(hidden=True, timeout=20)), timeout=30)
        assert viewer.flows(timeout=20) == ()
        assert all(flow.topic.startswith("@ipcpy/") for flow in viewer.flows(hidden=True, timeout=20))


def test_coroutines_ask_while_others_run(nodes, wait_until):
    *_held, viewer = matched(nodes)

    async def both():
        return await asyncio.gather(viewer.flows_async(timeout=10), viewer.why_async("imu", timeout=10))

    wait_until(lambda: all(flow.received is not None for flow in viewer.flows()), timeout=30)
    flows, why = asyncio.run(both())
    assert [flow.topic for flow in flows] == ["imu"]
    assert "Subscriber 'logger'" in why


def test_many_threads_ask_at_once(nodes):
    *_held, viewer = matched(nodes)
    found = []
    threads = [threading.Thread(target=lambda: found.append(viewer.flows(timeout=10))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [len(flows) for flows in found] == [1] * 8


def test_a_node_that_does_not_say_that_it_answers_is_shown_without_counts(nodes, wait_until):
    *_held, viewer = matched(nodes)
    peers = viewer._core._link.peers  # noqa: SLF001 (an ipcpy from before is not at hand)
    flow_of(viewer, wait_until, lambda flow: flow.received is not None)
    viewer._core.ledger()._flows.__init__()  # noqa: SLF001 (as one that has just begun)
    peers[int(nodes[1].id, 16)].books = False
    (flow,) = viewer.flows(timeout=10)
    assert (flow.sent, flow.received, flow.lost, flow.rate) == (0, None, {}, None)
    assert "is too old to be asked" in viewer.why("imu", timeout=10)


def test_a_lying_page_is_counted_and_changes_nothing(nodes, wait_until):
    *_held, viewer = matched(nodes)
    flow_of(viewer, wait_until, lambda flow: flow.received is not None)
    ledger = viewer._core.ledger()  # noqa: SLF001 (a peer that lies is not at hand)
    asked = ledger._ask(10.0, False)  # noqa: SLF001
    ledger._inquiries.wait(asked)  # noqa: SLF001
    for question in asked.questions.values():
        question.pages = {0: question.pages[0]._replace(content=b"\xc1 no msgpack")}
    assert [flow.topic for flow in ledger._join(asked, False)] == ["imu"]  # noqa: SLF001
    assert viewer.stats.dropped["malformed"] == len(asked.questions) >= 2
    assert asked.what == What.FLOWS


def test_a_closed_node_says_so(nodes):
    viewer = nodes[2]
    viewer.close()
    for ask in (viewer.flows, lambda: viewer.why("imu")):
        with pytest.raises(ipc.ClosedError):
            ask()


@pytest.mark.parametrize("wrong", ["soon", object()])
def test_a_timeout_that_is_no_number_is_refused(nodes, wrong):
    for ask in (nodes[0].flows, lambda timeout: nodes[0].why("imu", timeout=timeout)):
        with pytest.raises(ipc.ArgumentError):
            ask(timeout=wrong)
    with pytest.raises(ipc.ArgumentError):
        nodes[0].why("not a topic")


def test_a_node_tells_of_its_own_too(nodes):
    with ipc.Publisher("alone", node=nodes[0]) as pub:
        pub.publish(1)
        (flow,) = nodes[0].flows(timeout=10)
        assert (flow.publisher.id, flow.published, flow.subscriber) == (pub.id, 1, None)
