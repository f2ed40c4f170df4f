"""Places and hand-overs as bytes: read as built, and nothing else is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol.data.fragments import MAX_MESSAGE
from ipcpy.protocol.data.places import (
    ENTRIES,
    MAX_GENERATION,
    MAX_MAPPED,
    MAX_SEGMENTS,
    OFFER,
    SPOT,
    TABLE_SIZE,
    Offer,
    OfferKind,
    Spot,
    held,
    let_go,
    pack_offer,
    pack_spot,
    unpack_offer,
    unpack_spot,
)
from ipcpy.protocol.wire import Malformed

u64 = st.integers(0, (1 << 64) - 1)
SOMEWHERE = Spot(1, 2, 3, 4_096, 100_000)
OFFERED = Offer(OfferKind.OFFER, 1, 2, 3, 0, 4 << 20)


@st.composite
def spots(draw: st.DrawFn) -> Spot:
    segment, size = draw(st.integers(0, MAX_SEGMENTS - 1)), draw(st.integers(1, MAX_MESSAGE))
    offset = draw(st.integers(0 if segment else TABLE_SIZE, MAX_MAPPED - size))
    return Spot(segment, draw(st.integers(0, ENTRIES - 1)), draw(st.integers(1, MAX_GENERATION)), offset, size)


@given(spots())
def test_a_spot_is_read_as_it_was_built(spot: Spot) -> None:
    assert unpack_spot(memoryview(pack_spot(spot))) == spot


@pytest.mark.parametrize(
    "lie",
    [
        {"segment": MAX_SEGMENTS},
        {"entry": ENTRIES},
        {"generation": 0},
        {"generation": MAX_GENERATION + 1},
        {"size": 0},
        {"size": MAX_MESSAGE + 1},
        {"offset": MAX_MAPPED - SOMEWHERE.size + 1},
        {"offset": (1 << 64) - 1},
        {"segment": 0, "offset": TABLE_SIZE - 1},
    ],
    ids=str,
)
def test_a_spot_where_no_slot_can_be_is_malformed(lie: dict[str, int]) -> None:
    assert unpack_spot(pack_spot(SOMEWHERE)) == SOMEWHERE
    with pytest.raises(Malformed, match="malformed"):
        unpack_spot(pack_spot(SOMEWHERE._replace(**lie)))


@pytest.mark.parametrize("length", [0, SPOT.size - 1, SPOT.size + 1])
def test_a_spot_of_another_length_is_malformed(length: int) -> None:
    with pytest.raises(Malformed, match="malformed"):
        unpack_spot((2 * pack_spot(SOMEWHERE))[:length])


@given(st.binary(min_size=SPOT.size, max_size=SPOT.size))
def test_whatever_is_read_as_a_spot_lies_in_a_segment_and_beside_the_table(body: bytes) -> None:
    try:
        spot = unpack_spot(body)
    except Malformed:
        return
    assert pack_spot(spot) == body
    assert (0 if spot.segment else TABLE_SIZE) <= spot.offset < spot.offset + spot.size <= MAX_MAPPED


@given(st.integers(1, MAX_GENERATION - 1))
def test_a_ledger_only_ever_grows(generation: int) -> None:
    assert 0 < let_go(generation) < held(generation) < let_go(generation + 1) < 1 << 63


@given(st.sampled_from(OfferKind), u64, u64, u64, st.integers(0, MAX_SEGMENTS - 1), st.integers(TABLE_SIZE, MAX_MAPPED))
def test_an_offer_is_read_as_it_was_built(
    kind: OfferKind, publisher: int, subscriber: int, token: int, segment: int, size: int
) -> None:
    offer = Offer(kind, publisher, subscriber, token, segment, size)
    read = unpack_offer(memoryview(pack_offer(offer)))
    assert read == offer
    assert read.kind is kind


@pytest.mark.parametrize(
    "lie",
    [{"segment": MAX_SEGMENTS}, {"size": TABLE_SIZE - 1}, {"size": MAX_MAPPED + 1}, {"kind": 0}, {"kind": 5}],
    ids=str,
)
def test_an_offer_of_what_cannot_be_is_malformed(lie: dict[str, int]) -> None:
    assert unpack_offer(pack_offer(OFFERED)) == OFFERED
    with pytest.raises(Malformed, match="malformed"):
        unpack_offer(pack_offer(OFFERED._replace(**lie)))


def test_a_further_segment_has_no_table_and_may_be_small_but_not_empty() -> None:
    small = OFFERED._replace(segment=1, size=1)
    assert unpack_offer(pack_offer(small)) == small
    with pytest.raises(Malformed, match="malformed"):
        unpack_offer(pack_offer(small._replace(size=0)))


@pytest.mark.parametrize(
    ("at", "value", "cause"), [(0, b"I", "malformed"), (4, b"\2", "version"), (8, b"\1", "malformed")]
)
def test_an_offer_says_what_it_is(at: int, value: bytes, cause: str) -> None:
    datagram = pack_offer(OFFERED)
    with pytest.raises(Malformed, match=cause):
        unpack_offer(datagram[:at] + value + datagram[at + 1 :])


@pytest.mark.parametrize("length", [0, OFFER.size - 1, OFFER.size + 1])
def test_an_offer_of_another_length_is_malformed(length: int) -> None:
    with pytest.raises(Malformed, match="malformed"):
        unpack_offer((2 * pack_offer(OFFERED))[:length])
