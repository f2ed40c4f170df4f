from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.bridges.offers import Offer, Parcel, pack_head, pack_offer, read_id, unpack_head, unpack_offer

IMU = Offer("ab" * 8, "robot7/imu", "struct", {"messages": [{"id": 3}]}, True, 2, "driver", "robot7", "b7", ("cd" * 8,))


def test_an_offer_travels_as_bytes() -> None:
    assert unpack_offer(pack_offer(IMU)) == IMU
    assert (IMU.bridge, IMU.key) == ("cd" * 8, ("cd" * 8, "ab" * 8))


def test_the_head_of_a_parcel_has_these_bytes() -> None:
    head = pack_head(Parcel(258, 3, b"x", 4))
    assert head.hex(" ") == "01 00 00 00 04 00 00 00 02 01 00 00 00 00 00 00 03 00 00 00 00 00 00 00"
    assert unpack_head(head, b"x") == Parcel(258, 3, b"x", 4)
    assert unpack_head(pack_head(Parcel(7, 0, None)), b"") == Parcel(7, 0, None)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("topic", "robot/*", "pattern"),
        ("topic", "a b", "topic"),
        ("topic", "@ipcpy/service/arm/0123456789abcdef", "ipcpy's own"),
        ("topic", 7, "topic"),
        ("codec", "x" * 65, "codec"),
        ("schema", [], "schema"),
        ("path", [], "path"),
        ("path", ["ab" * 8] * 17, "path"),
        ("path", ["zz"], "id"),
        ("publisher", "0" * 16, "id"),
        ("reliable", 1, "reliable"),
        ("keep", -1, "keep"),
        ("keep", True, "keep"),
        ("node", "a\nb", "node"),
        ("ipcpy", 2, "version"),
    ],
)
def test_an_offer_with_something_wrong_is_refused(name: str, value: object, complaint: str) -> None:
    told = {**json.loads(pack_offer(IMU)), name: value}
    with pytest.raises(ValueError, match=complaint):
        unpack_offer(json.dumps(told).encode())


@given(st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
def test_garbage_is_a_value_error_and_nothing_else(data: bytes) -> None:
    for read in (unpack_offer, lambda data: unpack_head(data, b"")):
        try:
            read(data)
        except ValueError:
            pass


def test_every_flipped_bit_of_an_offer_is_read_or_refused() -> None:
    data = pack_offer(IMU)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            assert isinstance(unpack_offer(bytes(flipped)), Offer)
        except ValueError:
            pass


def test_an_offer_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(ValueError, match="at most 65,536"):
        unpack_offer(b" " * 70_000)


@pytest.mark.parametrize("seq", [0, -1])
def test_a_number_that_no_message_has_is_refused(seq: int) -> None:
    with pytest.raises(ValueError, match="no message has"):
        unpack_head(pack_head(Parcel(seq, 0, b"")), b"")


def test_ids_are_16_digits() -> None:
    assert read_id("00000000000000ff") == "00000000000000ff"
    for wrong in ("ff", "F" * 16, None, "0" * 16):
        with pytest.raises(ValueError, match="16 hexadecimal"):
            read_id(wrong)
