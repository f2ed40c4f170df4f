"""sealing.foreign: who is there and cannot be understood."""

from __future__ import annotations

from collections import Counter

from ipcpy.sealing.foreign import AGE, MOST, Foreign


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_nodes_are_counted_by_their_key():
    foreign = Foreign(Clock())
    for who, key in ((b"a", b"key1"), (b"b", b"key1"), (b"c", None), (b"a", b"key1")):
        foreign.note(who, key)
    assert foreign.by_key() == Counter({b"key1": 2, None: 1})


def test_a_node_that_changes_its_key_counts_once():
    foreign = Foreign(Clock())
    foreign.note(b"a", None)
    foreign.note(b"a", b"key1")
    assert foreign.by_key() == Counter({b"key1": 1})


def test_who_is_silent_is_forgotten():
    clock = Clock()
    foreign = Foreign(clock)
    foreign.note(b"a", None)
    clock.now += AGE - 1
    foreign.note(b"b", None)
    clock.now += 2
    assert foreign.by_key() == Counter({None: 1})


def test_a_flood_takes_no_more_than_so_much():
    foreign = Foreign(Clock())
    for number in range(3 * MOST):
        foreign.note(number.to_bytes(4, "little"), None)
    assert foreign.by_key() == Counter({None: MOST})
