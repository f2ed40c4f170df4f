"""Questions and answers of those who look for faults: no answer is longer than its question, and garbage is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol.link import echo
from ipcpy.protocol.link.echo import ECHO_SIZE, Echo, Question, pack_echo, pack_echoed, unpack_echo, unpack_echoed
from ipcpy.protocol.wire import Kind, Malformed, pack_frame

DOMAIN, NODE, NONCE = 77, 5, 1 << 63


def ask(size=ECHO_SIZE, answer=ECHO_SIZE, aside=False):
    return pack_echo(NODE, NONCE, DOMAIN, size=size, answer=answer, aside=aside)


def test_a_question_and_its_answer():
    question = unpack_echo(ask(1_472, 900, aside=True), DOMAIN)
    assert question == Question(NONCE, 900, True)
    answer = pack_echoed(question, 9, DOMAIN, 1_700_000_000_000_000_000, 40_000)
    assert unpack_echoed(answer) == Echo(NONCE, 9, 1_700_000_000_000_000_000, 40_000, 900)


@given(size=st.integers(ECHO_SIZE, 9_000), answer=st.integers(0, 65_535), aside=st.booleans())
def test_no_answer_is_longer_than_its_question(size, answer, aside):
    question = ask(size, answer, aside)
    assert len(question) == size
    reply = pack_echoed(unpack_echo(question, DOMAIN), 9, DOMAIN, 0, 0)
    assert ECHO_SIZE <= len(reply) <= len(question)
    assert len(reply) == max(ECHO_SIZE, min(answer, size))


def test_a_question_of_another_domain_is_dropped():
    with pytest.raises(Malformed, match="domain"):
        unpack_echo(ask(), DOMAIN + 1)


@pytest.mark.parametrize("bit", range(8 * ECHO_SIZE))
def test_every_flipped_bit_is_noticed(bit):
    data = bytearray(ask())
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Malformed):
        unpack_echo(bytes(data), DOMAIN)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        ask()[:-1],
        ask() + ask(),
        ask() + b"\0",
        pack_frame(Kind.ECHO, NODE, NONCE, 0),
        pack_frame(Kind.ECHO, NODE, NONCE, 0, b"\0" * 9),
        pack_frame(Kind.ALIVE, NODE, NONCE, 0, b"\0" * 17),
        pack_echoed(Question(NONCE, ECHO_SIZE, False), 9, DOMAIN, 0, 0),
    ],
)
def test_what_is_no_question_is_dropped(data):
    with pytest.raises(Malformed):
        unpack_echo(data, DOMAIN)


@given(st.binary(max_size=200))
def test_garbage_is_malformed_and_nothing_else(data):
    for read in (lambda: unpack_echo(data, DOMAIN), lambda: unpack_echoed(data)):
        with pytest.raises(Malformed):
            read()


def test_an_answer_is_no_question():
    reply = pack_echoed(Question(NONCE, ECHO_SIZE, False), 9, DOMAIN, 0, 0)
    assert echo.is_echo(ask())
    assert not echo.is_echo(reply)
    assert not echo.is_echo(ask()[:40])
