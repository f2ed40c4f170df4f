"""discovery.sightings: made-up records in, hints out; no socket and no clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.discovery.advert import Advert, instance_name, pack_txt, to_txt
from ipcpy.discovery.sightings import Batch, Hint, Sightings

ADVERT = Advert("0123456789abcdef", "arm", "robot-1", "lab", 40_000, "2026.11.1", ("imu", "camera/left"))
HERE = frozenset({"10.0.0.9"})
NOW = 1_000_000.0


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


def test_other_domains_are_remembered_by_name_as_long_as_their_nodes() -> None:
    ear = Ear()
    for number, domain in enumerate(("home", "home", "garage", "lab")):
        ear.hear(_batch(number, domain=domain))
    assert ear.sightings.domains() == {"home": 2, "garage": 1}
    ear.hear(_batch(9, domain="garage"), NOW + 100)
    ear.sightings.prune(NOW + 130)
    assert ear.sightings.domains() == {"garage": 1}
    ear.sightings.clear()
    assert ear.sightings.domains() == {}


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        ((), "", True),
        ((), "0a0b0c0d", False),
        (("0a0b0c0d",), "0a0b0c0d", True),
        (("11111111", "0a0b0c0d"), "0a0b0c0d", True),
        (("11111111",), "0a0b0c0d", False),
        (("11111111",), "", False),
    ],
)
def test_only_who_shares_a_key_is_worth_a_knock(ours: tuple[str, ...], theirs: str, told: bool) -> None:
    counted: Counter[str] = Counter()
    sightings = Sightings("f" * 16, "lab", lambda cause, _: counted.update([cause]), lambda: ours)
    assert bool(sightings.hear(_batch(key=theirs), HERE, NOW)) is told
    assert counted == ({} if told else {"key": 1})
    assert sightings.domains() == {}


def test_a_node_that_is_heard_in_another_domain_is_in_that_one() -> None:
    ear = Ear()
    ear.hear(_batch(1, domain="home"))
    ear.hear(_batch(1, domain="garage"))
    assert ear.sightings.domains() == {"garage": 1}
    ear.hear(_batch(1))
    assert ear.sightings.domains() == {}


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


@given(st.lists(st.tuples(st.sampled_from("psta"), st.integers(0, 3), st.integers(0, 3)), max_size=30))
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
        else:
            batch.addresses.append((f"s{number}.local.", bytes((10, 0, 0, other))))
        ear.hear(batch)
    indexed = {key for keys in ear.sightings._by_server.values() for key in keys}
    assert indexed == {key for key, entry in ear.sightings._entries.items() if entry.server}
