"""What goes beside the order of a topic: to whoever is matched, changing nothing of the topic."""

from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.protocol import wire
from ipcpy.protocol.wire import Kind
from ipcpy.publishing.aside import Aside
from ipcpy.subscribing.asides import take_asides
from lan_process import wait_until


@pytest.fixture
def pair():
    """Return a reliable publisher and a subscriber of it that takes what comes aside."""
    with ipc.Publisher("aside", ipc.Raw(), reliable=True) as pub, ipc.Subscriber("aside", ipc.Raw()) as sub:
        take_asides(sub, lambda *_: False)
        pub.wait_for_subscribers(timeout=20)
        yield pub, sub


def test_what_goes_aside_arrives_without_a_number_and_is_not_in_the_books(pair):
    pub, sub = pair
    assert Aside(pub).send(b"beside")
    message = sub.recv(timeout=20)
    assert (message.data, message.seq, message.publisher, message.topic) == (b"beside", 0, pub.id, "aside")
    pub.publish(b"in order")
    assert sub.recv(timeout=20)[:3] == (b"in order", "aside", 1)
    assert (pub.stats.published, sub.stats.received, sub.stats.lost) == (1, 1, {})


def test_to_nobody_and_what_is_too_large_for_a_datagram_does_not_go():
    with ipc.Publisher("aside", reliable=True) as pub:
        aside = Aside(pub)
        assert not aside.send(b"x")
        with ipc.Subscriber("aside"):
            pub.wait_for_subscribers(timeout=20)
            assert aside.send(b"x")
            assert not aside.send(bytes(wire.MAX_BODY + 1))
        wait_until(lambda: not pub.subscribers)
        assert not aside.send(b"x")
    assert not aside.send(b"x")


def test_a_subscriber_that_is_not_ready_for_it_drops_it():
    with ipc.Publisher("aside", ipc.Raw(), reliable=True) as pub, ipc.Subscriber("aside", ipc.Raw()) as sub:
        pub.wait_for_subscribers(timeout=20)
        assert Aside(pub).send(b"beside")
        pub.publish(b"in order")
        assert sub.recv(timeout=20).data == b"in order"
        assert sub.stats.dropped == {"malformed": 1}


@pytest.mark.parametrize("checked", [True, False])
def test_a_frame_has_a_check_if_some_subscriber_is_on_another_host(pair, checked):
    pub, _ = pair
    sent = []
    aside = Aside(pub)
    outlet = aside._outlet  # the only seam: frames leave by sockets
    outlet.ways, outlet.needs_check = ((sent.append, None),), checked
    assert aside.send(b"body")
    (frame,) = wire.frames(sent[0]) if checked else (None,)
    if frame is not None:
        assert (frame.kind, frame.source, frame.seq, frame.sent_ns) == (Kind.ASIDE, int(pub.id, 16), 0, 0)
        assert bytes(frame.body) == b"body"
    assert len(sent[0]) == wire.HEADER_SIZE + 4 + (wire.CHECK_SIZE if checked else 0)


def test_what_the_system_refuses_did_not_go(pair):
    pub, _ = pair
    aside = Aside(pub)

    def refuse(_):
        raise ConnectionRefusedError

    aside._outlet.ways = ((refuse, None),)
    assert not aside.send(b"body")


@pytest.mark.parametrize("refused", [0, 1])
def test_what_has_gone_one_way_did_go_though_the_system_refused_another(pair, refused):
    pub, _ = pair
    aside, sent = Aside(pub), []

    def refuse(_):
        raise ConnectionRefusedError

    ways = [(sent.append, None), (sent.append, None)]
    ways[refused] = refuse, None
    aside._outlet.ways = tuple(ways)
    assert aside.send(b"body")  # else a request would be asked twice
    assert len(sent) == 1
