"""When the group is greeted, and which addresses are knocked at how often."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from ipcpy.protocol.link.greeting import KNOCK, STATIC
from ipcpy.protocol.link.peers import Timing
from ipcpy.protocol.link.search import KNOCKS, KNOCKS_AT_ONCE, MANY_PEERS, MAX_LEADS, PATIENT, Search
from ipcpy.timeouts import NEVER

GREET, KNOCK_PAUSES = Timing().greet, Timing().knock


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


def quiet_search():
    """Return one that greets nobody."""
    return Search(Timing(), Random(1), Counter())


def test_who_finds_nobody_greets_often_and_then_seldom():
    found = greetings(new_search(), 3.0, lambda now: 0)
    assert found[:4] == [sum(GREET[:at]) for at in range(4)]


def test_the_more_peers_there_are_the_less_often_the_group_is_greeted():
    few = greetings(new_search(), 1_000.0, lambda now: MANY_PEERS)
    many = greetings(new_search(), 1_000.0, lambda now: 10 * MANY_PEERS)
    assert len(few) == pytest.approx(1_000 / (0.9 * GREET[-1]), rel=0.05)
    assert len(many) == pytest.approx(len(few) / 10, rel=0.2)


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


# -- leads -------------------------------------------------------------------------------------------------------------

HERE = ("10.0.0.1", 5)


def knocks(search, until, *, alive=lambda *where: False, begin=0.0):
    """Return when which address is knocked at, and how."""
    found, now = [], begin
    while search.next <= until:
        now = max(now, search.next)
        found += [(now, *knock) for knock in search.due(now, 0, alive)]
    return found


def test_a_lead_is_knocked_at_ever_more_seldom_until_it_is_given_up():
    search = quiet_search()
    search.add(HERE, 0.0, until=5.0)
    found = knocks(search, 99.0)
    assert [now for now, *_ in found[:4]] == pytest.approx([sum(KNOCK_PAUSES[:at]) for at in range(4)])
    assert {(address, extra) for _, address, extra in found} == {(HERE, KNOCK)}
    assert found[-1][0] < 5.0
    assert not search.leads


def test_a_static_lead_is_knocked_at_for_ever_and_says_that_it_is_static():
    search = quiet_search()
    search.add(HERE, 0.0, until=NEVER)
    found = knocks(search, 1_000.0)
    assert {extra for _, _, extra in found} == {STATIC}
    assert len(found) == pytest.approx(1_000 / KNOCK_PAUSES[-1], abs=4)
    search.forget(HERE)
    assert knocks(search, 2_000.0) == []


def test_a_lead_that_answers_is_not_knocked_at_and_kept_only_if_it_is_static():
    search = quiet_search()
    search.add(HERE, 0.0, until=5.0)
    search.add(("10.0.0.2", 5), 0.0, until=NEVER)
    assert knocks(search, 20.0, alive=lambda *where: True) == []
    assert set(search.leads) == {("10.0.0.2", 5)}


def test_a_lead_that_refuses_is_given_up_soon_unless_it_is_static():
    search = quiet_search()
    search.add(HERE, 0.0, until=600.0)
    search.add(("10.0.0.2", 5), 0.0, until=NEVER)
    search.refuse(HERE, 0.0)
    search.refuse(("10.0.0.2", 5), 0.0)
    knocks(search, 3.0)
    assert set(search.leads) == {("10.0.0.2", 5)}


def test_a_lead_from_which_somebody_speaks_is_knocked_at_soon():
    search = quiet_search()
    search.add(HERE, 0.0, until=600.0)
    knocks(search, 10.0)
    assert search.next > 10.5
    search.hasten(HERE, 10.0)
    assert search.next == 10.0 + KNOCK_PAUSES[0]
    search.hasten(("10.0.0.2", 5), 10.0)  # it is none
    assert set(search.leads) == {HERE}


def test_the_oldest_lead_gives_way_and_is_counted_but_no_static_one_does():
    dropped = Counter()
    search = Search(Timing(), Random(1), dropped)
    search.add(HERE, 0.0, until=NEVER)
    for at in range(MAX_LEADS + 9):
        search.add((f"10.1.{at >> 8}.{at & 255}", 5), 0.0, until=5.0)
    assert len(search.leads) == MAX_LEADS
    assert dropped == {"hints": 10}
    assert HERE in search.leads and ("10.1.0.9", 5) not in search.leads and ("10.1.0.10", 5) in search.leads
    search.add(HERE, 0.0, until=5.0)
    assert search.leads[HERE].until == NEVER, "it is known, and stays what it is"


def test_knocks_at_many_leads_do_not_fill_the_send_buffer():
    """What waits in the kernel for 3 s at most is what one burst and 3 s bring."""
    search = quiet_search()
    for at in range(MAX_LEADS):
        search.add((f"10.1.{at >> 8}.{at & 255}", 5), 0.0, until=600.0)
    times = [now for now, *_ in knocks(search, 60.0)]
    assert len({address for _, address, _ in knocks(search, 120.0, begin=60.0)}) > 1_000
    most = max(sum(begin <= now < begin + 3.0 for now in times) for begin in range(60))
    assert most <= KNOCKS_AT_ONCE + 3 * KNOCKS


def test_after_a_sleep_what_was_due_is_due_now():
    search = new_search()
    search.sleep_over(50.0)
    assert search.next == 50.0
    search.sleep_over(20.0)
    assert search.next == 50.0


def test_who_stops_searching_has_no_leads_and_no_timer():
    search = new_search()
    search.add(HERE, 0.0, until=NEVER)
    search.stop()
    assert (search.leads, search.next) == ({}, NEVER)
    search.add(HERE, 9.0, until=NEVER)
    assert search.due(9.0, 0, lambda *where: False) == [(HERE, STATIC)], "and the group is not greeted"
