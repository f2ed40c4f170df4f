"""Messages of blocks in one order: by time, and those of one time in the order of the blocks."""

from __future__ import annotations

from random import Random

from ipcpy.bag.opened import Block
from ipcpy.bag.order import in_order
from ipcpy.bag.records import Entry


def block(*times, place=0):
    entries = [Entry(time, place, n, 0, memoryview(b"")) for n, time in enumerate(sorted(times))]
    return Block(min(times), max(times), 0, 0), lambda: entries


def flat(parts):
    return [(entry.log_ns, entry.channel, entry.sequence) for run in in_order(parts) for entry in run]


def test_blocks_that_follow_one_another_are_runs():
    assert [[entry.log_ns for entry in run] for run in in_order([block(1, 2), block(3, 4)])] == [[1, 2], [3, 4]]


def test_blocks_that_overlap_are_merged():
    dice = Random(3)
    for _ in range(200):
        parts = [
            block(*(dice.randrange(50) for _ in range(dice.randrange(1, 10))), place=place)
            for place in range(dice.randrange(1, 6))
        ]
        expected = [(e.log_ns, e.channel, e.sequence) for _, load in parts for e in load()]
        assert flat(parts) == sorted(expected, key=lambda entry: entry[0])  # which is stable


def test_of_one_time_the_block_that_stands_first_comes_first_though_it_begins_later():
    assert flat([block(5, 6, place=0), block(1, 5, 6, place=1)]) == [
        *((1, 1, 0),),
        *((5, 0, 0), (5, 1, 1)),
        *((6, 0, 1), (6, 1, 2)),
    ]


def test_no_blocks_have_no_messages():
    assert flat([]) == []


def test_a_block_whose_times_lie_still_gives_its_messages():
    _, load = block(7, 8)
    assert flat([(Block(1, 2, 0, 0), load), block(3, 4)]) == [(3, 0, 0), (4, 0, 1), (7, 0, 0), (8, 0, 1)]
