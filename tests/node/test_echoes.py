"""The second port of a node: opened when it is asked for, never by strangers, and what comes there is answered."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ipcpy as ipc
from ipcpy.errors import TransportError
from ipcpy.node.echoes import Echoes
from ipcpy.protocol.link.echo import ECHO_SIZE, pack_echo, unpack_echoed
from ipcpy.transport.link import LinkSocket

DOMAIN, NODE = 7, 9
ASKER = ("10.0.0.2", 4_000)


class Loop:
    def __init__(self):
        self.watched = {}

    def watch(self, file, ready):
        self.watched[file] = ready

    def unwatch(self, file):
        del self.watched[file]


class Socket:
    port = 40_000

    def __init__(self):
        self.sent, self.queue, self.closed, self.ways = [], [], False, []
        self.asked = "10.0.0.1"

    def poll(self):
        return self.queue.pop(0) if self.queue else None

    def sendto(self, data, address, way=None):
        self.sent.append((data, address))
        self.ways.append(way)

    def close(self):
        self.closed = True


class Made:
    def __init__(self, refuse=False):
        self.loop, self.opened, self.link, self.dropped = Loop(), [], Socket(), Counter()
        self.replies, self.refuse = self.link.sent, refuse
        self.echoes = Echoes(self.loop, NODE, DOMAIN, self.link, self.open, self.dropped)

    def open(self):
        if self.refuse:
            raise TransportError(24, "Too many open files")
        self.opened.append(Socket())
        return self.opened[-1]


def ask(domain=DOMAIN, aside=False, size=ECHO_SIZE):
    return pack_echo(1, 2, domain, size=size, answer=ECHO_SIZE, aside=aside)


def test_the_link_port_answers_and_names_the_second_port_which_is_opened_once():
    made = Made()
    made.echoes.receive(ask(), ASKER, made.link)
    made.echoes.receive(ask(), ASKER, made.link)
    assert len(made.opened) == 1
    for data, address in made.replies:
        echo = unpack_echoed(data)
        assert (echo.node, echo.port, address) == (NODE, 40_000, ASKER)
        assert abs(echo.clock_ns - time.time_ns()) < 60e9


def test_a_question_aside_is_answered_from_the_second_port():
    made = Made()
    made.echoes.receive(ask(aside=True), ASKER, made.link)
    assert made.replies == []
    assert [address for _, address in made.opened[0].sent] == [ASKER]


def test_an_answer_leaves_from_where_it_was_asked():
    made = Made()
    made.echoes.way_to = lambda ip, asked: (ip, asked)
    made.link.asked = "10.0.0.201"
    made.echoes.receive(ask(), ASKER, made.link)
    made.echoes.receive(ask(aside=True), ASKER, made.link)
    (second,) = made.opened
    second.asked, second.queue = "10.0.0.202", [(ask(), ASKER)]
    made.loop.watched[second]()
    assert made.link.ways == [("10.0.0.2", "10.0.0.201"), ("10.0.0.2", "10.0.0.202")]
    assert second.ways == [("10.0.0.2", "10.0.0.201")]


def test_a_question_to_the_second_port_is_answered_from_the_link():
    made = Made()
    made.echoes.receive(ask(), ASKER, made.link)
    (second,) = made.opened
    second.queue += [(b"garbage", ASKER), (ask(), ASKER)]
    made.loop.watched[second]()
    assert (len(made.replies), second.sent) == (2, [])


@given(st.binary(max_size=100))
def test_garbage_and_strangers_open_nothing_and_get_nothing(garbage):
    made = Made()
    made.echoes.receive(garbage, ASKER, made.link)
    made.echoes.receive(ask(domain=DOMAIN + 1), ASKER, made.link)
    assert (made.opened, made.replies) == ([], [])
    assert made.dropped == Counter(malformed=1, domain=1)


def test_without_a_descriptor_there_is_no_second_port():
    made = Made(refuse=True)
    made.echoes.receive(ask(), ASKER, made.link)
    made.echoes.receive(ask(aside=True), ASKER, made.link)
    assert [unpack_echoed(data).port for data, _ in made.replies] == [0]


def test_closing_closes_it_for_good():
    made = Made()
    made.echoes.receive(ask(), ASKER, made.link)
    made.echoes.close()
    made.echoes.close()
    assert made.opened[0].closed and made.loop.watched == {}
    made.echoes.receive(ask(aside=True), ASKER, made.link)
    assert len(made.opened) == 1


@pytest.mark.parametrize("size", [ECHO_SIZE, 1_472, 9_000])
def test_a_node_answers_with_no_more_than_it_was_sent(wait_until, size):
    from ipcpy.protocol.link.greeting import domain_number

    asker = LinkSocket("127.0.0.1", ())
    with ipc.Node("arm") as node, ipc.Node("eye") as other:
        wait_until(lambda: any(each.id == other.id and each.address for each in node.nodes()))
        (address,) = [each.address for each in node.nodes() if each.id == other.id]
        host, _, port = address.rpartition(":")
        question = pack_echo(1, 2, domain_number(node.domain), size=size, answer=65_535)
        assert asker.sendto(question, (host, int(port)))
        answer, _ = wait_until(asker.poll)
        assert len(answer) == size
        assert f"{unpack_echoed(answer).node:016x}" == other.id
    asker.close()
