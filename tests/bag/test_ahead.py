"""One step ahead: items come in their order, and the next is made meanwhile."""

from __future__ import annotations

import threading

import pytest

from ipcpy.bag.ahead import ahead


def test_items_come_in_their_order():
    assert list(ahead(range(100))) == list(range(100))
    assert list(ahead([])) == []
    assert list(ahead([None, 0, ""])) == [None, 0, ""]


def test_the_next_is_made_while_one_is_used_and_no_more():
    made = [threading.Event() for _ in range(4)]

    def make():
        for n, event in enumerate(made):
            event.set()
            yield n

    items = ahead(make())
    assert next(items) == 0
    assert made[1].wait(30)
    assert not made[2].is_set()
    assert next(items) == 1
    assert made[2].wait(30)
    assert not made[3].is_set()
    items.close()


def test_what_is_raised_while_making_is_raised_in_its_turn():
    def make():
        yield 1
        raise ValueError("broken")

    items = ahead(make())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_no_thread_is_left_when_it_is_given_up():
    before = threading.active_count()
    items = ahead(iter(int, 1))
    assert next(items) == 0
    items.close()
    assert threading.active_count() == before
