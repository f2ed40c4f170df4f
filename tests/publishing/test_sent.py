"""What publishers tell is the same from C as from its twin in Python, whatever is in the fields that both look at."""

from __future__ import annotations

import sys
from copy import copy

import pytest

from ipcpy.clock import Clock
from ipcpy.fast import compiled
from ipcpy.node.books import Moment, count_all
from ipcpy.protocol.data.matching import State
from surroundings import Surroundings


def by_twin(accounts, rows, moment):
    for account in accounts:
        account(rows, moment)


def told(count, spoil):
    """Return what is told of a publisher of two subscribers, and what was raised, before and after it was spoiled."""
    world = Surroundings()
    delivery, dispatch = world.deliver()
    for number in (1, 2):
        world.listen(number, ("127.0.0.1", 4000 + number))
    world.run(0.1)
    dispatch.one(b"abcd")
    found = []
    for _ in range(2):
        rows, raised = [], None
        try:
            count([delivery.account], rows, Moment(False, lambda _: Clock(0.0, 0.0, 0.0)))
        except Exception as error:  # what was counted before it is told to nobody
            rows, raised = [], type(error)
        found.append((raised, [repr(row) for row in rows], [[type(each) for each in row] for row in rows]))
        spoil(delivery, delivery.outlet.by_number[1])
    return found


PLACES = {
    "account": (lambda delivery, route: delivery.account, "_own _framing _outlet _by_number"),
    "framing": (lambda delivery, route: delivery.account._framing, "number"),
    "outlet": (lambda delivery, route: delivery.outlet, "groups"),
    "route": (lambda delivery, route: route, "match sender sharing books local"),
    "match": (lambda delivery, route: route.match, "subscriber state"),
    "sender": (lambda delivery, route: route.sender, "retransmitted idle"),
    "sharing": (lambda delivery, route: route.sharing, "tie retransmitted"),
    "books": (
        lambda delivery, route: route.books,
        "refused retransmitted _from _bytes_from _past_handed _past_again _past_bytes",
    ),
}
FIELDS = [(place, field) for place, (_, fields) in PLACES.items() for field in fields.split()]
VALUES = [None, "x", -1.5, 7, -7, 1 << 57, 1 << 62, -(1 << 70), True, {}, (5,)]


@pytest.mark.parametrize(("place", "field"), FIELDS)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_field_of_a_type_that_nobody_expects_is_told_as_the_twin_does(place, field, value):
    def spoil(delivery, route):
        setattr(PLACES[place][0](delivery, route), field, copy(value))

    assert told(count_all, spoil) == told(by_twin, spoil)


@pytest.mark.parametrize(("place", "field"), FIELDS)
def test_a_field_that_is_not_there_is_told_as_the_twin_does(place, field):
    def spoil(delivery, route):
        if hasattr(owner := PLACES[place][0](delivery, route), field):
            delattr(owner, field)

    assert told(count_all, spoil) == told(by_twin, spoil)


@pytest.mark.parametrize("value", [0, 7, 1 << 57, 1 << 62, (1 << 64) - 1])
@pytest.mark.parametrize("field", ["seq", "bytes"])
def test_whatever_was_published_is_told_as_the_twin_does(field, value):
    def spoil(delivery, route):
        setattr(delivery.account._framing, field, value)  # C's numbers, of 64 bits

    assert told(count_all, spoil) == told(by_twin, spoil)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("idle", [True, False])
def test_whatever_state_a_match_is_in_is_told_as_the_twin_does(state, idle):
    def spoil(delivery, route):
        route.match.state, route.sender.idle = state, idle

    assert told(count_all, spoil) == told(by_twin, spoil)


def test_counts_of_earlier_matches_and_of_what_was_sent_again_are_told_as_the_twin_does():
    def spoil(delivery, route):
        route.books.retransmitted = 3
        route.close_books()
        route.sharing.retransmitted, route.sender.retransmitted, route.books.refused = 5, 7, 11

    assert told(count_all, spoil) == told(by_twin, spoil)
    assert "retransmitted=15" in told(count_all, spoil)[1][1][1]


PUBLISHES = """
import sys
import ipcpy as ipc
from ipcpy.node.books import Moment, count_all
from ipcpy.publishing.accounts import Account
with ipc.Publisher("topic") as pub:
    Account.__call__ = None  # whoever calls it fails
    rows = []
    count_all([pub._delivery.account], rows, Moment(False, lambda _: None))
    print(len(rows), "ipcpy.subscribing" in sys.modules)
"""


@pytest.mark.skipif(compiled is None, reason="there is no C")
def test_rows_are_made_in_c_also_where_nothing_is_subscribed_to(spawn):
    assert spawn([sys.executable, "-c", PUBLISHES]).succeed().split() == ["1", "False"]
