"""Connected sockets that publishers share: one for each address, renewed when the way there is another."""

from __future__ import annotations

import pytest

from ipcpy.addresses import Way
from ipcpy.errors import TransportError
from ipcpy.node.connections import MAX_READ, Connections
from still import StillLoop

A, B = ("10.0.0.2", 4_000), ("127.0.0.1", 4_001)


class Socket:
    def __init__(self, address, datagram, source):
        self.address, self.datagram, self.source = address, datagram, source
        self.closed, self.queue = False, []

    def poll(self):
        found = self.queue.pop(0) if self.queue else None
        if isinstance(found, Exception):
            raise found
        return found

    def close(self):
        self.closed = True


class Made:
    """Connections of made-up sockets, on a network that a test changes."""

    def __init__(self):
        self.loop, self.made, self.answers, self.refusals = StillLoop(), [], [], []
        self.source, self.mtu, self.no_way, self.ways = "10.0.0.1", 1_500, set(), {}
        answer = self.answers.append
        self.connections = Connections(
            self.loop, lambda ip: self.mtu, lambda *what: answer(what), self.refusals.append, self.make, self.ways.get
        )

    def make(self, address, datagram, way):
        if address in self.no_way:
            raise TransportError(101, "Network is unreachable")
        self.made.append(Socket(address, datagram, self.source if way is None else way.source))
        return self.made[-1]


@pytest.fixture
def made():
    return Made()


def test_publishers_share_the_socket_to_an_address_and_the_last_one_closes_it(made):
    sock = made.connections.take(A, 1)
    assert made.connections.take(A, 2) is sock and len(made.made) == 1
    assert sorted(made.connections.users(A)) == [1, 2]
    made.connections.release(A, 1)
    assert not sock.closed and made.connections.users(A) == [2]
    made.connections.release(A, 2)
    made.connections.release(A, 2)
    assert sock.closed and not made.loop.ready and made.connections.users(A) == []


@pytest.mark.parametrize(("mtu", "datagram"), [(1_500, 1_472), (65_536, 65_507), (9_000, 8_972)])
def test_datagrams_fit_the_way_there(made, mtu, datagram):
    made.mtu = mtu
    assert made.connections.take(A, 1).datagram <= datagram
    assert made.connections.take(B, 1).datagram > 0


def test_a_socket_leaves_by_the_way_that_it_is_given_and_is_renewed_with_it(made):
    made.ways[A] = Way(3, "10.0.0.201")
    sock = made.connections.take(A, 1)
    assert sock.source == "10.0.0.201" and made.connections.refresh() == set()
    made.ways[A] = Way(3, "10.0.0.202")
    assert made.connections.refresh() == {A} and sock.closed


def test_answers_are_passed_on_with_where_they_came_from(made):
    sock = made.connections.take(A, 1)
    sock.queue = [b"one", b"two"]
    made.loop.ready[sock]()
    assert made.answers == [(b"one", A), (b"two", A)]


def test_a_refusal_is_told_of_and_what_came_after_it_is_still_read(made):
    sock = made.connections.take(A, 1)
    sock.queue = [ConnectionRefusedError(), b"late"]
    made.loop.ready[sock]()
    assert made.refusals == [A] and made.answers == [(b"late", A)]


def test_one_flooded_socket_leaves_others_their_turn(made):
    sock = made.connections.take(A, 1)
    sock.queue = [b"x"] * (MAX_READ + 10)
    made.loop.ready[sock]()
    assert len(made.answers) == MAX_READ and len(sock.queue) == 10


# -- when the network changes


def test_nothing_is_renewed_while_the_way_is_the_same(made):
    sock = made.connections.take(A, 1)
    assert made.connections.refresh() == set()
    assert not sock.closed and made.made[1].closed, "the one made to compare"


@pytest.mark.parametrize("change", [{"source": "10.0.9.9"}, {"mtu": 1_400}])
def test_a_socket_whose_way_is_another_is_closed_and_has_to_be_taken_anew(made, change):
    sock = made.connections.take(A, 1)
    vars(made).update(change)
    assert made.connections.refresh() == {A}
    assert sock.closed and all(each.closed for each in made.made) and made.connections.users(A) == []
    assert not made.connections.take(A, 1).closed


def test_a_socket_is_kept_while_there_is_no_way_at_all(made):
    sock = made.connections.take(A, 1)
    made.no_way = {A}
    assert made.connections.refresh() == set() and not sock.closed


def test_where_there_was_no_way_the_next_change_is_worth_a_try_once(made):
    made.no_way = {A}
    with pytest.raises(TransportError):
        made.connections.take(A, 1)
    assert made.connections.users(A) == []
    made.no_way = set()
    assert made.connections.refresh() == {A}
    assert made.connections.refresh() == set()


def test_closing_closes_all_and_forgets_them(made):
    sockets = [made.connections.take(address, 1) for address in (A, B)]
    made.connections.close()
    made.connections.close()
    assert all(sock.closed for sock in sockets) and not made.loop.ready


def test_a_forked_child_closes_its_descriptors_and_leaves_the_loop_alone(made):
    sock = made.connections.take(A, 1)
    made.connections.abandon()
    assert sock.closed and sock in made.loop.ready
