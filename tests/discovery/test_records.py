"""discovery.records: pure, so no sockets and no clock here."""

from __future__ import annotations

import ast
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.discovery import records
from ipcpy.discovery.records import (
    SERVICE_TYPE,
    Advert,
    Batch,
    Hint,
    Sightings,
    from_txt,
    instance_name,
    pack_txt,
    to_txt,
    unpack_txt,
)

ADVERT = Advert("0123456789abcdef", "arm", "robot-1", "lab", 40_000, "2026.11.1", ("imu", "camera/left"))
HERE = frozenset({"10.0.0.9"})
NOW = 1_000_000.0


def test_is_pure() -> None:
    tree = ast.parse(Path(records.__file__).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= {"__future__", "addresses", "budget", "collections.abc", "dataclasses"}


# Names


def test_instance_name() -> None:
    assert instance_name("arm", "0123456789abcdef") == "arm-0123456789abcdef._ipcpy._udp.local."
    assert instance_name("a.b\\c\n\x7f", "0" * 16).startswith("a_b_c__-0000")
    assert instance_name("", "0" * 16).startswith("node-0000")
    assert instance_name("\udcff", "0" * 16).startswith("_-0000")


@given(st.text(max_size=200))
def test_instance_name_is_one_valid_label(name: str) -> None:
    full = instance_name(name, "0123456789abcdef")
    label = full.removesuffix("." + SERVICE_TYPE)
    assert label != full and "." not in label and label.isprintable()
    assert 17 < len(label.encode()) <= 63
    assert label.endswith("-0123456789abcdef")


def test_long_names_are_cut_between_characters() -> None:
    label = instance_name("ä" * 60, "0" * 16).partition(".")[0]
    assert label == "ä" * 23 + "-" + "0" * 16  # 46 bytes of name


# TXT


def test_txt_golden() -> None:
    packed = pack_txt(to_txt(ADVERT))
    assert packed == (
        b"\x0bv=2026.11.1\x13id=0123456789abcdef\x0adomain=lab\x0chost=robot-1\x06t0=imu\x0et1=camera/left"
    )
    unpacked = unpack_txt(packed)
    assert unpacked is not None
    assert from_txt(unpacked, 40_000, instance_name("arm", ADVERT.node_id)) == (ADVERT, "")


def test_topics_that_do_not_fit_are_counted() -> None:
    txt = to_txt(replace(ADVERT, topics=tuple(f"some/topic/{n}" for n in range(1000))))
    assert 1100 < len(pack_txt(txt)) <= 1200
    shown = sum(key[0] == "t" for key in txt)
    assert int(txt["more"]) == 1000 - shown
    heard, _ = from_txt(txt, 1)
    assert heard is not None and len(heard.topics) == shown and heard.more == 1000 - shown


def test_a_topic_too_long_for_a_string_is_left_out() -> None:
    txt = to_txt(replace(ADVERT, topics=("x" * 400, "imu")))
    assert txt["t0"] == b"imu" and "t1" not in txt and txt["more"] == b"1"


@given(st.builds(Advert, st.just("0" * 16), *[st.text(max_size=300)] * 3, st.just(1), st.text(max_size=99),
                 st.lists(st.text(max_size=300), max_size=40).map(tuple)))  # fmt: skip
def test_any_advert_packs_within_the_limits(advert: Advert) -> None:
    packed = pack_txt(to_txt(advert))
    assert len(packed) <= 1200
    assert unpack_txt(packed) == to_txt(advert)


@pytest.mark.parametrize(
    ("change", "port", "wrong"),
    [
        ({"v": None}, 1, "no v"),
        ({"id": None}, 1, "no id"),
        ({"id": b"0123456789ABCDEF"}, 1, "bad id"),
        ({"id": b"0123"}, 1, "bad id"),
        ({"id": "٠١٢٣٤٥٦٧".encode()}, 1, "bad id"),
        ({"domain": None}, 1, "no domain"),
        ({"domain": b"\xff\xfe"}, 1, "bad domain"),
        ({"host": b"a\x1b[31m"}, 1, "bad host"),
        ({"host": b"h" * 129}, 1, "bad host"),
        ({"v": b"9" * 33}, 1, "bad v"),
        ({}, 0, "port 0"),
        ({}, 65_536, "port 65536"),
        ({}, -1, "port -1"),
    ],
)
def test_bad_txt_is_refused_with_a_reason(change: dict[str, bytes | None], port: int, wrong: str) -> None:
    txt = {key: value for key, value in {**to_txt(ADVERT), **change}.items() if value is not None}
    assert from_txt(txt, port) == (None, wrong)


def test_bad_topics_end_the_list_quietly() -> None:
    heard, _ = from_txt({**to_txt(ADVERT), "t1": b"\xff", "more": b"1e9"}, 1)
    assert heard is not None and heard.topics == ("imu",) and heard.more == 0


@given(st.binary(max_size=1400))
def test_random_txt_never_raises(data: bytes) -> None:
    txt = unpack_txt(data)
    if txt is not None:
        from_txt(txt, 1)


def test_mutated_txt_never_raises_and_stays_bounded() -> None:
    valid, random_ = pack_txt(to_txt(ADVERT)), random.Random(7)
    for bit in range(8 * len(valid)):
        data = bytearray(valid)
        data[bit // 8] ^= 1 << bit % 8
        txt = unpack_txt(bytes(data[: random_.randint(1, len(data))] if bit % 3 == 0 else data))
        heard, wrong = from_txt(txt, 1) if txt is not None else (None, "not TXT")
        assert (heard is None) == bool(wrong)
    assert unpack_txt(bytes(1201)) is None


# Sightings


class Ear:
    """Sightings and what they counted."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.sightings = Sightings("f" * 16, "lab", lambda cause, _: self.counted.update([cause]))

    def hear(self, batch: Batch, now: float = NOW, own: frozenset[str] = HERE) -> list[Hint]:
        return self.sightings.hear(batch, own, now)


def _id(number: int) -> str:
    return f"{number:016x}"


def _packed(*addresses: str) -> list[bytes]:
    return [bytes(map(int, address.split("."))) for address in addresses]


def _batch(number: int = 1, *addresses: str, **changes: object) -> Batch:
    advert = replace(ADVERT, node_id=_id(number), **changes)  # type: ignore[arg-type]
    name, server = instance_name("arm", _id(number)), f"ipcpy-{number}.local."
    return Batch(
        pointers=[name],
        services=[(name, server, advert.port)],
        texts=[(name, pack_txt(to_txt(advert)))],
        addresses=[(server, packed) for packed in _packed(*(addresses or ("10.0.0.1",)))],
    )


def test_a_whole_packet_is_told_at_once() -> None:
    assert Ear().hear(_batch()) == [Hint(_id(1), "10.0.0.1", 40_000)]


def test_the_same_is_told_again_only_after_a_while() -> None:
    ear = Ear()
    assert len(ear.hear(_batch())) == 1
    assert ear.hear(_batch(), NOW + 0.45) == []
    assert ear.hear(_batch(topics=("other",)), NOW + 0.5) != []
    assert ear.hear(_batch(topics=("other",)), NOW + 0.6) == []
    assert len(ear.hear(_batch(topics=("other",)), NOW + 2.6)) == 1
    assert ear.hear(_batch(1, "10.0.0.2", topics=("other",)), NOW + 2.7) == [Hint(_id(1), "10.0.0.2", 40_000)]


def test_records_may_come_one_by_one_in_any_order() -> None:
    whole, ear = _batch(), Ear()
    parts = [Batch(pointers=whole.pointers), Batch(texts=whole.texts), Batch(services=whole.services)]
    for part in parts:
        assert ear.hear(part) == []
        assert ear.sightings.unresolved(part)
    assert ear.sightings.missing() == [(whole.pointers[0], "ipcpy-1.local.")]
    assert len(ear.hear(Batch(addresses=whole.addresses))) == 1
    assert ear.sightings.missing() == []
    assert ear.sightings.recent(NOW) == whole.pointers


def test_what_is_missing_is_asked_three_times() -> None:
    ear = Ear()
    ear.hear(Batch(pointers=[instance_name("arm", _id(n)) for n in range(20)]))
    asked = Counter(name for _ in range(10) for name, _ in ear.sightings.missing())
    assert len(asked) == 20 and set(asked.values()) == {3}


def test_names_ignore_case() -> None:
    whole, ear = _batch(), Ear()
    ear.hear(Batch(pointers=[whole.pointers[0].upper()], texts=whole.texts))
    ear.hear(Batch(services=[(whole.pointers[0], "IPCPY-1.Local.", 5)]))
    assert len(ear.hear(Batch(addresses=whole.addresses))) == 1
    assert len(ear.sightings) == 1


@pytest.mark.parametrize(
    ("addresses", "own", "told"),
    [
        (("10.0.0.1", "127.0.0.1"), HERE, ["10.0.0.1"]),  # another host's loopback
        (("10.0.0.9", "127.0.0.1"), HERE, ["127.0.0.1", "10.0.0.9"]),  # this host
        (("127.0.0.1",), HERE, ["127.0.0.1"]),
        (("10.0.0.1", "127.0.0.1"), frozenset(), ["127.0.0.1"]),  # we keep to this host
        (("10.0.0.1",), frozenset(), []),
        (("0.0.0.0", "224.0.0.251", "255.255.255.255", "10.0.0.1"), HERE, ["10.0.0.1"]),
        (tuple(f"10.0.1.{n}" for n in range(100)), HERE, [f"10.0.1.{n}" for n in range(8)]),
    ],
)
def test_addresses_worth_a_try(addresses: tuple[str, ...], own: frozenset[str], told: list[str]) -> None:
    assert [hint.address for hint in Ear().hear(_batch(1, *addresses), own=own)] == told


def test_own_foreign_and_malformed_are_counted() -> None:
    ear = Ear()
    assert ear.hear(_batch(0xFFFFFFFFFFFFFFFF)) == []
    assert ear.hear(_batch(2, domain="other")) == []
    assert ear.hear(_batch(3, port=0)) == []
    bad = _batch(4)
    bad.texts = [(bad.pointers[0], b"\xff" * 9000)]
    assert ear.hear(bad) == []
    assert ear.hear(_batch(5, "230.1.1.1")) == []
    assert ear.counted == {"own": 1, "domain": 1, "malformed": 2, "address": 1}


def test_goodbye() -> None:
    ear = Ear()
    ear.hear(_batch())
    leaving = Batch(goodbyes=[instance_name("arm", _id(1)), instance_name("arm", "f" * 16), "x." + SERVICE_TYPE, ""])
    assert list(ear.sightings.goodbyes(leaving)) == [_id(1)]
    assert len(ear.sightings) == 0


def test_after_a_change_of_the_network_all_is_news() -> None:
    ear = Ear()
    ear.hear(_batch())
    ear.sightings.clear()
    assert ear.sightings.recent(0) == [] and not ear.sightings._by_server
    assert len(ear.hear(_batch(), NOW + 0.1)) == 1


def test_other_services_are_nothing_to_us() -> None:
    ear = Ear()
    ear.hear(Batch(texts=[("tv._googlecast._tcp.local.", b"")], addresses=[("tv.local.", b"\x0a\0\0\1")]))
    assert len(ear.sightings) == 0 and not ear.counted


def test_restarts_leave_nothing_behind() -> None:
    ear = Ear()
    for number in range(10_000):
        ear.hear(_batch(number), NOW + number)
        ear.sightings.prune(NOW + number)
    assert len(ear.sightings) <= Sightings.KEEP + 1
    assert len(ear.sightings._by_server) == len(ear.sightings)


def test_a_flood_is_bounded_and_does_not_forbid_others() -> None:
    ear = Ear()
    told = sum(len(ear.hear(_batch(number, "10.9.9.9"), NOW)) for number in range(5000))
    assert told == 128  # to one address
    assert ear.hear(_batch(9999, "10.0.0.1")) != []  # somebody else is still found
    told += sum(len(ear.hear(_batch(number, f"10.1.{number >> 8}.{number & 255}"), NOW)) for number in range(5000))
    assert told <= 512
    assert len(ear.sightings) == Sightings.LIMIT == len(ear.sightings._each)
    assert set(ear.counted) == {"flood", "crowded"}
    assert ear.hear(_batch(9998, "10.0.0.3"), NOW + 0.1) != []


def test_many_instances_of_one_server_cost_little() -> None:
    ear = Ear()
    for number in range(3000):
        name = instance_name("x", _id(number))
        ear.hear(Batch(services=[(name, "one.local.", 1)]))
    assert len(ear.sightings._by_server["one.local."]) <= Sightings.NEIGHBOURS


@given(st.lists(st.tuples(st.sampled_from("pstag"), st.integers(0, 3), st.integers(0, 3)), max_size=30))
def test_tables_agree_after_any_order(steps: list[tuple[str, int, int]]) -> None:
    ear = Ear()
    for kind, number, other in steps:
        name = instance_name("arm", _id(number))
        batch = Batch()
        if kind == "p":
            batch.pointers.append(name)
        elif kind == "s":
            batch.services.append((name, f"s{other}.local.", 1 + other))
        elif kind == "t":
            batch.texts.append((name, pack_txt(to_txt(replace(ADVERT, node_id=_id(number))))))
        elif kind == "a":
            batch.addresses.append((f"s{number}.local.", bytes((10, 0, 0, other))))
        else:
            list(ear.sightings.goodbyes(Batch(goodbyes=[name])))
        ear.hear(batch)
    indexed = {key for keys in ear.sightings._by_server.values() for key in keys}
    assert indexed == {key for key, entry in ear.sightings._entries.items() if entry.server}
