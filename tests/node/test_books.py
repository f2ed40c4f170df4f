"""A node's books: told to peers that ask, to nobody else, counted once for all, and bounded in size and rate."""

from __future__ import annotations

import pathlib
from collections import Counter
from types import SimpleNamespace

import pytest

from ipcpy.clock import Clock
from ipcpy.node import books
from ipcpy.node.books import Books, Moment
from ipcpy.protocol.link.inquiry import MAX_PAGES, Inquiry, What, pack_inquiry, pack_page, unpack_page
from ipcpy.protocol.link.peers import Path, Peer
from ipcpy.protocol.link.rows import Published, unpack_rows
from ipcpy.protocol.link.table import Mirror

THERE, HERE = ("10.0.0.2", 17770), ("127.0.0.1", 17771)
GIVEN, TOKEN = 0x77, 0x55
SAME = Clock(0.0, 0.0, 0.0)


class Keeper:
    """A publisher that counts how often it was asked."""

    def __init__(self, number, rows=1):
        self.number, self.rows, self.asked = number, rows, 0

    def account(self, rows, moment):
        self.asked += 1
        rows += [Published(1, self.number, self.asked, int(moment.hidden))] * self.rows

    def explain(self):
        return f"the publisher {self.number}: " + "why " * self.rows


class Made:
    def __init__(self, address=THERE, keepers=(), ids=(2,)):
        self.addresses = {}
        for id in ids:
            peer = Peer(id, (address[0], address[1] + id), 0.0, Mirror())
            peer.paths[peer.address] = Path(GIVEN, TOKEN, 0.0)
            self.addresses[peer.address] = peer
        self.link = SimpleNamespace(id=1, addresses=self.addresses, dropped=Counter())
        self.sent = []
        self.books = Books(self.link, lambda _: SAME, lambda data, to: self.sent.append((data, to)))
        for keeper in keepers:
            self.books.keep(keeper)
        self.address = next(iter(self.addresses))

    def ask(self, address=None, **changes):
        asked = Inquiry(2, GIVEN, 9, What.FLOWS, MAX_PAGES, 0, 0)._replace(**changes)
        self.books.receive(pack_inquiry(asked), address or self.address)
        sent, self.sent = self.sent, []
        return [unpack_page(data) for data, _ in sent]


def test_a_peer_that_asks_is_told_all_rows():
    made = Made(keepers=(Keeper(5), Keeper(6)))
    (page,) = made.ask()
    assert (page.source, page.token, page.number, page.page, page.pages) == (1, TOKEN, 9, 0, 1)
    assert [row.publisher for row in unpack_rows(page.content)] == [5, 6]
    assert page.steady_ns > 0


@pytest.mark.parametrize(
    ("changes", "cause"), [({"token": TOKEN}, "unknown"), ({"source": 3}, "unknown"), ({"address": HERE}, "unknown")]
)
def test_nobody_else_is_told_anything(changes, cause):
    made = Made(keepers=(Keeper(5),))
    assert made.ask(**changes) == []
    assert made.link.dropped == {cause: 1}


def test_garbage_is_counted():
    made = Made()
    made.books.receive(pack_inquiry(Inquiry(2, GIVEN, 9, 0, 1, 0, 0))[:-1] + b"x", made.address)
    assert made.link.dropped == {"malformed": 1}


def test_what_was_counted_a_moment_ago_is_told_to_others_too(monkeypatch):
    keeper = Keeper(5)
    made = Made(keepers=(keeper,), ids=(2, 3))
    monkeypatch.setattr(books, "FRESH", 1e9)
    second = (THERE[0], THERE[1] + 3)
    first, other = made.ask(), made.ask(address=second, source=3)
    assert first[0].content == other[0].content and keeper.asked == 1
    monkeypatch.setattr(books, "FRESH", 0.0)
    made.ask()
    assert keeper.asked == 2


def test_hidden_topics_are_counted_by_themselves():
    made = Made(keepers=(Keeper(5),))
    (plain,), (hidden,) = made.ask(), made.ask(what=What.ALL_FLOWS)
    assert unpack_rows(plain.content)[0].bytes == 0
    assert unpack_rows(hidden.content)[0].bytes == 1


def test_at_most_eight_datagrams_of_1200_bytes_answer_one_question_on_a_network():
    made = Made(keepers=(Keeper(1 << 60, rows=4_000),))
    pages = made.ask()
    assert len(pages) == MAX_PAGES < pages[0].pages
    assert all(len(pack_page(page)) <= 1_200 for page in pages)
    assert [page.page for page in made.ask(first=8, pages=3)] == [8, 9, 10]
    assert made.ask(first=pages[0].pages) == []


def test_on_one_host_the_pages_are_larger():
    made = Made(HERE, keepers=(Keeper(1 << 60, rows=1_000),))
    assert len(made.ask()) == 1


def test_a_peer_that_asks_without_end_is_told_no_more_than_its_share_and_others_all_the_same():
    made = Made(keepers=(Keeper(1 << 60, rows=4_000),), ids=(2, 3))
    told = sum(len(made.ask()) for _ in range(2_000))
    assert books.BURST <= told < books.BURST * 1.5
    assert made.link.dropped["inquiries"] > 1_000
    assert len(made.ask(address=(THERE[0], THERE[1] + 3), source=3)) == MAX_PAGES


def test_why_is_asked_of_one_and_bounded():
    made = Made(keepers=(Keeper(5), Keeper(6, rows=100_000)))
    (page,) = made.ask(what=What.WHY, about=5)
    assert page.content == b"the publisher 5: why "
    assert len(made.ask(what=What.WHY, about=6)) == MAX_PAGES
    assert [page.content for page in made.ask(what=What.WHY, about=7)] == [b""]


def test_what_nobody_knows_yet_is_not_answered():
    assert Made(keepers=(Keeper(5),)).ask(what=77) == []


def test_a_clock_is_looked_at_once_in_a_reading():
    seen = []
    moment = Moment(False, lambda node: seen.append(node) or SAME)
    assert moment.clock("a") is moment.clock("a") is SAME
    assert seen == ["a"]


def test_the_document_has_the_bounds():
    document = pathlib.Path(__file__).parents[2] / "docs" / "protocol.md"
    text = " ".join(document.read_text(encoding="utf-8").split())
    assert f"at most {books.BURST:.0f} pages at once and {books.RATE:.0f} a second" in text
    assert f"counts anew at most once in {books.FRESH} s" in text
