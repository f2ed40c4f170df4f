"""Books: what one subscriber was sent, over all its matches."""

from __future__ import annotations

import pytest

from ipcpy.publishing.books import Books
from ipcpy.publishing.framing import Framing
from ipcpy.stats import RouteStats
from surroundings import NUMBER, RAW, SENT_NS


@pytest.fixture
def framing():
    return Framing(NUMBER, RAW, lambda: SENT_NS)


def publish(framing, count):
    framing.batch([b"x"] * count)


def test_what_was_published_before_the_match_was_not_handed(framing):
    books = Books(framing)
    publish(framing, 5)
    assert books.sum(0, 0, 0) == RouteStats()
    books.begin(6)
    assert books.sum(0, 0, 0) == RouteStats()
    publish(framing, 3)
    assert books.sum(0, 0, 0).handed == 3


def test_what_is_kept_for_a_latecomer_counts_as_handed(framing):
    books = Books(framing)
    publish(framing, 5)
    books.begin(3)
    assert books.sum(0, 0, 0).handed == 3


def test_what_the_system_refused_was_not_handed(framing):
    books = Books(framing)
    books.begin(1)
    publish(framing, 5)
    books.refused += 2
    books.retransmitted += 1
    assert books.sum(10, 20, 3) == RouteStats(3, 11, 2, 20, shared=3)


def test_no_count_is_less_than_nothing(framing):
    books = Books(framing)
    books.begin(100)
    assert books.sum(0, 0, 0).handed == 0


def test_the_counts_go_on_over_the_end_of_a_match_and_the_next(framing):
    books = Books(framing)
    books.begin(1)
    publish(framing, 5)
    books.refused = 1
    books.retransmitted = 2
    books.close(books.sum(1, 1, 2))
    publish(framing, 10)
    assert books.sum(0, 0, 0) == RouteStats(4, 3, 1, 1, shared=2)
    books.begin(framing.seq + 1)
    publish(framing, 1)
    assert books.sum(0, 0, 1).handed == 5 and books.sum(0, 0, 1).shared == 3
