from __future__ import annotations

from collections import namedtuple
from typing import Any

import pytest

import ipcpy as ipc
from ipcpy.bag import catalog as catalogs
from ipcpy.bag import tape as tapes
from ipcpy.bag.chunk import Chunk
from ipcpy.bag.form import ORIGINALS, Origin
from ipcpy.bag.latches import Latches
from ipcpy.bag.tape import CHUNK_AGE, CHUNK_SIZE, Tape

SECOND = 1_000_000_000
Imu = namedtuple("Imu", "x y z")
LIBRARY = ipc.MsgLibrary({23: ("<3f", Imu)})
BODY = LIBRARY.encode(Imu(1, 2, 3))
NODE = ipc.NodeInfo("11" * 8, "imu.py", "robot7", 4711, "lab", None, "1", "alive", 0.0)
ONE = ipc.EndpointInfo("aa" * 8, "publisher", "imu", "struct", LIBRARY.schema, True, 2, NODE)
OTHER = ipc.EndpointInfo("bb" * 8, "publisher", "doc", "msgpack", {}, False, 0, NODE)
SUB = object()


class Taped:
    """A tape, and the chunks that came from it."""

    def __init__(self, **options: Any) -> None:
        self.chunks: list[Chunk] = []
        known = {info.id: info for info in (ONE, OTHER)}
        self.tape = Tape(self.chunks.append, known.get, **options)

    def take(self, seq: int = 1, at: int = SECOND, body: bytes = BODY, info: ipc.EndpointInfo = ONE, sub=SUB) -> bool:
        return self.tape.take(ipc.Message(body, info.topic, seq, at - 5, at, info.id), sub)

    def messages(self) -> list[tuple[str, int, int, int]]:
        """Return topic, sequence, log and publish time of what is in the chunks."""
        from mcap.stream_reader import StreamReader

        self.tape.close_chunk()
        found = []
        for chunk in self.chunks:
            from io import BytesIO

            end = b"\x02" + (20).to_bytes(8, "little") + bytes(20) + b"\x89MCAP0\r\n"
            data = BytesIO(b"".join([*chunk.parts, end]))
            for record in list(StreamReader(data, skip_magic=True).records)[:-1]:
                topic = chunk.catalog.channels[record.channel_id].topic
                found.append((topic, record.sequence, record.log_time, record.publish_time))
        return found


@pytest.fixture(autouse=True)
def needs_mcap() -> None:
    pytest.importorskip("mcap", reason="needs ipcpy[bag]")


def test_a_message_is_written_with_its_times_and_its_number() -> None:
    tested = Taped()
    assert tested.take(7)
    assert tested.messages() == [("imu", 7, SECOND, SECOND - 5)]


def test_a_channel_says_whose_messages_it_has() -> None:
    tested = Taped()
    tested.take(7)
    tested.tape.close_chunk()
    (channel,) = tested.chunks[0].catalog.channels.values()
    assert channel.origin == Origin(
        "imu", "aa" * 8, "struct", dict(LIBRARY.schema), "struct", 23, 0, True, 2,
        "imu.py", "11" * 8, "robot7", 4711, "lab",
    )  # fmt: skip


def test_what_is_kept_beside_comes_right_before() -> None:
    tested = Taped()
    tested.take(1)
    tested.take(2, info=OTHER, body=ipc.MsgPack().encode({"a": 1}))
    assert [message[:2] for message in tested.messages()] == [("imu", 1), (ORIGINALS, 2), ("doc", 2)]


def test_the_upper_half_of_a_number_is_in_the_channel() -> None:
    tested = Taped()
    for seq in (2**32 - 1, 2**32, 2**33 + 5):
        tested.take(seq)
    assert [message[1] for message in tested.messages()] == [2**32 - 1, 0, 5]
    assert [each.origin.high for each in tested.chunks[0].catalog.channels.values()] == [0, 1, 2]


def test_a_publisher_that_was_never_heard_of_is_kept_as_it_came() -> None:
    tested = Taped()
    stranger = ipc.EndpointInfo("cc" * 8, "publisher", "x", "raw", {}, False, 0, NODE)
    tested.take(1, info=stranger)
    tested.messages()
    (channel,) = tested.chunks[0].catalog.channels.values()
    assert (channel.origin.codec, channel.origin.body) == ("unknown", "self")


def test_a_chunk_is_closed_by_size_or_by_age() -> None:
    tested = Taped()
    big = ipc.EndpointInfo("aa" * 8, "publisher", "raw", "raw", {}, False, 0, NODE)
    tape = Tape(tested.chunks.append, lambda _: big)
    tape.take(ipc.Message(bytes(CHUNK_SIZE), "raw", 1, 0, SECOND, big.id), SUB)
    assert len(tested.chunks) == 1
    tape.take(ipc.Message(b"", "raw", 2, 0, SECOND, big.id), SUB)
    tape.take(ipc.Message(b"", "raw", 3, 0, SECOND + CHUNK_AGE - 1, big.id), SUB)
    tape.tick(SECOND + CHUNK_AGE - 1)
    assert len(tested.chunks) == 1
    tape.tick(SECOND + CHUNK_AGE)
    assert len(tested.chunks) == 2
    tape.tick(SECOND + 10 * CHUNK_AGE)
    assert len(tested.chunks) == 2


def test_a_clock_that_was_set_back_closes_a_chunk_too() -> None:
    tested = Taped()
    tested.take(1, at=100 * SECOND)
    tested.tape.tick(SECOND)
    assert len(tested.chunks) == 1


def test_of_two_subscribers_that_hear_a_publisher_one_is_recorded() -> None:
    tested = Taped()
    other = object()
    assert tested.take(1)
    assert not tested.take(1, sub=other)
    assert tested.take(2)
    assert tested.take(3, info=OTHER, sub=other, body=b"\x01")
    assert (tested.tape.owner(ONE.id), tested.tape.owner(OTHER.id), tested.tape.owner("?")) == (SUB, other, None)
    assert [seq for topic, seq, *_ in tested.messages() if topic == "imu"] == [1, 2]


@pytest.mark.parametrize(("rate", "hertz"), [(100, 10), (100, 33), (100, 99), (100, 1000), (7, 5)])
def test_messages_are_thinned_out_to_a_rate(rate: int, hertz: int) -> None:
    tested = Taped(period_ns=round(SECOND / hertz))
    kept = sum(tested.take(n, at=SECOND + n * SECOND // rate) for n in range(1, 10 * rate + 1))
    assert abs(kept - 10 * min(rate, hertz)) <= 1
    (counts,) = tested.tape.counts().values()
    assert (counts.recorded, counts.thinned) == (kept, 10 * rate - kept)


def test_thinning_goes_on_when_the_clock_is_set_back() -> None:
    tested = Taped(period_ns=SECOND)
    assert tested.take(1, at=1000 * SECOND)
    assert tested.take(2, at=SECOND)
    assert not tested.take(3, at=SECOND + 1)


def test_counts_are_by_publisher() -> None:
    tested = Taped()
    tested.take(1, at=SECOND)
    tested.take(2, at=3 * SECOND)
    counts = tested.tape.counts()[ONE.id]
    assert (counts.topic, counts.recorded, counts.bytes) == ("imu", 2, 2 * len(BODY))
    assert (counts.first_ns, counts.last_ns) == (SECOND, 3 * SECOND)


def test_times_that_no_clock_has_are_brought_into_range() -> None:
    tested = Taped()
    tested.tape.take(ipc.Message(BODY, "imu", 1, -5, 2**70, ONE.id), SUB)
    assert tested.messages() == [("imu", 1, 2**64 - 1, 0)]


def test_a_full_catalog_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogs, "MAX_CHANNELS", 4)
    tested = Taped()
    for high in range(9):
        tested.take(high << 32)
    assert [message[0] for message in tested.messages()] == ["imu"] * 9
    assert len({id(chunk.catalog) for chunk in tested.chunks}) == 3


def test_of_very_many_publishers_the_ones_unheard_for_longest_are_forgotten_but_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tapes, "MAX_ROUTES", 20)
    taped = Taped()
    for n in range(100):
        info = ipc.EndpointInfo(f"{n:016x}", "publisher", "raw", "raw", {}, False, 0, NODE)
        taped.take(1, at=SECOND + n, body=b"xy", info=info)
        taped.take(2, at=SECOND + n, body=b"xy", info=ONE)
    counts = taped.tape.counts()
    assert len(counts) <= 20
    assert {f"{99:016x}", ONE.id} <= counts.keys()
    past = taped.tape.past["raw"]
    assert past.recorded + sum(each.recorded for each in counts.values()) == 200
    assert (past.first_ns, past.bytes) == (SECOND, 2 * past.recorded)
    assert len(taped.messages()) == 200


@pytest.mark.parametrize("schema", [{"a": b"x"}, {b"a": 1}, {"a": {1: {2: {3: b""}}}}])
def test_a_schema_that_json_cannot_hold_costs_the_schema(schema: Any, caplog) -> None:
    taped = Taped()
    odd = ipc.EndpointInfo("dd" * 8, "publisher", "odd", "odd", schema, False, 0, NODE)
    tape = Tape(taped.chunks.append, lambda _: odd)
    tape.take(ipc.Message(b"x", "odd", 1, 0, SECOND, odd.id), SUB)
    tape.close_chunk()
    (channel,) = taped.chunks[0].catalog.channels.values()
    assert (channel.origin.codec, channel.origin.schema) == ("odd", {})
    assert "the schema of imu.py cannot be kept" in caplog.text


def test_messages_of_one_type_and_of_others_in_turn_go_to_their_channels() -> None:
    two = namedtuple("Two", "a")
    library = ipc.MsgLibrary({23: ("<3f", Imu), 24: ("<d", two)})
    info = ipc.EndpointInfo("ee" * 8, "publisher", "imu", "struct", library.schema, False, 0, NODE)
    taped = Taped()
    taped.tape = Tape(taped.chunks.append, lambda _: info)
    damaged = bytearray(library.encode(two(1)))
    damaged[6] ^= 1
    bodies = {"i": library.encode(Imu(1, 2, 3)), "t": library.encode(two(1)), "d": bytes(damaged), "x": b"none"}
    order = "iittdtixxiidditx"
    for seq, kind in enumerate(order, 2**32 - 5):
        taped.take(seq, at=SECOND + seq - 2**32, body=bodies[kind], info=info)
    topics = {"i": "imu/Imu", "t": "imu/Two", "d": "imu/Two", "x": "imu"}
    seen = [(topic, seq) for topic, seq, *_ in taped.messages() if topic != ORIGINALS]
    assert seen == [(topics[kind], (seq + 2**32 - 5) % 2**32) for seq, kind in enumerate(order)]
    highs = {channel.origin.high for channel in taped.chunks[0].catalog.channels.values() if channel.origin}
    assert highs == {0, 1}
    assert sum(topic == ORIGINALS for topic, *_ in taped.messages()) == order.count("d")


def test_what_latched_topics_keep_is_there_when_its_chunk_is_forgotten() -> None:
    latches = Latches()
    tested = Taped(latches=latches)
    for seq in range(1, 5):
        tested.take(seq)
        tested.take(seq, info=OTHER, body=ipc.MsgPack().encode({"a": seq}))  # keeps nothing
        if seq % 2 == 0:
            tested.tape.close_chunk()
    assert (latches.chunks(0, 7), latches.chunks(1, 7)) == ([], [])
    tested.chunks = latches.chunks(2, 7)
    assert tested.messages() == [("imu", 3, 7, SECOND - 5), ("imu", 4, 7, SECOND - 5)]
