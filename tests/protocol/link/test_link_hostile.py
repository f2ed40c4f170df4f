"""The link against those who lie: forged, mutated, flooding, amplifying; and the bytes of its frames."""

from __future__ import annotations

from collections import Counter
from random import Random

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipcpy.protocol.link import roster, search, table
from ipcpy.protocol.link.entries import NodeEntry, PublisherEntry, pack_entry
from ipcpy.protocol.link.greeting import GREETING_BODY, GREETING_SIZE, KNOCK, STATIC, Greeter, domain_number
from ipcpy.protocol.link.link import Link
from ipcpy.protocol.link.outbox import ALIVE_BODY
from ipcpy.protocol.wire import Kind, frames, pack_frame
from linknet import Network, split

DOMAIN = "d"
EVIL = ("10.0.9.66", 666)


def new_link(id: int = 1) -> Link:
    return Link(id, pack_entry(NodeEntry("n", "h", 7, "1", DOMAIN)), DOMAIN, bytes([id]) * 16, seed=1)


def state(link: Link) -> object:
    """All that a frame could change but counters."""
    return (
        repr(link.peers),
        sorted(link.leads),
        link.table.version,
        list(link.table.frames_after(0)),
        link.datagrams_to_send(),
        link.events(),
        link.next_timer(),
        link._roster.pool.free,
    )


def greeting(kind: Kind, source: int, echo: int, cookie: int, extra: int = 0) -> bytes:
    return pack_frame(kind, source, echo, 0, greeting_body(cookie), extra=extra)


def greeting_body(cookie: int) -> bytes:
    return GREETING_BODY.pack(domain_number(DOMAIN), cookie)


def multicast_cookie(id: int = 1) -> int:
    """Return the cookie of the HELLOs that a link sends to all: whoever hears them knows it."""
    twin = new_link(id)
    twin.greet(0.0)
    twin.handle_timer(0.0)
    ((hello, _),) = twin.datagrams_to_send()
    (frame,) = frames(hello)
    return int(GREETING_BODY.unpack(frame.body)[1])


class Attacker:
    """Somebody with an address of its own, who speaks the protocol, and then badly."""

    def __init__(self, link: Link, id: int = 99, address: tuple[str, int] = EVIL) -> None:
        self.link, self.id, self.address = link, id, address
        link.receive_datagram(greeting(Kind.HELLO, id, 0, 5), address, 0.0)
        ((welcome, _),) = link.datagrams_to_send()
        _, self.token = GREETING_BODY.unpack(next(frames(welcome)).body)
        self.say(Kind.CONFIRM, greeting_body(5))

    def say(self, kind: Kind, body: bytes = b"", now: float = 0.0) -> list[tuple[bytes, tuple[str, int] | None]]:
        self.link.receive_datagram(pack_frame(kind, self.id, self.token, 0, body), self.address, now)
        return self.link.datagrams_to_send()

    def table(self, base: int, to: int, changes: list[object]) -> list[object]:
        return self.say(Kind.TABLE, msgpack.packb([base, to, changes]))


def conversation() -> tuple[Network, list[tuple[bytes, tuple[str, int]]]]:
    """A pair that has met, and one frame of each kind that went to the first."""
    net = Network()
    seen: list[tuple[bytes, tuple[str, int]]] = []
    a = net.node(topics=2)
    receive = a.link.receive_datagram
    a.link.receive_datagram = lambda data, address, now: (seen.append((data, address)), receive(data, address, now))
    b = net.node(topics=3)
    b.hint(a, static=True)
    net.run(3)
    c = net.node()
    net.run(3)
    a.hint(net.node(greet=False))
    net.run(3)
    c.close()
    net.run(0.1)
    a.link.receive_datagram = receive
    kinds = {frame[3]: (frame, address) for data, address in seen for frame in split(data)}
    assert set(kinds) == {16, 17, 18, 19, 20, 21, 22}
    return net, list(kinds.values())


def test_no_bit_of_any_frame_can_be_flipped():
    net, seen = conversation()
    link = net.nodes[1].link
    now = net.now
    before = state(link)
    for data, address in seen:
        for bit in range(8 * len(data)):
            broken = bytearray(data)
            broken[bit >> 3] ^= 1 << (bit & 7)
            link.receive_datagram(bytes(broken), address, now)
    assert state(link) == before
    assert link.dropped.total() >= sum(8 * len(data) for data, _ in seen)


def test_twenty_thousand_mutated_and_random_datagrams_change_nothing():
    net, seen = conversation()
    link, now, random = net.nodes[1].link, net.now, Random(7)
    before = state(link)
    for _ in range(20_000):
        data, address = random.choice(seen)
        broken = bytearray(data)
        for _ in range(random.randrange(1, 5)):
            what, at = random.randrange(4), random.randrange(len(broken))
            if what == 0:
                broken[at] ^= random.randrange(1, 256)
            elif what == 1:
                del broken[at:]
            elif what == 2:
                broken[at:at] = random.randbytes(random.randrange(9))
            else:
                broken = bytearray(random.randbytes(random.randrange(120)))
            if not broken:
                break
        if not broken.startswith(data):
            link.receive_datagram(bytes(broken), address, now)
    assert state(link) == before


def test_mutated_frames_with_right_checks_and_wrong_tokens_change_nothing():
    net, seen = conversation()
    link, now, random = net.nodes[1].link, net.now, Random(8)
    before = state(link)
    for _ in range(5_000):
        data, address = random.choice([one for one in seen if one[0][3] != Kind.HELLO])
        (frame,) = frames(data)
        seq, body = frame.seq ^ 1 << random.randrange(64), bytearray(frame.body)
        if body:
            body[random.randrange(len(body))] ^= random.randrange(256)
        link.receive_datagram(pack_frame(frame.kind, frame.source, seq, 0, bytes(body)), address, now)
        link.receive_datagram(pack_frame(frame.kind, frame.source, frame.seq, 0, bytes(body)), EVIL, now)
    assert state(link) == before
    assert set(link.dropped) <= {"unknown", "domain", "forgotten", "malformed"}
    assert link.dropped["unknown"] > 5_000


def test_whatever_a_peer_says_raises_nothing():
    random, link = Random(9), new_link()
    evil = Attacker(link)
    bodies = [
        msgpack.packb([0, 3, [0, pack_entry(NodeEntry("e", "h", 1, "1", "d")), 5, b"x", 6, None]]),
        ALIVE_BODY.pack(3, 1, 1),
        msgpack.packb(["10.0.0.1", 5, "", 6]),
        greeting_body(3),
        b"",
    ]
    for at in range(20_000):
        body = bytearray(random.choice(bodies))
        for _ in range(random.randrange(4)):
            if body:
                body[random.randrange(len(body))] = random.randrange(256)
        kind = random.choice([*range(16, 24), 1, 2, 3, 99])
        frame = pack_frame(kind, 99, evil.token, 0, bytes(body), extra=random.randrange(4))
        link.receive_datagram(frame, EVIL, at / 1000)
        link.handle_timer(at / 1000)
        assert link.next_timer() > at / 1000
        link.datagrams_to_send(), link.events()
        if 99 not in link.peers:
            evil = Attacker(link)
    assert len(link.peers) <= 1


# -- floods ------------------------------------------------------------------------------------------------------------


def test_hellos_cost_no_memory():
    link = new_link()
    before = state(link)
    for at in range(5_000):
        link.receive_datagram(greeting(Kind.HELLO, 1000 + at, 0, at, at % 4), (f"10.0.{at >> 8}.{at & 255}", 5), 0.0)
        link.datagrams_to_send()
    assert state(link) == before


def test_welcomes_from_whoever_heard_our_multicast_cost_no_memory():
    link = new_link()
    before, heard = state(link), multicast_cookie()
    for at in range(5_000):
        link.receive_datagram(greeting(Kind.WELCOME, 1000 + at, heard, at), EVIL, 0.0)
        ((confirm, to),) = link.datagrams_to_send()
        assert (len(confirm), to) == (GREETING_SIZE, EVIL)
    assert state(link) == before


def test_a_million_entries_of_a_hostile_peer_are_bounded():
    link = new_link()
    evil = Attacker(link)
    evil.table(0, 1, [0, pack_entry(NodeEntry("e", "h", 1, "1", "d"))])
    for at in range(490):
        version = link.peers[99].mirror.version
        evil.table(version, version + 1, [part for n in range(2040) for part in (at * 2040 + n + 1, b"")])
    mirror = link.peers[99].mirror
    assert mirror.size <= table.MAX_BYTES
    assert len(mirror.entries) <= table.MAX_BYTES // table.ENTRY_COST
    assert link.dropped["table full"] > 400
    evil.say(Kind.BYE)
    assert link._roster.pool.free == table.POOL_BYTES


def test_many_hostile_peers_share_one_pool_and_leave_enough_for_others():
    link = new_link()
    big = b"x" * 50_000
    for at in range(20):
        evil = Attacker(link, 1000 + at, ("10.0.9.66", 1 + at))
        for n in range(350):
            evil.table(n, n + 1, [n + 1, big])
    assert link._roster.pool.free < 200_000
    held = sum(peer.mirror.size for peer in link.peers.values())
    assert held <= table.POOL_BYTES + 20 * table.FREE_BYTES
    honest = Attacker(link, 7, ("10.0.0.7", 7))
    honest.table(0, 1, [0, pack_entry(NodeEntry("e", "h", 1, "1", "d"))] + [1, b"x" * 20_000])
    assert link.peers[7].complete


def test_one_host_cannot_have_all_the_peers():
    link = new_link()
    for at in range(roster.MAX_PEERS_AT_HOST + 50):
        Attacker(link, 1000 + at, ("10.0.9.66", 1 + at))
    assert len(link.peers) == roster.MAX_PEERS_AT_HOST
    assert link.dropped["peers"] == 50
    Attacker(link, 7, ("10.0.0.7", 7))
    assert 7 in link.peers
    for at in range(30):
        link.handle_timer(at / 10)
    assert not link.peers


def test_told_addresses_are_bounded_and_no_names():
    link = new_link()
    evil = Attacker(link)
    for at in range(100):
        evil.say(Kind.PEERS, msgpack.packb([part for n in range(64) for part in (f"10.9.{at}.{n + 1}", 5)]))
    assert len(link.leads) == search.MAX_LEADS
    link.hint(("10.0.0.5", 5), 0.0, until=float("inf"))
    assert ("10.0.0.5", 5) in link.leads
    for now in range(100):
        link.handle_timer(float(now))
    assert set(link.leads) <= {("10.0.0.5", 5), EVIL}
    for wrong in ("localhost", "10.0.0", "0.0.0.0", "224.0.0.1", "255.255.255.255", "1.2.3.256", "1.2.3.٤", "a.b.c.d"):
        evil = Attacker(new_link())
        evil.say(Kind.PEERS, msgpack.packb([wrong, 5]))
        assert not evil.link.leads
        assert evil.link.dropped["malformed"] == 1
    evil.say(Kind.PEERS, msgpack.packb(["127.0.0.1", 22]))
    assert not evil.link.leads, "nobody else sends us to knock at our own doors"


def test_removals_that_a_peer_never_acknowledges_are_bounded():
    link = new_link()
    Attacker(link)
    for at in range(3 * table.MAX_REMOVED):
        link.table.put(at + 1, b"x")
        link.table.remove(at + 1)
    assert link.table.removals == table.MAX_REMOVED
    told = sum(len(msgpack.unpackb(body)[2]) // 2 for _, body in link.table.frames_after(0))
    assert told == table.MAX_REMOVED + 1, "and nothing but the node's own entry besides"


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([16, 17, 18, 19, 20, 21, 22]),
            st.integers(2, 5),
            st.sampled_from(["wrong", "multicast"]),
            st.integers(0, 3),
            st.integers(0, 40),
            st.integers(1, 4),
        ),
        max_size=60,
    )
)
def test_an_unverified_address_never_gets_more_than_came_from_it(traffic):
    """Neither bytes nor datagrams; and nothing is remembered."""
    link = new_link()
    link.greet(0.0)
    came: Counter[object] = Counter()
    went: Counter[object] = Counter()
    for at, (kind, source, echo, extra, padding, copies) in enumerate(traffic):
        seq = multicast_cookie() if echo == "multicast" else 12345
        body = greeting_body(7) if kind <= 18 else bytes(padding)
        data = pack_frame(kind, source, seq, 0, body, extra=extra) * copies
        address = ("10.0.9.1", source)
        came[address] += len(data) + 28
        link.receive_datagram(data, address, at / 10)
        link.handle_timer(at / 10)
        for out, to in link.datagrams_to_send():
            went[to] += len(out) + 28
        assert all(went[to] <= came[to] for to in went if to is not None)
    assert not link.peers
    assert not link.leads


def test_somebody_elses_address_cannot_be_taken_without_reading_there():
    net = Network()
    a, b = net.node(), net.node()
    net.run(1, net.whole)
    for kind in (Kind.CONFIRM, Kind.WELCOME, Kind.BYE, Kind.ALIVE, Kind.TABLE, Kind.PEERS):
        for source in (b.link.id, 77):
            a.link.receive_datagram(greeting(kind, source, 4711, 3), b.address(), net.now)
    a.flush()
    assert set(a.link.peers) == {b.link.id}
    net.run(3)
    assert net.whole()


# -- bytes -------------------------------------------------------------------------------------------------------------


def test_golden_frames():
    """What docs/protocol.md promises, byte for byte."""
    greeter = Greeter(0x1122334455667788, "default", bytes(range(16)))
    assert greeter.hello(None).hex() == HELLO
    assert greeter.hello(("192.168.1.2", 17770), STATIC).hex() == STATIC_HELLO
    body = ALIVE_BODY.pack(3, 2, 1)
    assert pack_frame(Kind.ALIVE, 0x1122334455667788, 0xA1B2C3D4E5F60718, 0, body).hex() == ALIVE
    log = table.Table()
    log.put(0, pack_entry(NodeEntry("nav", "robot7", 4242, "2026.11.23", "default", "m", 99)))
    log.put(7, pack_entry(PublisherEntry("imu", "raw")))
    log.put(8, b"x")
    log.remove(8)
    ((_, changes),) = log.frames_after(0)
    assert pack_frame(Kind.TABLE, 0x1122334455667788, 0xA1B2C3D4E5F60718, 0, changes).hex() == TABLE
    assert (KNOCK, STATIC) == (1, 2)


HELLO = "3400011000000000887766554433221100000000000000000000000000000000fe98b07b1ba6b3a296d9d6f2962e409a06c1f7ad"
STATIC_HELLO = (
    "3400011000000200887766554433221100000000000000000000000000000000fe98b07b1ba6b3a2b551b6c0e817442a3f94b724"
)
ALIVE = "350001140000000088776655443322111807f6e5d4c3b2a10000000000000000030000000000000002000000000000000150361c23"
TABLE = (
    "790001130000000088776655443322111807f6e5d4c3b2a100000000000000009400049600c43788a165a16ea16ea36e"
    "6176a168a6726f626f7437a170cd1092a176aa323032362e31312e3233a164a764656661756c74a16da16da1736307c4"
    "1183a165a170a174a3696d75a163a372617708c002b0c16c48"
)


@pytest.mark.parametrize("golden", [HELLO, STATIC_HELLO, ALIVE, TABLE])
def test_golden_frames_are_read(golden):
    (frame,) = frames(bytes.fromhex(golden))
    assert frame.source == 0x1122334455667788


def test_a_sealed_datagram_is_counted_and_its_sender_hears_of_us_once_if_it_is_new():
    """A node without a key cannot read it. The other side is to know of us: by no more bytes than it sent."""
    link, seen = new_link(), []
    sealed = bytes((120, 0, 1, 32, 0, 1)) + bytes(114)
    link.receive_datagram(sealed, EVIL, 0.0)
    assert (link.dropped, link.datagrams_to_send()) == ({"unauthenticated": 1}, [])
    link.on_sealed = lambda data: seen.append(data) or len(seen) == 1
    for _ in range(5):
        link.receive_datagram(sealed, EVIL, 0.0)
    assert seen == [sealed] * 5
    ((told, address),) = link.datagrams_to_send()
    assert address == EVIL and len(told) == GREETING_SIZE < len(sealed)
    assert next(iter(frames(told))).kind == Kind.HELLO
    assert not link.peers and not link.leads
