"""Envelopes: golden bytes, what comes back, and what strangers send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.asking import envelope
from ipcpy.asking.envelope import Failure, Malformed, pack_failure, pack_lost, seal, unpack_failure, unpack_lost, unseal
from ipcpy.errors import ArgumentError

GOLDEN = {  # docs/protocol.md, "Services"
    "01 01 00 00 00 00 00 00 07 00 00 00 00 00 00 00 c0": (envelope.CALL, 7, b"\xc0", {"flags": envelope.STEPS}),
    "02 01 00 00 00 00 00 00 07 00 00 00 00 00 00 00": (envelope.CANCEL, 7, b"", {"flags": envelope.WAITS}),
    "12 00 00 00 03 00 00 00 07 00 00 00 00 00 00 00 2a": (envelope.STEP, 7, b"\x2a", {"step": 3}),
    "11 02 00 00 00 00 00 00 07 00 00 00 00 00 00 00": (envelope.RESULT, 7, b"", {"flags": envelope.NOTHING}),
    "15 00 00 00 00 00 00 00 09 00 00 00 00 00 00 00 08 00 00 00 00 00 00 00": (envelope.LOST, 9, pack_lost(8), {}),
}


@pytest.mark.parametrize("wire", GOLDEN)
def test_golden_vectors(wire):
    kind, number, body, more = GOLDEN[wire]
    assert bytes(seal(kind, number, body, **more)) == bytes.fromhex(wire)
    assert unseal(bytes.fromhex(wire)) == (kind, more.get("flags", 0), more.get("step", 0), number, body)


def test_a_large_body_is_not_copied():
    body = bytearray(envelope.JOINED + 1)
    header, same = seal(envelope.RESULT, 1, body)
    assert same is body
    assert len(header) == envelope.SIZE
    assert seal(envelope.RESULT, 1, [b"a", b"b"]) == [header, b"a", b"b"]
    taken = unseal(header + body).body
    assert type(taken) is memoryview
    assert taken.readonly


@given(st.binary(max_size=64))
def test_bytes_of_strangers_raise_nothing_but_malformed(data):
    try:
        kind, _, _, number, body = unseal(data)
    except Malformed:
        assert len(data) < envelope.SIZE or data[0] not in envelope.REQUESTS | envelope.ANSWERS
    else:
        assert kind == data[0]
        assert number == int.from_bytes(data[8:16], "little")
        assert bytes(body) == data[16:]


def test_a_failure_travels_and_a_long_one_is_cut():
    assert unpack_failure(pack_failure(Failure("ValueError", "too far", "line 1"))) == (
        "ValueError",
        "too far",
        "line 1",
    )
    assert unpack_failure(pack_failure(Failure("E", "\ud800"))).text == "?"
    long = unpack_failure(pack_failure(Failure("E" * 999, "x" * 99_999, "y" * 99_999)))
    assert (len(long.type), len(long.text), len(long.trace)) == (256, envelope.MAX_TEXT, envelope.MAX_TEXT)


@given(st.binary(max_size=40))
def test_a_failure_of_a_stranger_is_text_or_malformed(data):
    try:
        failure = unpack_failure(data)
    except Malformed:
        return
    assert all(isinstance(each, str) for each in failure)


def test_the_range_of_what_is_lost_has_eight_bytes():
    assert unpack_lost(memoryview(pack_lost(2**63))) == 2**63
    with pytest.raises(Malformed):
        unpack_lost(b"1234567")


@pytest.mark.parametrize("over", [0, 1, 5, 30])
@pytest.mark.parametrize("as_list", [False, True])
def test_what_just_does_not_fit_into_a_message_is_sent_in_two(monkeypatch, over, as_list):
    monkeypatch.setattr(envelope, "MAX_MESSAGE", 100)
    monkeypatch.setattr(envelope, "JOINED", 10)
    body = bytes(range(100 - envelope.SIZE + over))
    sent = envelope.seal_all(envelope.RESULT, 7, [body[:3], body[3:]] if as_list else body, flags=1)
    pieces = [unseal(b"".join(each) if isinstance(each, list) else bytes(each)) for each in sent]
    assert [piece.kind for piece in pieces] == [envelope.PART, envelope.RESULT][not over :]
    assert {piece.number for piece in pieces} == {7}
    assert b"".join(piece.body for piece in pieces) == body
    assert all(envelope.SIZE + len(piece.body) <= 100 for piece in pieces)


def test_a_body_that_two_pieces_do_not_hold_is_refused_and_not_cut():
    body = memoryview(bytes(envelope.MAX_PART + 1))
    parts = [body] * 65
    with pytest.raises(ArgumentError, match="a request or an answer has at most 64 MiB, got 68,157,505 bytes"):
        envelope.seal_all(envelope.CALL, 1, parts)
