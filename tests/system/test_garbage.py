"""100,000 random and mutated datagrams on every open port change nothing but counters."""

from __future__ import annotations

import random
import socket

import ipcpy as ipc
from ipcpy.protocol.data.batch import pack_batch
from ipcpy.protocol.data.matching import ANSWER_BODY
from ipcpy.protocol.data.reports import POLL_BODY
from ipcpy.protocol.wire import Kind, pack_frame
from ports import own_udp_ports

COUNT = 100_000
SHARED = {5_353, 17_769}  # of mDNS, and the group that nodes greet: other programs may listen there too


def seeds(publisher, subscriber, node):
    """Build valid datagrams of each kind, with the real ids of those attacked."""
    number, to, me = (int(each.id, 16) for each in (publisher, subscriber, node))
    bodies = {
        Kind.DATA: b"12345678",
        Kind.PROBE: bytes(ANSWER_BODY.size),
        Kind.ANSWER: bytes(ANSWER_BODY.size),
        Kind.START: bytes(8),
        Kind.POLL: bytes(POLL_BODY.size),
        Kind.REPORT: bytes(24),
        Kind.MISSING: bytes(12),
        Kind.TABLE: b"\x93\x00\x01\x92\x01\xc4\x01x",
        Kind.ALIVE: bytes(17),
        Kind.BYE: b"",
        Kind.CLOCK: bytes(29),
        Kind.HELLO: bytes(16),
        Kind.WELCOME: bytes(16),
        Kind.CONFIRM: bytes(16),
        Kind.PEERS: b"\x92\xa9127.0.0.1\x01",
    }
    valid = [pack_frame(kind, source, seq, 5, body) for kind, body in bodies.items()
             for source in (number, to, me) for seq in (0, 1, to, 1 << 63)]  # fmt: skip
    return [*valid, pack_batch(number, 1, 5, 0, [b"ab", b"cd"]), pack_batch(number, 1, 5, 0, [b"a", b"cde"])]


def test_garbage_changes_nothing_but_counters(wait_until):
    source, before = random.Random(11), own_udp_ports()
    with ipc.Node("target") as node:
        publisher = ipc.Publisher("precious", ipc.Raw(), node=node)
        subscriber = ipc.Subscriber("precious", node=node)
        publisher.wait_for_subscribers(timeout=20)
        ports = sorted(own_udp_ports() - before - SHARED)
        assert len(ports) == 3, "the link's, the subscriber's, and that of the publisher's way there"
        valid = seeds(publisher, subscriber, node)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
            for number in range(COUNT):
                data = bytearray(source.choice(valid))
                for _ in range(source.choice((0, 1, 1, 2, 8))):
                    data[source.randrange(len(data))] ^= 1 << source.randrange(8)
                if number % 5 == 0:
                    data = bytearray(source.randbytes(source.randrange(200)))
                attacker.sendto(data, ("127.0.0.1", source.choice(ports)))
                if number % 100 == 0:  # queues behind the garbage, so all of that is read
                    publisher.publish(b"%d" % number)
                    assert subscriber.recv(timeout=20).data == b"%d" % number
        assert [peer for peer in node.nodes() if peer.id != node.id and peer.name == "target"] == []
        stats = subscriber.stats
        assert stats.received == COUNT // 100
        assert not stats.lost.get("network")
        at_data, at_link = sum(stats.dropped.values()), sum(node.stats.dropped.values())
        if node.keys:  # its seal counts what came to any port
            assert at_data == 0 and at_link > COUNT // 4 + COUNT // 10
        else:
            assert at_data > COUNT // 4 and at_link > COUNT // 10
        assert publisher.subscribers
        assert len(subscriber.publishers) == 1
        assert len(node.nodes()) < 50


def test_msgpack_bombs_are_counted():
    """A matched publisher whose bodies are bombs costs its own messages only."""
    bombs = [b"\x91" * 60_000, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xffx", b"\xc1", b""]

    class Liar:
        name = "msgpack"
        schema: dict[str, object] = {}

        def encode(self, data):
            return data

        def decode(self, body):
            return body

    with ipc.Publisher("bombs", Liar()) as liar, ipc.Subscriber("bombs") as subscriber:
        liar.wait_for_subscribers(timeout=20)
        for bomb in bombs * 20:
            liar.publish(bomb)
        liar.publish(b"\x2a")
        assert subscriber.recv(timeout=20).data == 42
        assert subscriber.stats.lost == {"codec": 20 * len(bombs)}
        assert subscriber.stats.received == 1
