"""Batches are taken as one, in C where that is: with the messages, books and errors that Python has.

Where it was not compiled, both ways are one, and these tests are true of that.
"""

from __future__ import annotations

import gc
import weakref
from collections import namedtuple
from dataclasses import dataclass

import pytest

from bothways import BothWays
from ipcpy.checksum import crc32
from ipcpy.codec import MsgLibrary
from ipcpy.fast import COMPILED
from ipcpy.protocol.data.batch import pack_batch
from ipcpy.protocol.wire import Kind, pack_frame
from ipcpy.subscribing.inbound import Inbound
from ipcpy.subscribing.inbox import Inbox
from receiving import HERE, Side

P = 0xA1
Point = namedtuple("Point", "n x")


@dataclass
class Pose:
    n: int
    x: float


class Rich(namedtuple("Rich", "n")):
    """One with a ``__dict__``: whatever is put there may lead back to it."""


LIBRARY = MsgLibrary({7: ("<qd", Point), 8: ("<3f", tuple), 9: ("<qd", Pose), 10: ("<q", Rich)})


def side(depth: int = 1_000, depth_bytes: int = 32 << 20, codec: MsgLibrary | None = LIBRARY, **changes) -> Side:
    made = Side(codec, depth=depth)
    made.inbox.__init__(depth, depth_bytes)
    known = {"codec": "struct", "schema": LIBRARY.schema} if codec else {}
    made.match(P, **known | changes)
    return made


def batch(bodies, seq: int = 1, codec: int = 1) -> bytes:
    return pack_batch(P, seq, 5, codec, bodies)


POINTS = [LIBRARY.pack(7, (n, n / 2)) for n in range(100)]
KINDS = {
    "alike": POINTS,
    "types": [LIBRARY.pack(9, (n, 0.5)) for n in range(100)],
    "of several": [*POINTS[:3], LIBRARY.pack(8, (1, 2, 3)), *POINTS[3:5]],
    "with one that is none": [*POINTS[:3], bytes(len(POINTS[0])), *POINTS[3:]],
    "of another id": [*POINTS[:3], LIBRARY.pack(9, (1, 2.5)), *POINTS[3:]],
    "none": [b"abc"] * 3,
    "empty": [b"", b""],
}


@pytest.mark.parametrize("depth", [1, 3, 99, 100, 1_000])
@pytest.mark.parametrize("bytes_", [1, 700, 32 << 20])
@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_take_the_same_of_whatever_is_in_a_batch(kind, depth, bytes_):
    both = BothWays(lambda: side(depth, bytes_))
    seq = 1
    for _ in range(3):
        both.take(batch(KINDS[kind], seq), HERE)
        both.compare()
        both.each(lambda side: [side.inbox.messages.popleft() for _ in range(min(2, len(side.inbox.messages)))])
        seq += len(KINDS[kind])
    for each in both.sides:
        assert each.inbound.flows[P].receiver.next == seq


@pytest.mark.parametrize("count", [2, 30, 900])
@pytest.mark.parametrize("codec", [LIBRARY, None], ids=["struct", "raw"])
def test_it_is_c_that_takes_them_where_that_is(monkeypatch, codec, count):
    if not COMPILED:
        return
    one = side(codec=codec)
    left = []
    monkeypatch.setattr(Inbound, "take_any", lambda self, data, address: left.append(data))
    bodies = (POINTS * 9)[:count]
    number = 0 if codec is None else 1
    frame = batch(bodies, 1, number) + batch(bodies, 1 + count, number)
    frame += pack_frame(Kind.DATA, P, 1 + 2 * count, 5, POINTS[0], codec=number) + b"rest"
    one.inbound.take(frame, HERE)
    assert left == [b"rest"] and one.inbound.flows[P].receiver.next == 2 + 2 * count


@pytest.mark.parametrize("counts", [(0, 0), (1, 0), (100, 1), (3, 0xFFFF), (0xFFFF, 0xFFFF), (99, 23), (101, 23)])
def test_counts_that_do_not_agree_with_the_length_are_malformed_both_ways(counts):
    good = batch(POINTS)
    told = counts[0].to_bytes(2, "little") + counts[1].to_bytes(2, "little")
    wrong = good[:32] + told + good[36:-4]
    both = BothWays(side)
    both.take(wrong + crc32(wrong).to_bytes(4, "little"), HERE)
    both.compare()
    assert both.sides[0].intake.dropped == {"malformed": 1} and not both.sides[0].inbox.messages


def test_every_single_bit_flip_is_noticed_both_ways():
    both = BothWays(side)
    good = batch(POINTS[:3])
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        both.take(bytes(bad), HERE)
    both.compare()
    assert not both.sides[0].inbox.messages


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), TimeoutError("an alarm"), MemoryError()])
def test_what_decoding_raises_is_treated_the_same_both_ways(error):
    def make() -> Side:
        made = side(codec=None)
        flow = made.inbound.flows[P]

        def decode_many(data, size):
            raise error

        def decode(body):
            if body == POINTS[1]:
                raise error
            return body

        flow.decode_many, flow.decode = decode_many, decode
        return made

    both = BothWays(make)
    both.take(batch(POINTS[:5], 1, 0), HERE)
    both.compare()
    both.take(batch([b"1", b"22", POINTS[1]], 6, 0), HERE)
    both.compare()


def test_a_list_that_a_codec_keeps_is_left_as_it_is():
    kept = [1, 2, 3]
    one = side(codec=None)
    one.inbound.flows[P].decode_many = lambda data, size: kept
    one.inbound.take(batch(POINTS[:3], 1, 0), HERE)
    assert kept == [1, 2, 3] and one.bodies() == kept


@pytest.mark.skipif(not COMPILED, reason="the compiled part is not there")
@pytest.mark.parametrize(
    ("bodies", "codec", "looks"),
    [
        (POINTS[:9], LIBRARY, False),
        ([LIBRARY.pack(10, (1,))] * 9, LIBRARY, True),
        ([LIBRARY.pack(9, (1, 2.5))] * 9, LIBRARY, True),
        ([b"abc"] * 9, None, False),
        ([b"a", b"bc"], None, False),
    ],
)
def test_the_garbage_collector_looks_only_at_messages_that_a_circle_may_lead_through(bodies, codec, looks):
    for topic in "topic", ["a list"]:
        one = side(codec=codec)
        one.inbound.flows[P].topic = topic
        one.inbound.take(batch(bodies, 1, 1 if codec else 0), HERE)
        messages = list(one.inbox.messages)
        assert len(messages) == len(bodies)
        assert {gc.is_tracked(message) for message in messages} == {looks or topic != "topic"}
        assert {gc.is_tracked(message.data) for message in messages} == {looks}


def test_a_type_that_leads_to_a_message_of_its_own_is_garbage_with_it():
    gone = []
    for _ in range(3):
        local = namedtuple("local", "n x")  # in no module: not there for good
        library = MsgLibrary({7: ("<qd", local)})
        local.first = library.decode_intact(library.pack(7, (1, 2.5)))
        gone.append(weakref.ref(local))
    del local, library
    gc.collect()
    assert [each() for each in gone] == [None, None, None]


def test_an_exception_from_outside_amid_a_batch_is_in_the_books(monkeypatch):
    """What came to nobody is counted as interrupted, whichever step was the last."""

    def interrupted(*_):
        raise KeyboardInterrupt

    for name in ("_look", "put_all"):
        one = side()
        with monkeypatch.context() as patch:
            patch.setattr(Inbox, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                one.inbound.take(batch(POINTS[:5]), HERE)
        one.inbound.mend()
        one.inbound.take(batch(POINTS[5:8], 6), HERE)
        flow = one.inbound.flows[P]
        received = flow.receiver.received
        assert received == len(one.messages()) == 3 and one.lost(P) == {"interrupted": 5}


@pytest.mark.parametrize("field", ["decode_many", "matched", "reach", "topic", "id", "decode"])
@pytest.mark.parametrize("value", [None, 5, "x"])
def test_a_field_of_a_type_that_nobody_expects_crashes_nothing(field, value):
    both = BothWays(lambda: side(codec=None))
    both.each(lambda side: setattr(side.inbound.flows[P], field, value))
    both.take(batch(POINTS[:3], 1, 0), HERE)
    assert len(both.sides[0].inbox.messages) == len(both.sides[1].inbox.messages)
