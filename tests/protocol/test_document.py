"""docs/protocol.md against the code: its golden vectors, its table of kinds, its sizes."""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
from collections import namedtuple
from pathlib import Path

import msgpack
import pytest

from ipcpy.asking import envelope
from ipcpy.asking.names import requests_topic
from ipcpy.asking.types import Kind as TypeKind
from ipcpy.asking.types import Told, schema_of
from ipcpy.codec import MsgLibrary, MsgPack
from ipcpy.protocol import wire
from ipcpy.protocol.data import batch, matching, places
from ipcpy.protocol.data.heads import Place, pack_fragment
from ipcpy.protocol.data.reports import POLL_BODY, pack_missing, pack_report
from ipcpy.protocol.link import clocks, echo, inquiry, rows
from ipcpy.protocol.link.entries import NodeEntry, PublisherEntry, SubscriberEntry, pack_addresses, pack_entry
from ipcpy.protocol.link.greeting import BOOKS, CLOCKS, GREETING_BODY, PARTS, domain_number
from ipcpy.protocol.link.outbox import ALIVE_BODY, ASK
from ipcpy.protocol.link.readings import Reading
from ipcpy.protocol.link.table import PART, Table
from ipcpy.protocol.wire import Kind, pack_frame
from ipcpy.sealing import challenges, datagram, foreign
from ipcpy.sealing.keys import ALGORITHMS, Key, Keyring
from ipcpy.sealing.linkseal import SEALED_GREETING
from ipcpy.sealing.seal import AHEAD, MAKE_UP, Seal
from ipcpy.sealing.sessions import DERIVED, HELD, LAPSE
from ipcpy.sealing.window import WINDOW

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"
PUBLISHER, SUBSCRIBER, NODE = 0x1111111111111111, 0x2222222222222222, 0x3333333333333333
SENT, NONCE, TOKEN, COOKIE = 1_700_000_000_123_456_789, 0x4444444444444444, 0x5555555555555555, 0x6666666666666666
DOMAIN = 0x7777777777777777
IMU = MsgLibrary({23: ("<3f", namedtuple("Imu", "gx gy gz"))})
ARRAY = msgpack.packb(["<u2", [1, 3]])
STRUCT = bytes.fromhex("ffff 1600 0b00 01 01000000")


def fragment() -> bytes:
    data = b"ABC"
    return pack_fragment(Place(PUBLISHER, 7, SENT, 0, 11, 8), 8, [memoryview(data)]) + data


def probe() -> bytes:
    return matching.Match(PUBLISHER, SUBSCRIBER, NONCE, 0.0).probe_frame()


def answer() -> bytes:
    (frame,) = wire.frames(probe())
    return matching.answer(frame, SUBSCRIBER, matching.TAKES_IT, 212_992, TOKEN)


def start() -> bytes:
    match = matching.Match(PUBLISHER, SUBSCRIBER, NONCE, 0.0)
    (frame,) = wire.frames(answer())
    assert match.answered(frame, 0.0)
    match.first = 5
    return match.start_frame()


def started() -> bytes:
    (frame,) = wire.frames(start())
    reply = matching.started(frame, TOKEN)
    assert reply is not None
    return reply


def table() -> bytes:
    own = Table()
    own.put(1, b"entry")
    own.put(2, b"gone")
    own.remove(2)
    ((_, body),) = own.frames_after(0)
    return pack_frame(Kind.TABLE, NODE, TOKEN, 0, body)


def table_part() -> bytes:
    own = Table()
    own.put(7, b"X" * (PART + 3))
    own.put(8, b"so that it is not today's version")
    _, (_, body), _ = own.frames_after(0)
    return pack_frame(Kind.TABLE, NODE, TOKEN, 0, body)


def unchecked(codec: int = 1, body: bytes = STRUCT) -> bytes:
    length = wire.HEADER_SIZE + len(body)
    return wire.FAST_HEADER.pack(wire.DATA_WORD | length, codec | wire.UNCHECKED, PUBLISHER, 5, SENT) + body


SPOT = places.Spot(1, 7, 3, 4_096, 6_220_992)
OFFER = places.Offer(places.OfferKind.OFFER, PUBLISHER, SUBSCRIBER, TOKEN, 0, 4 << 20)
RETIRED = OFFER._replace(kind=places.OfferKind.RETIRED, segment=2, size=8 << 20)
EXTRA = PARTS | CLOCKS | BOOKS
ROWS = [
    rows.Sent(rows.SENT, PUBLISHER, SUBSCRIBER, rows.Step.MATCHED, rows.Way.LOOPBACK, 1_000, 44_000, 0, 0),
    rows.Received(
        rows.RECEIVED,
        PUBLISHER,
        SUBSCRIBER,
        rows.Step.MATCHED,
        998,
        43_912,
        5,
        0,
        {"network": 2},
        rows.Latency(0.5, 0.5, 1.0, 0.0),
    ),
]
(PAGE,) = rows.pack_rows(ROWS, inquiry.room_for(loopback=False))
SECRET, SESSION = bytes(range(32)), bytes(range(0xA0, 0xAC))


class Life:
    """A session of the document: 20 s old, made of known bytes."""

    def __init__(self, algorithm: str) -> None:
        self.now = 1_000.0
        self.key = Key(algorithm, SECRET)
        self.seal = Seal(Keyring((self.key,)), lambda: self.now, lambda size: SESSION.ljust(size, b"\0"))
        self.link = self.seal.link()
        self.now += 20

    def hello(self) -> bytes:
        return self.link.seal(VECTORS["HELLO"], None)

    def data(self) -> bytes:
        self.seal.grow_older()
        return self.seal.sealer(40_000).seal(unchecked())


def derived(info: bytes) -> bytes:
    """Derive 32 bytes from the key as RFC 5869 has it."""
    extracted = hmac.new(b"ipcpy", SECRET, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\1", hashlib.sha256).digest()


ECHO = echo.pack_echo(NODE, NONCE, DOMAIN, size=52, answer=46, aside=True)
SERVER = Told(TypeKind("any", {}), TypeKind("msgpack", {}), steps=False, asides=True)
VECTORS = {
    "domain default": domain_number("default").to_bytes(8, "little"),
    "DATA": pack_frame(Kind.DATA, PUBLISHER, 5, SENT, STRUCT, codec=1),
    "DATA unchecked": unchecked(),
    "DATA unchecked small": unchecked(2, msgpack.packb(5)),
    "FRAGMENT": fragment(),
    "BATCH": batch.pack_batch(PUBLISHER, 8, SENT, 0, [b"ab", b"cd"]),
    "BATCH sized": batch.pack_batch(PUBLISHER, 8, SENT, 0, [b"ab", b"", b"c"]),
    "PROBE": probe(),
    "ANSWER": answer(),
    "START": start(),
    "STARTED": started(),
    "POLL": pack_frame(Kind.POLL, PUBLISHER, 12, 65_536, POLL_BODY.pack(65_536, 7)),
    "REPORT": pack_frame(Kind.REPORT, PUBLISHER, SUBSCRIBER, 65_536, pack_report(7, 212_992, [(9, 11)])),
    "MISSING": pack_frame(Kind.MISSING, PUBLISHER, 7, SUBSCRIBER, pack_missing(3, b"\x05\x01")),
    "ASIDE": pack_frame(Kind.ASIDE, PUBLISHER, 0, 0, envelope.seal(envelope.CALL, 7, b"\xc0"), codec=2),
    "PLACED": pack_frame(Kind.PLACED, PUBLISHER, 5, SENT, places.pack_spot(SPOT), codec=2),
    "OFFER": places.pack_offer(OFFER),
    "TAKEN": places.pack_offer(OFFER._replace(kind=places.OfferKind.TAKEN)),
    "RETIRED": places.pack_offer(RETIRED),
    "HELLO": pack_frame(Kind.HELLO, NODE, 0, 0, GREETING_BODY.pack(DOMAIN, COOKIE)),
    "WELCOME": pack_frame(Kind.WELCOME, NODE, COOKIE, 0, GREETING_BODY.pack(DOMAIN, TOKEN), extra=EXTRA),
    "CONFIRM": pack_frame(Kind.CONFIRM, NODE, TOKEN, 0, GREETING_BODY.pack(DOMAIN, COOKIE), extra=EXTRA),
    "TABLE": table(),
    "TABLE part": table_part(),
    "ALIVE": pack_frame(Kind.ALIVE, NODE, TOKEN, 0, ALIVE_BODY.pack(3, 9, ASK)),
    "BYE": pack_frame(Kind.BYE, NODE, TOKEN, 0),
    "PEERS": pack_frame(Kind.PEERS, NODE, TOKEN, 0, pack_addresses([("10.0.0.7", 17_770), ("", 17_771)])),
    "CLOCK": clocks.pack_clock(
        clocks.Told(NODE, TOKEN, 3, Reading(86_400_000_000_000, SENT), 7_000_000_000, 86_399_990_000_000, True)
    ),
    "INQUIRY": inquiry.pack_inquiry(inquiry.Inquiry(NODE, TOKEN, 9, inquiry.What.FLOWS, inquiry.MAX_PAGES, 0, 0)),
    "BOOKS": inquiry.pack_page(inquiry.Page(NODE, TOKEN, 9, 0, 1, 86_400_000_000_000, PAGE)),
    "DIED": pack_frame(Kind.DIED, NODE, TOKEN, 0, (9).to_bytes(8, "little")),
    "ECHO": ECHO,
    "ECHOED": echo.pack_echoed(echo.unpack_echo(ECHO, DOMAIN), SUBSCRIBER, DOMAIN, SENT, 40_000),
    "entry node": pack_entry(NodeEntry("cam", "pi", 77, "1", "lab")),
    "entry publisher": pack_entry(PublisherEntry("imu", "raw", reliable=True)),
    "entry publisher struct": pack_entry(PublisherEntry("imu", "struct", IMU.schema)),
    "array": msgpack.packb(msgpack.ExtType(78, struct.pack("<HH", 16, 8) + ARRAY + struct.pack("<4x3H", 1, 2, 3))),
    "entry subscriber": pack_entry(SubscriberEntry("*/imu", "any", 4_000)),
    "envelope call": envelope.seal(envelope.CALL, 7, msgpack.packb(None), flags=envelope.STEPS),
    "envelope lost": envelope.seal(envelope.LOST, 9, envelope.pack_lost(8)),
    "entry server": pack_entry(SubscriberEntry(requests_topic("arm", f"{NODE:016x}"), "any", 4_000, schema_of(SERVER))),
}
SEALED = {
    "key id": Key(ALGORITHMS[0], SECRET).id,
    "session key": derived(b"ipcpy 1 session chacha20-poly1305 " + SESSION),
    "SEALED HELLO": Life("chacha20-poly1305").hello(),
    "SEALED DATA": Life("aes-256-gcm").data(),
}
VECTORS |= SEALED
NO_FRAMES = ("key", "session", "SEALED", "entry", "envelope", "array", "domain", "OFFER", "TAKEN", "RETIRED")


def vectors_of_document() -> dict[str, bytes]:
    blocks = re.findall(r"^```vector ([^\n]+)\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.M | re.S)
    return {name: bytes.fromhex(re.sub(r"  .*$", "", text, flags=re.M)) for name, text in blocks}


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_the_document_are_what_the_code_makes(name: str) -> None:
    assert vectors_of_document().get(name, b"").hex(" ") == VECTORS[name].hex(" ")


def test_the_document_has_no_vector_that_is_not_tested() -> None:
    assert vectors_of_document().keys() == VECTORS.keys()


@pytest.mark.parametrize("name", [name for name in VECTORS if not name.startswith(NO_FRAMES)])
def test_the_vectors_are_read(name: str) -> None:
    (frame,) = wire.frames(VECTORS[name], unchecked=True)
    assert frame.kind == Kind[name.partition(" ")[0]]


@pytest.mark.parametrize("name", ["OFFER", "TAKEN"])
def test_the_vectors_of_the_hand_over_are_read(name: str) -> None:
    assert places.unpack_offer(VECTORS[name]) == OFFER._replace(kind=places.OfferKind[name])
    assert places.unpack_offer(VECTORS["RETIRED"]) == RETIRED


def test_the_spot_of_the_document_is_read() -> None:
    (frame,) = wire.frames(VECTORS["PLACED"])
    assert places.unpack_spot(frame.body) == SPOT


def test_the_array_is_what_is_made_and_read() -> None:
    np = pytest.importorskip("numpy")
    array = np.array([[1, 2, 3]], "<u2")
    assert MsgPack().encode([array]) == b"\x91" + VECTORS["array"]
    read = MsgPack().decode(VECTORS["array"])
    assert (read.dtype, read.tolist()) == (array.dtype, [[1, 2, 3]])


def test_the_books_of_the_document_are_read() -> None:
    assert rows.unpack_rows(inquiry.unpack_page(VECTORS["BOOKS"]).content) == ROWS


def test_the_document_has_the_numbers_of_books() -> None:
    text = re.sub(r"\s+", " ", DOCUMENT.read_text(encoding="utf-8"))
    for words in (
        f"answered by at most {inquiry.MAX_PAGES} BOOKS",
        f"asks again after {', '.join(f'{1_000 * pause:.0f}' for pause in inquiry.AGAIN)} ms",
        f"text of up to {rows.MAX_CAUSE} printable characters, at most {rows.MAX_CAUSES} of them",
    ):
        assert words in text, words


def test_the_document_lists_every_kind() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    listed = {name: int(number) for number, name in re.findall(r"^\| (\d+) \| `([A-Z]+)` \|", text, re.M)}
    assert listed == {kind.name: kind.value for kind in Kind}


def test_the_document_has_the_numbers_of_shared_memory() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    chapter = re.sub(r"\s+", " ", text[text.index("## 11. Shared memory") : text.index("## 12. Services")])
    assert places.TABLE_SIZE == 8 * places.ENTRIES
    for words in (
        f"a PLACED frame of {len(VECTORS['PLACED'])} bytes",
        f"messages of {places.PLACED_FROM >> 10} KiB and more",
        f"up to {places.MAX_SEGMENTS}, numbered 0, 1, 2, …, of {places.MAX_MAPPED >> 30} GiB in all",
        f"the first {places.TABLE_SIZE:,} bytes of segment 0",
        f"a number from 0 to {places.ENTRIES - 1:,}",
        f"Each datagram has {places.OFFER.size} bytes",
    ):
        assert words in chapter
    assert places.MAX_GENERATION == 2**62 - 1
    listed = {name: int(number) for number, name in re.findall(r"(\d) ([A-Z]+)(?=[, ])", chapter)}
    assert {kind.name: kind.value for kind in places.OfferKind}.items() <= listed.items()


@pytest.mark.parametrize(
    ("name", "algorithm", "function"),
    [
        ("SEALED HELLO", "chacha20-poly1305", "crypto_aead_chacha20poly1305_ietf_decrypt"),
        ("SEALED DATA", "aes-256-gcm", "crypto_aead_aes256gcm_decrypt"),
    ],
)
def test_what_is_sealed_in_the_document_is_opened_by_another_library(name: str, algorithm: str, function: str) -> None:
    decrypt = getattr(pytest.importorskip("nacl.bindings"), function)
    sealed = vectors_of_document()[name]
    assert sealed[16:20] == derived(f"ipcpy 1 key id {algorithm}".encode())[:4]
    assert sealed[20:32] == SESSION and int.from_bytes(sealed[32:36], "little") == 5
    key = derived(f"ipcpy 1 session {algorithm} ".encode() + SESSION)
    try:
        opened = decrypt(sealed[36:], sealed[:36], sealed[8:20], key)
    except Exception as error:
        if type(error).__name__ != "UnavailableError":  # libsodium has AES only where the processor does
            raise
        pytest.skip("no AES")
    if name == "SEALED DATA":
        assert (opened, sealed[6:8]) == (unchecked(), (40_000).to_bytes(2, "little"))
    else:
        assert (opened[8:16], opened[16:], sealed[6:8]) == (bytes(8), VECTORS["HELLO"], (17_769).to_bytes(2, "little"))


def test_the_document_has_the_numbers_of_sealing() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    chapter = re.sub(r"\s+", " ", text[text.index("## 9. Sealing") : text.index("## 10. The least")])
    room = wire.MAX_UDP_PAYLOAD - datagram.OVERHEAD
    for words in (
        f"a tag of 16 bytes: {datagram.OVERHEAD} bytes more in all",
        f"at most {room:,} bytes, and a datagram on Ethernet at most {1_472 - datagram.OVERHEAD:,}",
        f"The head has {datagram.HEAD_SIZE} bytes",
        f"stream · 2^{datagram.COUNT_BITS} + count",
        f"of {datagram.STREAM_BITS} bits",
        f"in ticks of {datagram.TICK:.0f} s",
        f"by {MAKE_UP} ticks with each datagram",
        f"ipcpy: {DERIVED:,} a second",
        f"more than {HELD} ticks",
        f"that is {WINDOW:,} or more below the highest",
        f"a new one every {challenges.EPOCH:.0f} s",
        f"for {LAPSE:.0f} s from the last such one on",
        f"a datagram of {datagram.OVERHEAD + datagram.PROOF.size} bytes that has the two challenges",
        f"a datagram of {datagram.OVERHEAD} bytes that seals nothing",
        f"heard in the last {foreign.AGE:.0f} s",
        f"the data path {AHEAD:.0f} s later",
    ):
        assert words in chapter, words
    assert len(VECTORS["SEALED HELLO"]) == SEALED_GREETING
