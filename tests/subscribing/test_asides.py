"""What comes beside the order of a topic: forged, damaged, merged, claimed."""

from __future__ import annotations

from random import Random

import pytest

import ipcpy as ipc
from ipcpy.protocol.data.heads import Place, pack_fragment
from ipcpy.protocol.wire import Kind, pack_frame
from ipcpy.publishing.aside import Aside
from ipcpy.subscribing.asides import Asides, take_asides


@pytest.fixture
def inlet():
    """Return a publisher, its subscriber, what takes datagrams there, and where those of the publisher come from."""
    with ipc.Publisher("asides", ipc.Raw(), reliable=True) as pub, ipc.Subscriber("asides", ipc.Raw()) as sub:
        pub.wait_for_subscribers(timeout=20)
        inbound = sub._subscription._inbound
        (flow,) = inbound.flows.values()
        yield pub, sub, Asides(inbound, lambda *_: False).take, flow.address


def aside(pub, body, codec=0):
    return pack_frame(Kind.ASIDE, int(pub.id, 16), 0, 0, body, codec=codec)


def bodies(sub):
    """Return what is there."""
    found = []
    while True:
        try:
            found.append(sub.recv(timeout=0).data)
        except TimeoutError:
            return found


def test_each_is_a_message_of_its_bytes(inlet):
    pub, sub, take, address = inlet
    take(aside(pub, b"one"), address)
    take(aside(pub, b"x" * 2_000), address)
    assert bodies(sub) == [b"one", b"x" * 2_000]


def test_what_is_forged_or_damaged_is_counted_by_cause(inlet):
    pub, sub, take, address = inlet
    take(aside(pub, b"one"), ("127.0.0.1", 9))
    take(pack_frame(Kind.ASIDE, 7, 0, 0, b"one"), address)
    take(aside(pub, b"one", codec=2), address)
    damaged = bytearray(aside(pub, b"one"))
    damaged[33] ^= 1
    take(bytes(damaged), address)
    assert (bodies(sub), sub.stats.dropped) == ([], {"source": 1, "unknown": 1, "malformed": 2})


def test_several_in_one_buffer_are_taken_one_by_one_beside_those_of_the_topic(inlet):
    pub, sub, take, address = inlet
    data = pack_frame(Kind.DATA, int(pub.id, 16), 1, 1, b"topic")
    take(aside(pub, b"one") + data + aside(pub, b"two") + aside(pub, b""), address)
    assert bodies(sub) == [b"one", b"topic", b"two", b""]
    take(aside(pub, b"one") + b"rubbish", address)
    take(aside(pub, b"one") + b"\x21" + bytes(60_000), address)
    assert bodies(sub) == [b"one", b"one"]
    assert sub.stats.dropped == {"malformed": 1, "version": 2}


def test_one_behind_fragments_in_one_buffer_is_taken_and_so_are_they(inlet):
    pub, sub, take, address = inlet
    body = bytes(range(250)) * 10
    place = Place(codec=0, source=int(pub.id, 16), seq=1, sent_ns=1, size=1_000, total=len(body))
    parts = [body[at : at + 1_000] for at in (0, 1_000, 2_000)]
    fragments = [pack_fragment(place, n * 1_000, [memoryview(part)]) + part for n, part in enumerate(parts)]
    take(b"".join(fragments[:2]) + aside(pub, b"one"), address)
    take(fragments[2], address)
    assert bodies(sub) == [b"one", body]
    assert sub.stats.dropped == {}


def test_one_behind_a_message_in_one_buffer_is_claimed_whoever_takes_the_message(inlet, wait_until):
    pub, sub, _, _ = inlet
    claimed = []
    reads = take_asides(sub, lambda _, body: claimed.append(bytes(body)) or True)
    (route,) = pub._outlet.routes
    for seq in (1, 2):
        frames = pack_frame(Kind.DATA, int(pub.id, 16), seq, 1, b"topic"), aside(pub, b"answer")
        route.socket.send(b"".join(frames))
        wait_until(lambda: reads.wait(0, 0.0) or len(claimed) == seq)  # noqa: B023
    assert (bodies(sub), claimed, sub.stats.dropped) == ([b"topic"] * 2, [b"answer"] * 2, {})


def test_a_flood_displaces_no_message_of_the_topic_and_is_counted(inlet):
    pub, sub, take, address = inlet
    depth = sub._subscription._inbound.intake.inbox.depth
    take(pack_frame(Kind.DATA, int(pub.id, 16), 1, 1, b"topic"), address)
    for _ in range(depth + 5):
        take(aside(pub, b"flood"), address)
    assert bodies(sub) == [b"topic"] + [b"flood"] * (depth - 1)
    assert (sub.stats.dropped, sub.stats.lost, sub.stats.received) == ({"inbox": 6}, {}, 1)


def test_what_gives_way_to_a_message_of_the_topic_is_not_counted_as_one(inlet):
    pub, sub, take, address = inlet
    depth = sub._subscription._inbound.intake.inbox.depth
    for _ in range(depth):
        take(aside(pub, b"flood"), address)
    take(pack_frame(Kind.DATA, int(pub.id, 16), 1, 1, b"topic"), address)
    assert bodies(sub)[-1] == b"topic"
    assert (sub.stats.lost, sub.stats.received) == ({}, 1)


def test_garbage_raises_nothing(inlet):
    pub, sub, take, address = inlet
    random = Random(1)
    good = aside(pub, b"good") + aside(pub, b"better")
    for _ in range(20_000):
        data = bytearray(good[random.randrange(40) :])
        for _ in range(random.choice((1, 2, 5))):
            data[random.randrange(len(data))] = random.randrange(256)
        take(bytes(data), address)
    assert set(bodies(sub)) <= {b"good", b"better"}


def test_who_waits_may_claim_it_where_it_is_read():
    claimed = []

    def claim(publisher, body):
        claimed.append((publisher, body))
        return body != b"not mine"

    with ipc.Publisher("asides", ipc.Raw(), reliable=True) as pub, ipc.Subscriber("asides", ipc.Raw()) as sub:
        messages, wait = take_asides(sub, claim)
        pub.wait_for_subscribers(timeout=20)
        send = Aside(pub).send
        for body in (b"mine", b"not mine"):
            assert send(body)
        while len(claimed) < 2:
            wait(5.0, float("inf"))
        assert claimed == [(pub.id, b"mine"), (pub.id, b"not mine")]
        assert [message.data for message in messages] == [b"not mine"]
