"""discovery.advert: names, and TXT records there and back."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.discovery.advert import (
    SERVICE_TYPE,
    Advert,
    cut_field,
    from_txt,
    instance_name,
    pack_txt,
    to_txt,
    unpack_txt,
)

ADVERT = Advert("0123456789abcdef", "arm", "robot-1", "lab", 40_000, "2026.11.1", ("imu", "camera/left"))


# -- names -------------------------------------------------------------------------------------------------------------


def test_an_instance_is_named_after_the_node_and_its_id() -> None:
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


# -- TXT ---------------------------------------------------------------------------------------------------------------


def test_the_bytes_of_a_txt_record_are_these_and_say_the_same_again() -> None:
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


def test_a_field_is_cut_to_128_bytes_between_characters() -> None:
    assert cut_field("lab") == "lab"
    assert cut_field("ä" * 100) == "ä" * 64
    assert cut_field("x" + "ä" * 100) == "x" + "ä" * 63


# -- with a key --------------------------------------------------------------------------------------------------------

SEALED = Advert("0123456789abcdef", "arm", "robot-1", "lab", 40_000, "2026.11.1", ("imu",), key="0a0b0c0d")


def test_with_a_key_nothing_is_shown_but_an_id_and_which_key() -> None:
    assert to_txt(SEALED) == {"id": b"0123456789abcdef", "k": b"0a0b0c0d"}
    assert SEALED.instance == f"0123456789abcdef.{SERVICE_TYPE}"


def test_what_a_node_with_a_key_shows_is_read_again() -> None:
    read, wrong = from_txt(to_txt(SEALED), 40_000, SEALED.instance)
    assert (read, wrong) == (Advert("0123456789abcdef", "", "", "", 40_000, "", key="0a0b0c0d"), "")


@pytest.mark.parametrize(
    ("txt", "wrong"),
    [
        ({"id": b"0123456789abcdef", "k": b""}, "bad k"),
        ({"id": b"0123456789abcdef", "k": b"0A0B0C0D"}, "bad k"),
        ({"id": b"0123456789abcdef", "k": b"0a0b0c0d0e"}, "bad k"),
        ({"id": b"0123456789abcdef", "k": b"\xff" * 8}, "bad k"),
        ({"k": b"0a0b0c0d"}, "no id"),
    ],
)
def test_a_bad_key_is_refused_with_a_reason(txt: dict[str, bytes], wrong: str) -> None:
    assert from_txt(txt, 40_000) == (None, wrong)
