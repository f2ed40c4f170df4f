"""Asking peers: all at once, again where it got lost, not those who cannot answer, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from ipcpy.node.inquiries import Inquiries
from ipcpy.protocol.link.entries import NodeEntry
from ipcpy.protocol.link.inquiry import Page, What, pack_page, unpack_inquiry
from ipcpy.protocol.link.peers import Path, Peer
from ipcpy.protocol.link.table import Mirror

GIVEN, TOKEN = 0x77, 0x55


class Loop:
    """Runs what is called at once, and keeps what is to be done later."""

    def __init__(self):
        self.timers = []

    def in_thread(self):
        return True

    def call(self, function, *arguments):
        function(*arguments)

    def call_at(self, when, function):
        self.timers.append((when, function))


class Made:
    def __init__(self, *ids):
        self.peers, self.addresses = {}, {}
        for id in ids:
            address = ("10.0.0.2", 17_000 + id)
            peer = self.peers[id] = self.addresses[address] = Peer(id, address, 0.0, Mirror(), books=True)
            peer.paths[address] = Path(GIVEN, TOKEN, 0.0)
            peer.entry = NodeEntry("n", "h", 1, "1", "d")
        self.link = SimpleNamespace(id=1, peers=self.peers, addresses=self.addresses, dropped=Counter())
        self.loop, self.sent = Loop(), []
        self.inquiries = Inquiries(self.loop, self.link, lambda data, to: self.sent.append((data, to)))

    def asked(self):
        sent, self.sent = self.sent, []
        return {to: unpack_inquiry(data) for data, to in sent}

    def answer(self, address, question, content=b"rows", **changes):
        page = Page(self.addresses[address].id, GIVEN, question.number, 0, 1, 5, content)._replace(**changes)
        self.inquiries.receive(pack_page(page), address)


def test_all_peers_are_asked_at_once_and_waited_for():
    made = Made(2, 3)
    asked = made.inquiries.ask(What.FLOWS, 10.0)
    questions = made.asked()
    assert {question.token for question in questions.values()} == {TOKEN} and len(questions) == 2
    assert not asked.over
    for address, question in questions.items():
        made.answer(address, question)
    assert asked.over
    made.inquiries.wait(asked)
    assert {id: question.content() for id, question in asked.questions.items()} == {2: b"rows", 3: b"rows"}


def test_nobody_to_ask_is_nobody_to_wait_for():
    asked = Made().inquiries.ask(What.FLOWS, 10.0)
    assert asked.over and asked.questions == {}


@pytest.mark.parametrize(
    ("what", "value"), [("books", False), ("stalled", True), ("entry", None)], ids=["too old", "silent", "unknown"]
)
def test_who_cannot_answer_is_neither_asked_nor_waited_for(what, value):
    made = Made(2, 3)
    setattr(made.peers[2], what, value)
    asked = made.inquiries.ask(What.FLOWS, 10.0)
    questions = made.asked()
    assert [address for address in questions] == [made.peers[3].address]
    made.answer(*questions.popitem())
    assert asked.over and list(asked.questions) == [3]


def test_only_those_named_are_asked_and_one_that_is_gone_is_not():
    made = Made(2, 3)
    asked = made.inquiries.ask(What.WHY, 10.0, 7, [3, 99])
    ((address, question),) = made.asked().items()
    assert (address, question.what, question.about) == (made.peers[3].address, What.WHY, 7)
    assert list(asked.questions) == [3]


def test_a_question_that_was_lost_is_asked_again(monkeypatch):
    made = Made(2)
    made.inquiries.ask(What.FLOWS, 10.0)
    first = made.asked()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 0.1)
    made.loop.timers[-1][1]()
    assert made.asked() == first


def test_who_went_meanwhile_is_waited_for_no_longer(monkeypatch):
    made = Made(2)
    asked = made.inquiries.ask(What.FLOWS, 10.0)
    del made.peers[2]
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 0.1)
    made.loop.timers[-1][1]()
    assert asked.over


@pytest.mark.parametrize("changes", [{"token": TOKEN}, {"source": 9}], ids=["token", "source"])
def test_what_is_not_from_the_peer_is_counted_and_not_believed(changes):
    made = Made(2)
    asked = made.inquiries.ask(What.FLOWS, 10.0)
    made.answer(*made.asked().popitem(), **changes)
    assert not asked.over and made.link.dropped == {"unknown": 1}


def test_an_answer_to_another_question_says_nothing():
    made = Made(2)
    asked = made.inquiries.ask(What.FLOWS, 10.0)
    ((address, question),) = made.asked().items()
    made.answer(address, question._replace(number=question.number + 1))
    assert not asked.over


def test_an_answer_that_nobody_waits_for_any_more_is_dropped():
    made = Made(2)
    asked = made.inquiries.ask(What.FLOWS, 0.0)
    ((address, question),) = made.asked().items()
    made.inquiries.wait(asked)
    made.answer(address, question)
    assert asked.questions[2].content() == b"" and not made.link.dropped


def test_waiting_ends_in_time_and_with_the_node():
    made = Made(2)
    begun = time.monotonic()
    made.inquiries.wait(made.inquiries.ask(What.FLOWS, 0.05))
    assert time.monotonic() - begun >= 0.05
    asked = made.inquiries.ask(What.FLOWS, 60.0)
    waiting = threading.Thread(target=made.inquiries.wait, args=(asked,))
    waiting.start()
    made.inquiries.close()
    waiting.join(30)
    assert not waiting.is_alive()
