"""Asking for books: frames that are read as they were made, and questions that end whatever gets lost or lies."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol.link import inquiry
from ipcpy.protocol.link.inquiry import (
    MAX_PAGES,
    Inquiry,
    Page,
    Question,
    What,
    is_books,
    is_inquiry,
    pack_inquiry,
    pack_page,
    unpack_inquiry,
    unpack_page,
)
from ipcpy.protocol.wire import Kind, Malformed, pack_frame
from ipcpy.timeouts import NEVER

ASKED = Inquiry(1, 2, 3, What.WHY, MAX_PAGES, 5, 6)
PAGE = Page(1, 2, 3, 4, 5, 6, b"rows")


def page(number, pages, content=b"", question=3):
    return Page(1, 2, question, number, pages, 0, content)


def test_a_question_and_a_page_are_read_as_they_were_made():
    assert unpack_inquiry(pack_inquiry(ASKED)) == ASKED
    assert unpack_page(pack_page(PAGE)) == PAGE
    assert is_inquiry(pack_inquiry(ASKED)) and not is_inquiry(pack_page(PAGE))
    assert is_books(pack_page(PAGE)) and not is_books(pack_inquiry(ASKED))


def test_no_datagram_of_the_network_has_more_than_1200_bytes():
    whole = pack_page(PAGE._replace(content=bytes(inquiry.room_for(loopback=False))))
    assert len(whole) == 1_200


def test_more_pages_than_one_answer_may_have_are_not_asked_for():
    assert unpack_inquiry(pack_inquiry(ASKED._replace(pages=200))).pages == MAX_PAGES


@pytest.mark.parametrize("made", [pack_inquiry(ASKED), pack_page(PAGE)], ids=["INQUIRY", "BOOKS"])
def test_every_single_bit_flip_is_noticed(made):
    for bit in range(8 * len(made)):
        flipped = bytearray(made)
        flipped[bit // 8] ^= 1 << bit % 8
        for read in (unpack_inquiry, unpack_page):
            with pytest.raises(Malformed):
                read(bytes(flipped))


@given(st.binary(max_size=120))
def test_what_is_neither_is_malformed(data):
    for read in (unpack_inquiry, unpack_page):
        with pytest.raises(Malformed):
            read(data)


def test_a_page_beyond_the_last_is_malformed():
    with pytest.raises(Malformed):
        unpack_page(pack_frame(Kind.BOOKS, 1, 2, 0, inquiry.PAGE_BODY.pack(3, 5, 5, 0)))


def test_a_question_with_a_body_of_another_size_is_malformed():
    with pytest.raises(Malformed):
        unpack_inquiry(pack_frame(Kind.INQUIRY, 1, 2, 0, inquiry.INQUIRY_BODY.pack(1, 0, 8, 0, 0) + b"more"))


# -- questions ---------------------------------------------------------------------------------------------------------


def test_one_page_answers_a_question_and_it_asks_no_more():
    question = Question(3, What.FLOWS, 0, 10.0)
    asked = unpack_inquiry(question.ask(7, 8, 10.0))
    assert (asked.source, asked.token, asked.number, asked.first) == (7, 8, 3, 0)
    question.receive(page(0, 1, b"all"), 10.001)
    assert question.answered and question.due == NEVER and question.content() == b"all"


def test_without_an_answer_it_asks_again_ever_more_seldom():
    question, now, pauses = Question(3, What.FLOWS, 0, 0.0), 0.0, []
    for _ in range(6):
        question.ask(1, 2, now)
        pauses.append(round(question.due - now, 3))
        now = question.due
    assert pauses == [0.03, 0.06, 0.12, 0.25, 0.25, 0.25]


def test_the_next_pages_are_asked_for_as_soon_as_those_before_are_there():
    question, now = Question(3, What.FLOWS, 0, 0.0), 0.0
    firsts = []
    while (datagram := question.ask(1, 2, now)) is not None:
        asked = unpack_inquiry(datagram)
        firsts.append(asked.first)
        for number in range(asked.first, min(asked.first + asked.pages, 20)):
            question.receive(page(number, 20, bytes([number])), now)
    assert firsts == [0, 8, 16]
    assert question.content() == bytes(range(20))


@pytest.mark.parametrize("seed", range(5))
def test_an_answer_comes_together_whatever_gets_lost_is_doubled_or_overtaken(seed):
    dice, question, now = random.Random(seed), Question(3, What.FLOWS, 0, 0.0), 0.0
    for _ in range(200):
        if question.answered:
            break
        now = question.due
        datagram = question.ask(1, 2, now)
        if datagram is None or dice.random() < 0.3:
            continue
        asked = unpack_inquiry(datagram)
        numbers = [n for n in range(asked.first, asked.first + asked.pages) if n < 30 and dice.random() > 0.3]
        numbers += dice.sample(numbers, len(numbers) // 2)
        dice.shuffle(numbers)
        for number in numbers:
            question.receive(page(number, 30, bytes([number])), now)
    assert question.content() == bytes(range(30))


def test_pages_of_another_question_say_nothing():
    question = Question(3, What.FLOWS, 0, 0.0)
    question.ask(1, 2, 0.0)
    question.receive(page(0, 1, b"old", question=2), 0.0)
    assert not question.answered


def test_books_that_got_shorter_meanwhile_are_taken_as_they_are_now():
    question = Question(3, What.FLOWS, 0, 0.0)
    question.ask(1, 2, 0.0)
    question.receive(page(2, 3, b"gone"), 0.0)
    question.receive(page(0, 2, b"a"), 0.0)
    question.receive(page(1, 2, b"b"), 0.0)
    assert question.answered and question.content() == b"ab"


def test_a_peer_that_never_stops_telling_is_heard_up_to_a_bound():
    question, size = Question(3, What.FLOWS, 0, 0.0), 0
    for number in range(60_000):
        question.receive(page(number, 65_535, bytes(30_000)), 0.0)
        if question.answered:
            break
    size = len(question.content())
    assert question.answered and question.due == NEVER
    assert inquiry.ALL_BYTES < size <= inquiry.ALL_BYTES + 30_000


def test_each_page_costs_as_much_as_the_first_however_many_come_unasked():
    def seconds_for(count):
        question, tries = Question(3, What.FLOWS, 0, 0.0), [page(number, count) for number in reversed(range(count))]
        question.ask(1, 2, 0.0)
        begun = time.thread_time()
        for each in tries:
            question.receive(each, 0.0)
        assert question.answered
        return time.thread_time() - begun

    few, many = (min(seconds_for(count) for _ in range(5)) for count in (400, 4_000))
    assert many < few * 30  # ten times as many; it would be 100 times if each cost as much as there are
