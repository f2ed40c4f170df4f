"""bridges.mqtt.strangers: publishers of what phones and lamps publish."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import pytest

from ipcpy.bridges.mqtt import strangers as module
from ipcpy.bridges.mqtt.strangers import Strangers, broker_id
from ipcpy.bridges.offers import pack_offer, unpack_offer
from ipcpy.codec import MsgLibrary, MsgPack
from ipcpy.errors import CodecError

Imu = namedtuple("Imu", "gx gz")
IMU = MsgLibrary({23: ("<2f", Imu)})


def strangers(bridge: str = "00000000000000aa", **schemas: Any) -> Strangers:
    return Strangers(lambda topic: schemas.get(topic, []), "broker:1883", bridge)


def test_a_name_becomes_a_publisher_whose_messages_are_numbered() -> None:
    heard = strangers()
    offer, parcel, new = heard.take("cmd", b'{"speed": 1}', "json", retained=False, now_ns=5)
    assert (offer.topic, offer.codec, offer.keep, offer.host, offer.path) == (
        "cmd", "msgpack", 0, "broker", (broker_id("broker:1883"),),
    )  # fmt: skip
    assert (parcel.seq, parcel.sent_ns, MsgPack().decode(parcel.body), new) == (1, 5, {"speed": 1}, True)
    again, parcel, new = heard.take("cmd", b"ON", "json", retained=False, now_ns=6)
    assert (again, parcel.seq, MsgPack().decode(parcel.body), new) == (offer, 2, "ON", False)
    assert (heard.next(offer.key), heard.next(("a", "b"))) == (3, 0)
    assert (heard.known("cmd"), heard.known("cmd2")) == (offer, None)
    assert unpack_offer(pack_offer(offer)) == offer


def test_two_bridges_have_publishers_for_the_same_name_that_are_known_to_be_the_same_and_number_each_its_own() -> None:
    heard = strangers("00000000000000aa"), strangers("00000000000000bb")
    one, other = (each.take("cmd", b"1", "json", retained=False, now_ns=5)[0] for each in heard)
    assert (one.path, one.publisher[:8]) == (other.path, other.publisher[:8])
    assert (one.publisher[8:], other.publisher[8:]) == ("000000aa", "000000bb")
    assert strangers().take("cmd2", b"1", "json", retained=False, now_ns=5)[0].publisher[:8] != one.publisher[:8]


def test_what_is_retained_makes_a_latched_publisher() -> None:
    heard = strangers()
    heard.take("door", b'"open"', "json", retained=False, now_ns=5)
    offer, _, new = heard.take("door", b'"shut"', "json", retained=True, now_ns=6)
    assert (offer.keep, new) == (1, True)
    assert heard.take("door", b'"open"', "json", retained=False, now_ns=7)[0] == offer


def test_json_becomes_the_struct_message_that_somebody_here_expects() -> None:
    heard = strangers(imu=[IMU.schema])
    offer, parcel, _ = heard.take("imu", b'{"gx": 1, "gz": 0.5}', "json", retained=False, now_ns=5)
    assert (offer.codec, offer.schema, parcel.body) == ("struct", IMU.schema, IMU.encode(Imu(1, 0.5)))
    other, parcel, new = heard.take("imu", b'{"gx": 1}', "json", retained=False, now_ns=5)
    assert (other.codec, parcel.seq, new) == ("msgpack", 1, True)
    assert other.key != offer.key


def test_raw_stays_bytes() -> None:
    offer, parcel, _ = strangers().take("cam", b"\xff\xd8", "raw", retained=False, now_ns=5)
    assert (offer.codec, parcel.body) == ("raw", b"\xff\xd8")


def test_what_is_no_json_and_too_many_names_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = strangers()
    with pytest.raises(CodecError):
        heard.take("cmd", b"{", "json", retained=False, now_ns=5)
    monkeypatch.setattr(module, "MAX_NAMES", 1)
    heard.take("a", b"1", "json", retained=False, now_ns=5)
    with pytest.raises(ValueError, match="more than 1 names"):
        heard.take("b", b"1", "json", retained=False, now_ns=5)
    heard.take("a", b"1", "json", retained=False, now_ns=5)
