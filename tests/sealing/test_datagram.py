"""sealing.datagram: the bytes of a head, and what is said of others."""

from __future__ import annotations

import pytest

from ipcpy.protocol.wire import FLAG_SEALED, VERSION, Kind, pack_frame
from ipcpy.sealing import datagram
from ipcpy.sealing.datagram import HEAD, HEAD_SIZE, NAMED, NONCE, OVERHEAD, PACKED, mark, what_is


def test_a_head_has_its_fields_where_the_document_says():
    head = PACKED.pack(0x0102, mark(0x0304), 0x05060708090A0B0C, b"key." + b"session....." + b"age.")
    assert head.hex(" ") == (
        "02 01 01 20 00 01 04 03 0c 0b 0a 09 08 07 06 05 6b 65 79 2e 73 65 73 73 69 6f 6e 2e 2e 2e 2e 2e 61 67 65 2e"
    )
    length, marked, number, name, age = HEAD.unpack(head)
    assert (length, marked, number) == (0x0102, mark(0x0304), 0x05060708090A0B0C)
    assert (name, age.to_bytes(4, "little")) == (b"key.session.....", b"age.")
    assert head[NONCE] == number.to_bytes(8, "little") + b"key."
    assert HEAD_SIZE == len(head) == 36 and OVERHEAD == 52 and NAMED == 20


def test_it_looks_like_a_frame_to_who_has_no_key():
    assert mark(0)[:4] == bytes((VERSION, datagram.KIND, 0, FLAG_SEALED))
    assert datagram.KIND == Kind.SEALED


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "malformed"),
        (b"abc", "malformed"),
        (b"GET / HTTP/1.1\r\n\r\n" + bytes(99), "malformed"),
        (pack_frame(Kind.HELLO, 1, 0, 0, bytes(16)), "unsealed"),
        (pack_frame(Kind.DATA, 1, 0, 0, b""), "unsealed"),
        (PACKED.pack(52, mark(7), 1, bytes(NAMED)) + bytes(16), "misdirected"),
        (PACKED.pack(52, mark(7), 1, bytes(NAMED)), "malformed"),
        (PACKED.pack(52, b"\x01\x20\x00\x03\x07\x00", 1, bytes(NAMED)) + bytes(16), "malformed"),
        (PACKED.pack(52, b"\x02\x20\x00\x01\x07\x00", 1, bytes(NAMED)) + bytes(16), "malformed"),
    ],
)
def test_what_is_said_of_what_is_not_opened(data, what):
    assert what_is(data) == what
