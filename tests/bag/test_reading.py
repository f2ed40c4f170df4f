"""A plain reading: what a codec publishes of decoded data."""

from __future__ import annotations

from ipcpy.bag.reading import plain_reading
from ipcpy.bag.records import Entry
from ipcpy.codec import MsgPack


def test_data_are_decoded_and_the_codec_makes_the_body_of_them():
    reading = plain_reading(MsgPack(), lambda raw: bytes(raw).decode().split(), "a note")
    entry = Entry(1, 2, 3, 4, memoryview(b"a b"))
    assert reading.data(entry) == ["a", "b"]
    assert MsgPack().decode(reading.body(entry)) == ["a", "b"]
    assert (reading.note, reading.spec, reading.payload) == ("a note", None, None)
