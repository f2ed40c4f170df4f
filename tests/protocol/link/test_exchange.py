"""The delivery of a table to one peer: what is on its way, what was lost, what the peer had before."""

from __future__ import annotations

from random import Random

import msgpack
import pytest

from ipcpy.protocol.link.exchange import RESEND, RESEND_EACH, RESEND_MAX, WINDOW, TableDelivery
from ipcpy.protocol.link.table import Mirror, Table


def full(entries: int = 300) -> Table:
    table = Table()
    for at in range(entries):
        table.put(at, b"x" * 100)
    return table


def test_a_window_of_frames_is_on_the_way():
    table, delivery = full(), TableDelivery()
    first, *others = delivery.send(table, 0.0)
    assert len(others) == WINDOW - 1
    assert list(delivery.send(table, 0.01)) == []
    assert delivery.resend_at == RESEND
    to = msgpack.unpackb(first)[1]
    assert delivery.acknowledge(to)
    assert len(list(delivery.send(table, 0.01))) == 1
    assert not delivery.acknowledge(to)


@pytest.mark.parametrize("split", [True, False])
def test_a_large_entry_goes_in_parts_to_a_peer_that_takes_them_and_each_is_acknowledged(split):
    table, delivery, mirror = Table(), TableDelivery(split=split), Mirror()
    table.put(1, bytes(range(250)) * 200)
    bodies, sent = list(delivery.send(table, 0.0)), 0
    while bodies:
        sent += len(bodies)
        assert len(bodies) <= WINDOW
        for body in bodies[:-1] or bodies:  # the last of each flight is lost
            mirror.apply(body)
        delivery.acknowledge(mirror.version)
        bodies = list(delivery.again(table, delivery.resend_at))
    assert mirror.entries == table.entries
    assert (sent > 45) is split


def test_repetitions_become_rare_and_stop_when_all_has_come():
    table, delivery = full(5), TableDelivery()
    now, times = 0.0, []
    list(delivery.send(table, now))
    for _ in range(10):
        now = delivery.resend_at
        times.append(now)
        assert len(list(delivery.again(table, now))) == 1
    assert times[-1] - times[-2] == pytest.approx(RESEND_MAX)
    delivery.acknowledge(table.version)
    list(delivery.send(table, now))
    assert delivery.resend_at == float("inf")


def test_changes_do_not_put_off_a_repetition():
    table, delivery = full(5), TableDelivery()
    list(delivery.send(table, 0.0))
    table.put(9, b"new")
    list(delivery.send(table, 0.02))
    assert delivery.resend_at == RESEND


def test_an_overtaken_acknowledgement_is_ignored_and_one_of_zero_begins_anew():
    table, delivery = full(), TableDelivery()
    list(delivery.send(table, 0.0))
    delivery.acknowledge(20)
    list(delivery.send(table, 0.0))
    assert not delivery.acknowledge(10)
    assert delivery.acked == 20 and not delivery.anew
    assert delivery.acknowledge(0) and delivery.anew
    first = next(delivery.send(table, 0.0))
    assert msgpack.unpackb(first)[0] == 0


def test_who_says_less_for_longer_is_believed():
    table, delivery = full(), TableDelivery()
    list(delivery.send(table, 0.0))
    delivery.acknowledge(20)
    list(delivery.send(table, 0.0))
    delivery.acknowledge(10)
    first = next(delivery.again(table, 1.0))
    assert msgpack.unpackb(first)[0] == 10


def test_a_repetition_waits_as_long_as_others_take_by_now():
    mine, delivery = Table(), TableDelivery()
    mine.put(1, b"something")
    assert list(delivery.send(mine, 10.0))
    due = delivery.resend_at
    delivery.peers, delivery.usual = 50, 0.1  # more came, and they are slow: this computer is busy
    assert not delivery.overdue(due)
    assert 10.0 + 2 * 0.1 == pytest.approx(delivery.resend_at)
    assert delivery.overdue(delivery.resend_at)
    delivery.usual = 0.0
    assert delivery.overdue(due + RESEND_EACH * 50 + 1e-6)


@pytest.mark.parametrize("seed", range(100))
def test_whoever_lost_whom_and_whatever_was_forgotten_mirrors_end_up_equal(seed):
    """One side loses the other and meets it again with what it had, or anew; removals are forgotten in between."""
    random, table, mirror, now = Random(seed), Table(), Mirror(), 0.0
    for id in range(random.randint(1, 300)):
        table.put(id, random.randbytes(random.randint(1, 90)))
    for last in (False, False, False, True):
        delivery = TableDelivery()
        if random.random() < 0.3:
            mirror = Mirror()
        for _ in range(200 if last else random.randint(0, 60)):
            now += 0.3
            for body in list(delivery.send(table, now) if random.random() < 0.6 else delivery.again(table, now)):
                if random.random() < 0.85:
                    mirror.apply(body)
            if random.random() < 0.9:
                delivery.acknowledge(mirror.version)
        for _ in range(0 if last else random.randint(0, 40)):
            if random.random() < 0.6:
                table.remove(random.randrange(300))
            else:
                table.put(random.randrange(600), random.randbytes(random.randint(1, 90)))
        if not last:
            table.forget(table.version)
    assert mirror.entries == table.entries
    assert delivery.acked == table.version


def test_a_peer_that_began_with_us_need_not_forget_what_was_removed_before():
    """It never held what was removed before it came, so no frame empties its mirror."""
    table, delivery, mirror = full(600), TableDelivery(), Mirror()
    table.remove(0)
    table.forget(table.version)
    made = []
    for _ in range(100):
        for body in delivery.send(table, 0.0):
            made += mirror.apply(body)
        delivery.acknowledge(mirror.version)
    assert mirror.entries == table.entries
    assert not [change for change in made if change.data is None]


def test_what_was_acknowledged_took_as_long_as_since_it_was_first_sent():
    table, delivery = full(1), TableDelivery()
    list(delivery.send(table, 10.0))
    list(delivery.again(table, 10.5))
    assert delivery.acknowledge(table.version)
    assert delivery.took(10.7) == pytest.approx(0.7)


def test_nothing_is_repeated_for_a_peer_that_does_not_read():
    table, delivery = full(1), TableDelivery()
    list(delivery.send(table, 0.0))
    delivery.rest()
    assert delivery.resend_at == float("inf")
    assert len(list(delivery.again(table, 9.0))) == 1
    assert 9.0 < delivery.resend_at < float("inf")
