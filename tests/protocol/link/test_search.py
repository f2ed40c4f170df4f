"""When the group is greeted."""

from __future__ import annotations

from collections import Counter
from random import Random

from ipcpy.protocol.link.peers import Timing
from ipcpy.protocol.link.search import PATIENT, Search

GREET = Timing().greet


def greetings(search, until, peers):
    """Return the times at which the group is greeted, where so many peers are known at a time."""
    found = []
    while (now := search.next) <= until:
        found += [now for address, _ in search.due(now, peers(now), lambda *where: False) if address is None]
    return found


def new_search():
    search = Search(Timing(), Random(1), Counter())
    search.greet(0.0)
    return search


def test_who_finds_nobody_greets_often_and_then_seldom():
    found = greetings(new_search(), 3.0, lambda now: 0)
    assert found[:4] == [sum(GREET[:at]) for at in range(4)]


def test_no_greeting_follows_while_ever_more_are_found():
    found = greetings(new_search(), 2.0, lambda now: int(100 * min(now, 0.5)))
    assert found[0] == 0.0
    assert 0.5 < found[1] < 0.5 + 3 * GREET[0]
    assert len(found) > 2


def test_whoever_comes_and_comes_does_not_put_greetings_off_for_ever():
    found = greetings(new_search(), 2 * PATIENT, lambda now: int(1_000 * now))
    assert found[0] == 0.0
    assert PATIENT <= found[1] < PATIENT + 2 * GREET[0]


def test_a_new_network_is_greeted_at_once():
    search = new_search()
    assert greetings(search, 0.01, lambda now: 5) == [0.0]
    search.greet(0.02)
    assert greetings(search, 0.03, lambda now: 50) == [0.02]
