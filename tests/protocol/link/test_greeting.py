"""The handshake: who is believed to be where, and what that costs those who are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.addresses import Address
from ipcpy.protocol.link.greeting import (
    BOOKS,
    CLOCKS,
    GREETING_BODY,
    GREETING_SIZE,
    KNOCK,
    PARTS,
    STATIC,
    TOKENS,
    Answer,
    Greeter,
    domain_number,
)
from ipcpy.protocol.wire import Frame, Kind, Malformed, frames, pack_frame

HERE, THERE, ELSEWHERE = ("10.0.0.1", 17770), ("10.0.0.2", 17770), ("10.0.0.3", 17770)


def greeter(id: int, domain: str = "d") -> Greeter:
    return Greeter(id, domain, bytes([id]) * 32)


def read(datagram: bytes | None) -> Frame:
    assert datagram is not None
    (frame,) = frames(datagram)
    return frame


@pytest.mark.parametrize("extra", [0, KNOCK, STATIC])
def test_a_knock_ends_with_both_knowing_that_the_others_address_is_real(extra: int) -> None:
    here, there = greeter(1), greeter(2)  # here is at HERE
    hello = read(here.hello(THERE, extra))
    welcome = there.answer(hello, HERE, known=False)
    assert welcome.token is None, "a HELLO proves nothing"
    confirm = here.answer(read(welcome.reply), THERE, known=False)
    assert confirm.token == there.token(HERE)
    last = there.answer(read(confirm.reply), HERE, known=False)
    assert last.token == here.token(THERE)
    assert here.answer(read(last.reply), THERE, known=True) == Answer(None, there.token(HERE))
    assert {read(each.reply).extra for each in (welcome, confirm, last)} == {extra | PARTS | CLOCKS | BOOKS}
    assert hello.extra == extra, "a greeting to all that says nothing new is known at a glance"


def test_a_greeting_to_all_takes_one_datagram_more() -> None:
    here, there = greeter(1), greeter(2)
    welcome = there.answer(read(here.hello(None)), HERE, known=False)
    confirm = here.answer(read(welcome.reply), THERE, known=False)
    assert confirm.token is None, "its sender may only have heard our multicast"
    last = there.answer(read(confirm.reply), HERE, known=False)
    assert last.token == here.token(THERE)
    assert here.answer(read(last.reply), THERE, known=False).token == there.token(HERE)


def test_a_greeting_to_all_by_a_peer_is_not_answered_but_a_knock_is() -> None:
    here, there = greeter(1), greeter(2)
    assert there.answer(read(here.hello(None)), HERE, known=True) == Answer()
    assert there.answer(read(here.hello(THERE, KNOCK)), HERE, known=True).reply is not None


def test_what_was_captured_is_worth_nothing_at_another_address() -> None:
    here, there = greeter(1), greeter(2)
    welcome = there.answer(read(here.hello(THERE)), HERE, known=False)
    confirm = read(here.answer(read(welcome.reply), THERE, known=False).reply)
    with pytest.raises(Malformed, match="unknown"):
        there.answer(confirm, ELSEWHERE, known=False)


@pytest.mark.parametrize("kind", [Kind.HELLO, Kind.WELCOME, Kind.CONFIRM])
def test_another_domain_is_told_apart_in_every_greeting(kind: Kind) -> None:
    here = greeter(1)
    body = GREETING_BODY.pack(domain_number("other"), 7)
    with pytest.raises(Malformed, match="domain"):
        here.answer(read(pack_frame(kind, 9, here.token(THERE), 0, body)), THERE, known=False)


@given(st.sampled_from([Kind.HELLO, Kind.WELCOME, Kind.CONFIRM]), st.binary(max_size=20), st.integers(0, 2**64 - 1))
def test_no_answer_is_longer_than_its_question_and_none_proves_what_was_not_echoed(
    kind: Kind, body: bytes, echo: int
) -> None:
    here = greeter(1)
    if len(body) == GREETING_BODY.size:
        body = domain_number("d").to_bytes(8, "little") + body[8:]
    question = pack_frame(kind, 9, echo, 0, body)
    try:
        answer = here.answer(read(question), THERE, known=False)
    except Malformed:
        return
    assert answer.token is None
    assert answer.reply is not None and len(answer.reply) == len(question) == GREETING_SIZE


def test_tokens_are_those_of_one_node_and_one_address() -> None:
    where: list[Address | None] = [HERE, THERE, (HERE[0], 17771), None]
    tokens = {greeter(id).token(address) for id in (1, 2, 3) for address in where}
    assert len(tokens) == 12
    assert {greeter(1).token(HERE) for _ in range(5)} == {greeter(1).token(HERE)}


def test_more_addresses_than_are_kept_have_the_same_tokens_again() -> None:
    here = greeter(1)
    first = [here.token((f"10.1.{at >> 8}.{at & 255}", 5)) for at in range(3 * TOKENS)]
    assert [here.token((f"10.1.{at >> 8}.{at & 255}", 5)) for at in range(3 * TOKENS)] == first
    assert len(set(first)) == len(first)
