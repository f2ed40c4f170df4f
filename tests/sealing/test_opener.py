"""sealing.opener: what is opened is what was sealed, for this socket, once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ipcpy import fast
from ipcpy.protocol.wire import Kind, pack_frame
from ipcpy.sealing import opener as module
from ipcpy.sealing.datagram import HEAD, OVERHEAD
from ipcpy.sealing.keys import ALGORITHMS, Key
from ipcpy.sealing.opener import TRIES, Opener
from ipcpy.sealing.seal import Seal
from ipcpy.sealing.sessions import EARLY, LAPSE, SWEEP, Session
from sealing import keyring, meet, two_lives

PORT = 9_000
TEXT = b"what is sealed"


@pytest.fixture
def lives() -> tuple[Seal, Seal]:
    return two_lives()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_was_sealed_is_opened(algorithm):
    one, other = two_lives(algorithm)
    sealer, opener = one.sealer(PORT), other.opener(PORT)
    assert [opener.open(sealer.seal(bytes(size))) for size in (1, 1_400, 65_000)] == [
        bytes(1),
        bytes(1_400),
        bytes(65_000),
    ]
    assert not other.refused and not opener.refused


def test_a_wake_up_says_nothing(lives):
    assert lives[1].opener(PORT).open(b"") == b"" and not lives[1].refused


def test_it_comes_once(lives):
    one, other = lives
    sealer, opener = one.sealer(PORT), other.opener(PORT)
    sealed = [sealer.seal(TEXT) for _ in range(200)]
    random.Random(1).shuffle(late := sealed[100:])
    for each in (*sealed[:100], *late):
        assert opener.open(each) == TEXT
    assert [opener.open(each) for each in sealed] == [b""] * 200
    assert opener.refused == other.refused == {"replayed": 200}


def test_the_first_that_come_of_a_stream_may_be_in_any_order(lives):
    sealer, opener = lives[0].sealer(PORT), lives[1].opener(PORT)
    sealed = [sealer.seal(TEXT) for _ in range(EARLY + 2)]
    opened = [opener.open(each) for each in reversed(sealed)]
    assert opened == [TEXT] * (EARLY + 1) + [b""]


def test_another_socket_of_the_node_takes_it_no_more(lives):
    sealer = lives[0].sealer(PORT)
    sealed = sealer.seal(TEXT)
    assert lives[1].opener(PORT).open(sealed) == TEXT
    assert lives[1].opener(PORT).open(sealed) == b""


def test_each_socket_of_a_group_takes_it_once(lives):
    sealed = lives[0].sealer(PORT).seal(TEXT)
    openers = [lives[1].opener(PORT, group=True) for _ in range(3)]
    assert [opener.open(sealed) for opener in openers] == [TEXT] * 3
    assert [opener.open(sealed) for opener in openers] == [b""] * 3


def test_a_group_s_socket_keeps_windows_of_those_that_are_there(monkeypatch):
    monkeypatch.setattr(module, "MOST_GROUPS", 3)
    node = Seal(keyring())
    opener = node.opener(PORT, group=True)
    for _ in range(10):
        other = Seal(keyring())
        meet(other, node)
        assert opener.open(other.sealer(PORT).seal(TEXT)) == TEXT
        session = node.sessions.known[other.keyring.first.id + other.session]
        session.proven -= 2 * LAPSE
        node.sessions._swept -= LAPSE
        node.sessions.sweep(node.clock())
    assert len(opener._groups) <= 3


def test_what_is_for_another_port_is_none_of_ours(lives):
    one, other = lives
    for port in (0, PORT + 1):
        assert other.opener(PORT).open(one.sealer(port).seal(TEXT)) == b""
    assert other.refused == {"misdirected": 2}


def test_both_ends_may_be_of_one_node():
    seal = Seal(keyring())
    assert seal.opener(PORT).open(seal.sealer(PORT).seal(TEXT)) == TEXT


def test_who_is_not_believed_is_refused_before_anything_is_derived(monkeypatch):
    one, other = Seal(keyring()), Seal(keyring())
    sealed = one.sealer(PORT).seal(TEXT)
    monkeypatch.setattr(Key, "session_cipher", pytest.fail)
    assert other.opener(PORT).open(sealed) == b"" and other.refused == {"unproven": 1}


def test_another_key_is_refused():
    one, other = Seal(keyring(b"another key, of thirty-two bytes")), Seal(keyring())
    assert other.opener(PORT).open(one.sealer(PORT).seal(TEXT)) == b"" and other.refused == {"key": 1}


def test_two_nodes_of_which_one_has_no_key_refuse_each_other(lives):
    opener = lives[1].opener(PORT)
    assert opener.open(pack_frame(Kind.DATA, 1, 1, 0, b"plain")) == b""
    assert opener.open(pack_frame(Kind.DATA, 1, 1, 0, b"plain" * 20)) == b""
    assert opener.refused == {"unsealed": 2}


def test_no_bit_can_be_changed(lives):
    sealed, opener = lives[0].sealer(PORT).seal(TEXT), lives[1].opener(PORT)
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        assert opener.open(bytes(changed)) == b""
    assert opener.open(sealed) == TEXT
    assert set(opener.refused) == {"malformed", "misdirected", "unsealed", "key", "unproven", "replayed", "forged"}


def test_no_part_of_it_is_enough(lives):
    sealed, opener = lives[0].sealer(PORT).seal(TEXT), lives[1].opener(PORT)
    assert [opener.open(sealed[:size]) for size in range(len(sealed))] == [b""] * len(sealed)
    assert opener.open(sealed) == TEXT


def test_what_was_made_long_ago_is_refused(lives):
    one, other = lives
    session = other.sessions.known[one.keyring.first.id + one.session]
    sealed, opener = one.sealer(PORT).seal(TEXT), other.opener(PORT)
    session.floor = 1
    assert opener.open(sealed) == b"" and opener.refused == {"stale": 1}
    session.floor = 0
    assert opener.open(sealed) == TEXT


def test_a_number_that_another_thread_took_meanwhile_is_not_taken_again(lives, monkeypatch):
    one, other = lives
    sealed, opener = one.sealer(PORT).seal(TEXT), other.opener(PORT)
    monkeypatch.setattr(Session, "take", lambda *_: False)
    assert opener.open(sealed) == b"" and opener.refused == {"replayed": 1}


# Merged buffers


def test_merged_datagrams_are_opened_one_by_one(lives):
    sealer, opener = lives[0].sealer(PORT), lives[1].opener(PORT)
    run = sealer.seal_run([(bytes((number,)) * 100,) for number in range(64)])
    assert opener.open(b"".join(run)) == b"".join(bytes((number,)) * 100 for number in range(64))
    assert opener.open(b"".join(run)) == b"" and opener.refused["replayed"] == TRIES


@pytest.mark.parametrize("at", [0, 1, 5])
@pytest.mark.parametrize("length", [0, 40, OVERHEAD, 119, 300, 65_535])
@pytest.mark.parametrize("head", [True, False])
def test_a_forged_one_among_merged_ones_spoils_nothing_behind_it(lives, at, length, head):
    sealer, opener = lives[0].sealer(PORT), lives[1].opener(PORT)
    run = sealer.seal_run([(bytes((number,)) * 100,) for number in range(6)])
    size = len(run[0])
    forged = run[0][:36] + random.Random(1).randbytes(size - 36) if head else random.Random(1).randbytes(size)
    forged = length.to_bytes(2, "little") + forged[2:]
    assert opener.open(b"".join((*run[:at], forged, *run[at:]))) == b"".join(bytes((n,)) * 100 for n in range(6))
    assert sum(opener.refused.values()) >= 1


def test_heads_within_heads_cost_no_more_than_what_they_lie_in(lives):
    opener, opened = lives[1].opener(PORT), []
    head = lives[0].sealer(PORT).seal(b"")[:36]
    data = bytearray(head * 1_800)
    for at in range(0, len(data), 36):
        data[at : at + 2] = (len(data) - at).to_bytes(2, "little")
    data += b"\0"
    session = lives[1].sessions.known[lives[0].keyring.first.id + lives[0].session]
    decrypt = session.decrypt
    session.decrypt = lambda nonce, sealed, head: opened.append(len(sealed)) or decrypt(nonce, sealed, head)
    assert opener.open(bytes(data)) == b""
    assert sum(opened) <= 2 * len(data)


def test_random_bytes_are_refused(lives):
    dice = random.Random(3)
    opener, head = lives[1].opener(PORT), lives[0].sealer(PORT).seal(TEXT)
    for _ in range(3_000):
        data = bytearray(dice.randbytes(dice.randrange(200)))
        data[: dice.randrange(40)] = head[: dice.randrange(40)]
        assert opener.open(bytes(data)) == b""
    assert HEAD.unpack_from(head) and opener.open(head) == TEXT


# -- what is laid out without calls ------------------------------------------------------------------------------------


def receiver_into(opener: Opener, *rooms: int) -> Callable[[bytes], bytes]:
    """Return what a socket makes of a datagram that lays it into buffers of some sizes, and one that holds the rest."""
    come: list[bytes] = []
    into = opener.receiving_into(lambda size: (come.pop(), ("127.0.0.1", 9)))
    assert into is not None
    receive, _ = into

    def received(data: bytes) -> bytes:
        come.append(data)
        buffers = [bytearray(b"?" * room) for room in (*rooms, 70_000)]
        size, address = receive([*map(memoryview, buffers[:-1]), buffers[-1]])
        assert address == ("127.0.0.1", 9)
        return b"".join(buffers)[:size]

    return received


def receiver(opener: Opener) -> Callable[[bytes], bytes]:
    """Return what a socket with an opener makes of a datagram that comes to it."""
    come: list[bytes] = []
    receive = opener.receiving(lambda size, flags=0: (come.pop(), ("127.0.0.1", 9)))

    def received(data: bytes) -> bytes:
        come.append(data)
        plain, address = receive(65_536)
        assert address == ("127.0.0.1", 9)
        return plain

    return received


KINDS = ["next", "again", "skip", "held", "flip", "cut", "other port", "run", "run with a flip", "run again"]
steps = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 1 << 30), st.integers(0, 3)), max_size=40)


def why_refused(seal: Seal) -> Counter[str]:
    """Return the causes. A flip may make a number one of the link's stream, of which each has met others."""
    refused = Counter(seal.refused)
    refused["forged"] += refused.pop("replayed", 0)
    return refused


class Ways:
    """Nodes that are sent the same, each of which opens it another way."""

    def __init__(self, one: Seal, algorithm: str) -> None:
        self.seals = [Seal(keyring(algorithm=algorithm)) for _ in range(4 if fast.compiled else 2)]
        for seal in self.seals:
            meet(one, seal)
        self.first = one.streams._next  # of those that follow: each has met by others
        openers = [seal.opener(PORT) for seal in self.seals]
        openers[1]._quick = False
        for opener in openers[:2]:
            opener._fast = None  # the first goes the short way in Python, the second the long one
        self.takes = [receiver(openers[0]), openers[1].open, *map(receiver, openers[2:3])]
        self.takes += [receiver_into(opener, 3, 0, 20, 1) for opener in openers[3:]]

    def take(self, data: bytes) -> None:
        """Have all take it, and be sure that they made the same of it."""
        assert len({take(data) for take in self.takes}) == 1
        self.check()

    def check(self) -> None:
        said = [(why_refused(seal), windows_of(seal, self.first)) for seal in self.seals]
        assert said == said[:1] * len(said)


def windows_of(seal: Seal, first: int) -> list[dict[int, list[object]]]:
    """Return what has come of each session, by the streams from a number on."""
    return [
        {
            stream: [getattr(window, name) for name in window.__slots__]
            for stream, window in session.windows.items()
            if stream >= first
        }
        for session in seal.sessions.known.values()
    ]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(steps=steps)
@example(steps=[("run with a flip", 51_174_245, 2)])
@settings(max_examples=100, deadline=None)
def test_the_short_ways_and_the_long_one_take_and_refuse_the_same(
    algorithm: str, steps: list[tuple[str, int, int]]
) -> None:
    one = Seal(keyring(algorithm=algorithm))
    ways = Ways(one, algorithm)
    sealers = [one.sealer(PORT), one.sealer(PORT)]
    said, held = [sealers[0].seal(b"first")], []
    for kind, where, which in steps:
        sealer = sealers[which % 2]
        data = sealer.seal(b"text %d" % where)
        if kind == "held":
            held.append(data)
            continue
        if kind in ("again", "run again"):
            data = said[where % len(said)] if kind == "again" else b"".join(said[-5:])
        elif kind == "skip":
            for _ in range(where % 100):
                data = sealer.seal(b"after a gap")
        elif kind == "cut":
            data = said[-1][: where % (OVERHEAD + 10)]
        elif kind == "other port":
            data = sealer.seal_to(b"text", PORT + 1)
        elif kind.startswith("run"):
            data = b"".join(sealer.seal_run([(b"%d" % (number % 10) * 30,) for number in range(which + 2)]))
        if kind.endswith("flip"):
            flipped = bytearray(data)
            flipped[where % len(data)] ^= 1 << which
            data = bytes(flipped)
        said.append(data)
        for each in (data, *(held[: which % 2])):
            ways.take(each)
    for each in held:
        ways.take(each)


@given(st.lists(st.binary(max_size=250), max_size=20), st.integers(0, 52))
@settings(deadline=None)
def test_any_bytes_are_refused_by_all_ways(blobs: list[bytes], begin: int) -> None:
    one = Seal(keyring())
    ways, sealer = Ways(one, ALGORITHMS[0]), one.sealer(PORT)
    ways.take(sealer.seal(b"first"))
    for blob in blobs:
        ways.take(blob)
        right = sealer.seal(b"text" * 9)
        ways.take(right[:begin] + blob[begin:])
        ways.take(right + right[:begin] + blob)
        ways.take(b"".join((right, blob, right)))


@pytest.mark.skipif(fast.compiled is None, reason="the compiled part is not there")
def test_what_a_cipher_of_others_opens_is_left_to_python(lives):
    one, other = lives
    opener, sealer = other.opener(PORT), one.sealer(PORT)
    received, into = receiver(opener), receiver_into(opener, 2)
    assert received(sealer.seal(b"1")) == b"1"
    session = other.sessions.known[one.keyring.first.id + one.session]
    decrypt, asked = session.decrypt, []
    session.decrypt = lambda *parts: asked.append(1) or decrypt(*parts)
    assert received(sealer.seal(b"2")) == b"2"
    assert into(b"".join(sealer.seal_run([(b"34",), (b"56",)]))) == b"3456"
    assert len(asked) == 3


@pytest.mark.skipif(fast.compiled is None, reason="the compiled part is not there")
def test_what_there_is_no_room_for_is_left_out_as_the_system_does(lives):
    opener, sealer = lives[1].opener(PORT), lives[0].sealer(PORT)
    opener.open(sealer.seal(b""))
    come = [sealer.seal(b"a longer text"), sealer.seal(b"text")]
    into = opener.receiving_into(lambda size: (come.pop(0), ("127.0.0.1", 9)))
    assert into is not None
    receive, _ = into
    places = bytearray(3), bytearray(2)
    assert receive(places)[0] == 5 and places == (b"a l", b"on")
    assert receive(())[0] == 0
    for wrong in ([b"read only"], [3], None):
        with pytest.raises((TypeError, BufferError)):
            receive(wrong)


def test_the_next_of_a_stream_goes_the_short_way(lives, monkeypatch):
    opener = lives[1].opener(PORT)
    received, sealer = receiver(opener), lives[0].sealer(PORT)
    assert received(sealer.seal(b"1")) == b"1"
    monkeypatch.setattr(Session, "take", None)  # of the long one
    assert [received(sealer.seal(text)) for text in (b"2", b"3")] == [b"2", b"3"]
    assert received(b"".join(sealer.seal_run([(b"4",), (b"5",)]))) == b"45"


def test_no_way_is_short_where_threads_take_steps_at_once(lives, monkeypatch):
    monkeypatch.setattr("ipcpy.sealing.opener.has_gil", lambda: False)
    received, sealer = receiver(lives[1].opener(PORT)), lives[0].sealer(PORT)
    assert [received(sealer.seal(text)) for text in (b"1", b"2")] == [b"1", b"2"]
    assert received(b"".join(sealer.seal_run([(b"4",), (b"5",)]))) == b"45"
    monkeypatch.setattr(Session, "take", lambda *_: False)
    assert received(sealer.seal(b"3")) == b"" == received(b"".join(sealer.seal_run([(b"4",), (b"5",)])))


def test_who_is_believed_no_more_is_refused_on_the_short_way_too():
    now = [0.0]
    one, other = Seal(keyring(), lambda: now[0]), Seal(keyring(), lambda: now[0])
    meet(one, other)
    received, sealer = receiver(other.opener(PORT)), one.sealer(PORT)
    assert [received(sealer.seal(TEXT)) for _ in range(3)] == [TEXT] * 3
    now[0] += LAPSE + SWEEP
    other.grow_older()
    assert received(sealer.seal(TEXT)) == b"" and other.refused == {"unproven": 1}
    meet(one, other)
    assert [received(sealer.seal(TEXT)) for _ in range(3)] == [TEXT] * 3


def test_who_is_believed_again_goes_the_short_way_again(monkeypatch):
    now = [0.0]
    one, other = two_lives(clock=lambda: now[0])
    received, sealer = receiver(other.opener(PORT)), one.sealer(PORT)
    before = [sealer.seal(TEXT) for _ in range(3)]
    assert [received(each) for each in before] == [TEXT] * 3
    now[0] += LAPSE + SWEEP
    other.grow_older(), one.grow_older()
    meet(one, other)
    assert received(sealer.seal(TEXT)) == TEXT  # of a Session of its own, shown by the same bytes of a head
    monkeypatch.setattr(Session, "take", None)  # of the long way
    assert [received(sealer.seal(TEXT)) for _ in range(3)] == [TEXT] * 3
    assert [received(each) for each in before] == [b""] * 3 and other.refused == {"stale": 3}


def test_several_that_send_in_turns_go_the_short_way(lives, monkeypatch):
    one, other = lives
    sealers, received = [one.sealer(PORT) for _ in range(3)], receiver(other.opener(PORT))
    assert [received(sealer.seal(TEXT)) for sealer in sealers] == [TEXT] * 3
    sealed = [sealer.seal(bytes((number,))) for number in range(4) for sealer in sealers]
    monkeypatch.setattr(Session, "take", None)  # of the long way
    assert [received(each) for each in sealed] == [bytes((number,)) for number in range(4) for _ in sealers]
    assert [received(each) for each in sealed] == [b""] * len(sealed) and other.refused == {"replayed": len(sealed)}


def test_a_key_that_was_taken_away_opens_nothing_on_the_short_way_either():
    old, new = keyring(b"o" * 32), keyring(b"n" * 32)
    one, other = Seal(old), Seal(old)
    meet(one, other)
    received, sealer = receiver(other.opener(PORT)), one.sealer(PORT)
    assert [received(sealer.seal(TEXT)) for _ in range(3)] == [TEXT] * 3
    other.keyring = new
    assert received(sealer.seal(TEXT)) == received(b"".join(sealer.seal_run([(TEXT,)] * 2))) == b""
    assert other.refused["key"] >= 2


def test_a_run_whose_numbers_another_thread_took_meanwhile_is_not_taken_again(lives):
    one, other = lives
    opener, sealer = other.opener(PORT), one.sealer(PORT)
    assert opener.open(sealer.seal(TEXT)) == TEXT
    run = sealer.seal_run([(b"1",), (b"2",), (b"3",)])
    (session,) = (each for each in other.sessions.known.values() if one.session in each.name)
    decrypt, taken = session.decrypt, []

    def late(*parts: bytes) -> bytes:
        if not taken:
            taken.append(b"")
            taken.append(opener.open(run[0]))  # the other thread
        return decrypt(*parts)

    session.decrypt = late
    assert opener.open(b"".join(run)) == b"23" and taken == [b"", b"1"]
