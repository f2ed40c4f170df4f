"""The entries of a topic table and the addresses in PEERS: bytes, limits, and what is refused."""

from __future__ import annotations

import gc
from random import Random

import msgpack
import pytest

from ipcpy.errors import ArgumentError
from ipcpy.protocol.link import entries
from ipcpy.protocol.link.entries import (
    KNOWN,
    MAX_ENTRY,
    NodeEntry,
    PublisherEntry,
    SubscriberEntry,
    pack_addresses,
    pack_entry,
    unpack_addresses,
    unpack_entry,
)

NODE = NodeEntry("nav", "robot7", 4242, "2026.11.23", "default", "m", 99)
SCHEMA = {"messages": [{"id": 23, "name": "Imu", "format": "<9f", "fields": ["gx", "gy"]}]}
PUBLISHER = PublisherEntry("robot/7/imu", "struct", SCHEMA, True, 3, "239.255.1.2", 17771)
SUBSCRIBER = SubscriberEntry("robot/**", "any", 40001, {}, {"00000000000000ff": ["field gx is f here, d there"]})

GOLDEN = [
    (
        NODE,
        (
            "88a165a16ea16ea36e6176a168a6726f626f7437a170cd1092a176aa323032362e31312e3233a164a764656661756c74"
            "a16da16da17363"
        ),
    ),
    (
        NodeEntry("n", "h", 1, "1", "d", "", 0, (1 << 64) - 1, "0123456789abcdef"),
        "88a165a16ea16ea16ea168a168a17001a176a131a164a164a162cfffffffffffffffffa177b030313233343536373839616263646566",
    ),
    (PublisherEntry("imu", "raw"), "83a165a170a174a3696d75a163a3726177"),
    (
        PUBLISHER,
        (
            "88a165a170a174ab726f626f742f372f696d75a163a6737472756374a17381a86d657373616765739184a2696417a46e"
            "616d65a3496d75a6666f726d6174a33c3966a66669656c647392a26778a26779a172c3a16b03a167ab3233392e323535"
            "2e312e32a16fcd456b"
        ),
    ),
    (
        PublisherEntry("imu", "raw", rate=100.0),
        "84a165a170a174a3696d75a163a3726177a166cb4059000000000000",
    ),
    (SubscriberEntry("imu", "any", 5), "84a165a173a174a3696d75a163a3616e79a17005"),
    (
        SUBSCRIBER,
        (
            "85a165a173a174a8726f626f742f2a2aa163a3616e79a170cd9c41a17881b03030303030303030303030303030666691"
            "bb6669656c64206778206973206620686572652c2064207468657265"
        ),
    ),
]


@pytest.mark.parametrize(("entry", "golden"), GOLDEN)
def test_golden(entry, golden):
    assert pack_entry(entry).hex() == golden
    assert unpack_entry(bytes.fromhex(golden)) == entry


def test_unknown_keys_are_for_later_versions():
    assert unpack_entry(msgpack.packb({"e": "p", "t": "imu", "c": "raw", "zz": 5})) == PublisherEntry("imu", "raw")


@pytest.mark.parametrize(
    "wire",
    [
        None,
        7,
        [],
        {},
        {"e": "q"},
        {"e": ["p"]},
        {"e": "p"},
        {"e": "p", "t": "imu"},
        {"e": "p", "t": "imu/*", "c": "raw"},
        {"e": "p", "t": "", "c": "raw"},
        {"e": "p", "t": "a b", "c": "raw"},
        {"e": "p", "t": "imu", "c": 5},
        {"e": "p", "t": "imu", "c": "raw", "k": True},
        {"e": "p", "t": "imu", "c": "raw", "k": -1},
        {"e": "p", "t": "imu", "c": "raw", "r": 1},
        {"e": "p", "t": "imu", "c": "raw", "f": "100"},
        {"e": "p", "t": "imu", "c": "raw", "f": True},
        {"e": "p", "t": "imu", "c": "raw", "f": -1.0},
        {"e": "p", "t": "imu", "c": "raw", "f": 1e7},
        {"e": "p", "t": "imu", "c": "raw", "f": float("nan")},
        {"e": "p", "t": "imu", "c": "raw", "f": float("inf")},
        {"e": "p", "t": "imu", "c": "raw", "s": []},
        {"e": "p", "t": "imu", "c": "raw", "g": "8.8.8.8", "o": 5},
        {"e": "p", "t": "imu", "c": "raw", "g": "239.1.1.1"},
        {"e": "p", "t": "imu", "c": "raw", "g": "localhost", "o": 5},
        {"e": "p", "t": "imu", "c": "r\x1b[31m"},
        {"e": "p", "t": "imu", "c": "x" * 65},
        {"e": "s", "t": "imu", "c": "any", "p": 0},
        {"e": "s", "t": "imu", "c": "any", "p": 65536},
        {"e": "s", "t": "imu", "c": "any"},
        {"e": "n", "n": "a", "h": "b", "v": "1", "d": "d", "p": 1.5},
        {"e": "n", "n": "a\nb", "h": "b", "v": "1", "d": "d", "p": 1},
        {"e": "n", "n": "a"},
        {"e": "p", "t": "imu", "c": "raw", "s": {"x": msgpack.Timestamp(1)}},
    ],
)
def test_what_does_not_fit_is_refused(wire):
    with pytest.raises(ValueError):  # noqa: PT011
        unpack_entry(msgpack.packb(wire))


def test_a_rate_may_be_written_as_an_integer():
    entry = unpack_entry(msgpack.packb({"e": "p", "t": "imu", "c": "raw", "f": 100}))
    assert entry == PublisherEntry("imu", "raw", rate=100.0)
    assert type(entry.rate) is float


WHOLE = {"n": {"e": "n", "n": "a", "h": "b", "p": 1, "v": "1", "d": "d"}}
WHOLE["p"] = {"e": "p", "t": "imu", "c": "raw"}
WHOLE["s"] = {"e": "s", "t": "imu", "c": "any", "p": 5}


@pytest.mark.parametrize(("kind", "key"), [("n", "nhpvd"), ("p", "tc"), ("s", "tcp")])
def test_the_keys_that_the_document_requires_are_and_what_lacks_is_named(kind, key):
    assert unpack_entry(msgpack.packb(WHOLE[kind])) is not None
    for each in key:
        lacking = {name: value for name, value in WHOLE[kind].items() if name != each}
        with pytest.raises(ValueError, match=f"the entry '{kind}' lacks '{each}' [(]"):
            unpack_entry(msgpack.packb(lacking))


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("n", {"p": "7"}, r"'p' \(pid\) of the entry 'n' is text, not an integer"),
        ("n", {"m": 7}, r"'m' \(machine\) of the entry 'n' is an integer, not text"),
        ("n", {"s": -1}, r"'s' \(started\) of the entry 'n' is -1, not from 0 to"),
        ("n", {"h": "a\nb"}, r"'h' \(host\) of the entry 'n' is not a printable text of at most 255"),
        ("p", {"r": 1}, r"'r' \(reliable\) of the entry 'p' is an integer, not a boolean"),
        ("p", {"s": []}, r"'s' \(schema\) of the entry 'p' is an array, not a map"),
    ],
)
def test_what_is_refused_is_named_as_who_wrote_it_knows_it(kind, change, said):
    with pytest.raises(ValueError, match=said):
        unpack_entry(msgpack.packb(WHOLE[kind] | change))


def test_types_that_are_too_many_to_be_announced_are_refused_with_both_numbers():
    with pytest.raises(ArgumentError, match=r"types of 'imu' take 60,\d\d\d bytes .* at most 60,000"):
        pack_entry(PublisherEntry("imu", "struct", {"x": "y" * MAX_ENTRY}))


def test_the_same_bytes_are_read_once_unless_they_are_many():
    small, large = (pack_entry(NodeEntry("n", "h" * size, 1, "1", "d")) for size in (10, 255))
    assert len(large) <= KNOWN
    for data in (small, large):
        first = unpack_entry(data)
        assert unpack_entry(bytes(bytearray(data))) is first
    long = pack_entry(PublisherEntry("t" * 255, "raw", {"a": "b" * KNOWN}))
    first = unpack_entry(long)
    assert unpack_entry(long) is not first


def test_bombs_are_refused():
    for bomb in (b"\x81" * 100_000, b"\x91" * 100_000, b"\xdf\xff\xff\xff\xff", b"\x81\xa1s\xdd\xff\xff\xff\xff", b""):
        with pytest.raises(ValueError):  # noqa: PT011
            unpack_entry(bomb)


def test_fuzz_raises_value_errors_only():
    random = Random(5)
    seeds = [pack_entry(entry) for entry in (NODE, PUBLISHER, SUBSCRIBER)]
    whole = 0
    for _ in range(100_000):
        data = bytearray(random.choice(seeds))
        for _ in range(random.randrange(1, 4)):
            data[random.randrange(len(data))] = random.randrange(256)
        try:
            entry = unpack_entry(bytes(data))
        except ValueError:
            continue
        whole += 1
        assert isinstance(entry, NodeEntry | PublisherEntry | SubscriberEntry)
    assert whole > 100


def test_what_no_peer_would_take_is_refused_here():
    for entry in (
        PublisherEntry("imu", "raw", {"x": "y" * MAX_ENTRY}),
        PublisherEntry("imu", "raw", {str(at): 0 for at in range(99)}),
        PublisherEntry("imu", "c" * 99),
        NodeEntry("n" * 129, "h", 1, "1", "d"),
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            pack_entry(entry)


def test_mismatches_that_are_too_many_are_left_out():
    short = {f"{at:016x}": ["no"] for at in range(1000)}
    assert len(unpack_entry(pack_entry(SubscriberEntry("imu", "any", 5, {}, short))).mismatch) == 64
    long = {f"{at:016x}": ["no" * 2000] for at in range(50)}
    assert len(unpack_entry(pack_entry(SubscriberEntry("imu", "any", 5, {}, long))).mismatch) == 1


def test_addresses():
    told = [("10.0.0.1", 17770), ("", 5)]
    assert pack_addresses(told).hex() == "94a831302e302e302e31cd456aa005"
    assert unpack_addresses(pack_addresses(told), "10.0.0.9") == [("10.0.0.1", 17770), ("10.0.0.9", 5)]
    assert unpack_addresses(pack_addresses([("127.0.0.1", 5)]), "10.0.0.9") == []
    assert unpack_addresses(pack_addresses([("", 5)]), "127.0.0.1") == [("127.0.0.1", 5)]
    assert unpack_addresses(pack_addresses([]), "10.0.0.9") == []


@pytest.mark.parametrize(
    "flat", [7, ["10.0.0.1"], [5, 5], ["host", 5], ["10.0.0.1", 0], ["10.0.0.1", True], {}, [[], 5]]
)
def test_wrong_addresses_are_refused(flat):
    with pytest.raises(ValueError):  # noqa: PT011
        unpack_addresses(msgpack.packb(flat), "10.0.0.9")


def test_who_changes_a_schema_changes_it_for_nobody_else():
    data = pack_entry(PublisherEntry("imu", "struct", {"a": [1]}))
    unpack_entry(data).schema["a"].append(2)
    assert unpack_entry(data).schema == {"a": [1]}


def test_entries_that_nobody_holds_are_not_remembered():
    plain = pack_entry(PublisherEntry("imu", "raw"))
    held = unpack_entry(plain)
    assert unpack_entry(plain) is held
    entries._known.clear()
    for number in range(100):
        unpack_entry(pack_entry(PublisherEntry(f"topic{number}", "raw")))
    gc.collect()
    assert len(entries._known) == 0


def test_topics_of_peers_are_brought_to_the_form_that_names_have_here():
    for entry in (PublisherEntry("cafe\u0301", "raw"), SubscriberEntry("*/cafe\u0301", "any", 4000)):
        assert unpack_entry(pack_entry(entry)).topic == entry.topic.replace("e\u0301", "\u00e9")
