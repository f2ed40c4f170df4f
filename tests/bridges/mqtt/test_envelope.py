"""bridges.mqtt.envelope: what messages say of themselves, payloads of bodies and bodies of payloads."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import pytest

from ipcpy.bridges.mqtt.envelope import Reader, Writer, pack_head, unpack_head
from ipcpy.bridges.offers import Offer, Parcel
from ipcpy.codec import MsgLibrary, MsgPack, Raw
from ipcpy.errors import CodecError

KEY = ("00000000000000aa", "00000000000000bb")
Imu = namedtuple("Imu", "gx gz")
IMU = MsgLibrary({23: ("<2f", Imu)})


def offer(codec: Any, name: str = "") -> Offer:
    return Offer(KEY[1], "imu", name or codec.name, codec.schema, path=(KEY[0],))


def test_a_head_says_whose_number_time_and_form() -> None:
    parcel = Parcel(7, 1_795_892_339_138_958_223, b"body", 3)
    text = pack_head(KEY, parcel, "json")
    assert text == "1 00000000000000aa 00000000000000bb 7 1795892339138958223 3 json"
    assert unpack_head(text) == (KEY, parcel._replace(body=None), "json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2 00000000000000aa 00000000000000bb 7 1 0 json",
        "1 00000000000000aa 00000000000000bb 7 1 0",
        "1 00000000000000aa 00000000000000bb 0 1 0 json",
        "1 00000000000000aa 00000000000000bb -1 1 0 json",
        "1 00000000000000aa 00000000000000bb 7 1 0 xml",
        "1 00000000000000aa 00000000000000bb ² 1 0 json",
        "1 00000000000000aa 00000000000000bb 99999999999999999999 1 0 json",
        "1 zz 00000000000000bb 7 1 0 json",
        "1 00000000000000aa 00000000000000bb 7 1 0 json" + " " * 200,
    ],
)
def test_a_head_that_is_none_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        unpack_head(text)


@pytest.mark.parametrize(
    ("codec", "data", "payload"),
    [
        (IMU, Imu(0.5, -0.25), b'{"gx":0.5,"gz":-0.25}'),
        (MsgPack(), {"speed": [1, 2.5, None]}, b'{"speed":[1,2.5,null]}'),
        (MsgPack(), 21.5, b"21.5"),
    ],
)
def test_json_is_what_was_published_and_becomes_the_same_body_again(codec: Any, data: Any, payload: bytes) -> None:
    body = codec.encode(data)
    body = b"".join(body) if isinstance(body, list) else bytes(body)
    writer = Writer(offer(codec), "json")
    assert (writer.form, writer.payload(memoryview(body))) == ("json", payload)
    assert Reader(offer(codec)).body(payload, "json") == body


def test_raw_is_the_body_itself() -> None:
    writer = Writer(offer(IMU), "raw")
    body = IMU.encode(Imu(1, 2))
    assert (writer.form, writer.payload([body[:3], body[3:]])) == ("raw", body)
    assert Reader(offer(IMU)).body(body, "raw") == body


def test_bytes_and_what_others_encode_stay_as_they_are_though_json_is_asked_for() -> None:
    assert Writer(offer(Raw()), "json").form == "raw"
    assert Writer(offer(MsgPack(), "protobuf"), "json").form == "raw"
    assert Writer(Offer(KEY[1], "imu", "struct", {"messages": "none"}, path=(KEY[0],)), "json").form == "raw"


def test_what_cannot_be_written_or_read_is_an_error_of_codecs() -> None:
    with pytest.raises(CodecError):
        Writer(offer(IMU), "json").payload(b"no message")
    for payload in (b'{"gx": 1}', b"[1", b"\xff", b"5"):
        with pytest.raises(CodecError):
            Reader(offer(IMU)).body(payload, "json")
    with pytest.raises(CodecError):
        Reader(offer(MsgPack())).body(str(2**70).encode(), "json")
