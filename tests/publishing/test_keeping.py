"""What is kept in shared memory: let go of once all have it, moved out where there is no room."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ipcpy.protocol.data.history import History, Kept
from ipcpy.protocol.data.reliable import Reliable
from ipcpy.publishing.keeping import MOVED, Keeping


class World:
    """Messages 1 to 10 that lie in shared memory, followers and routes as made up."""

    def __init__(self, keep=0, confirmed=(), coming=()):
        self.reliable = Reliable(History(100, 1 << 20))
        self.reliable.followers = {number: SimpleNamespace(next=upto + 1) for number, upto in enumerate(confirmed)}
        routes = {number: SimpleNamespace(heard_at=heard, matched=False) for number, heard in enumerate(coming)}
        self.outlet = SimpleNamespace(reliable=self.reliable, by_number=routes, routes=())
        self.keeping = Keeping(self.outlet, SimpleNamespace(seq=10), keep)
        for seq in range(1, 11):
            self.add(seq, placed=object())

    def add(self, seq, placed=None):
        self.reliable.history.add(Kept(seq, 0, b"", [memoryview(b"%d" % seq)], 10, placed))

    @property
    def numbers(self):
        return [message.seq for message in self.reliable.history.between(1, 1000)]


@pytest.mark.parametrize(
    ("keep", "confirmed", "coming", "first"),
    [
        (0, [10], [], 10),  # the newest stays in any case
        (0, [], [], 10),
        (3, [10], [], 8),  # the last three are for latecomers
        (0, [10, 4], [], 5),  # somebody lacks the fifth
        (0, [10], [6], 7),  # somebody was heard of after the sixth, and is to get what came since
        (20, [10], [], 1),
    ],
)
def test_what_all_have_and_nobody_will_get_takes_no_memory(keep, confirmed, coming, first):
    world = World(keep, confirmed, coming)
    world.keeping.forget_acknowledged()
    assert world.numbers == list(range(first, 11))


def test_what_lies_in_memory_of_our_own_is_kept_as_ever():
    world = World(confirmed=[11])
    history = world.reliable.history
    assert history.move_placed(4)
    world.keeping.forget_acknowledged()
    assert world.numbers == list(range(1, 11))


def test_where_there_is_no_room_the_oldest_are_moved_out_of_shared_memory():
    world = World(keep=1000)
    for seq in range(11, MOVED + 11):
        world.add(seq, placed=object())
    assert world.keeping.make_room()
    kept = list(world.reliable.history.between(1, 1000))
    assert [message.placed is None for message in kept] == [True] * MOVED + [False] * 10
    assert [bytes(message.parts[0]) for message in kept] == [b"%d" % seq for seq in range(1, MOVED + 11)]
    assert world.keeping.make_room() and not world.keeping.make_room()


def test_what_is_kept_leaves_memory_that_nobody_shares_one_by_one():
    world = World(keep=2, confirmed=[10])
    left = []
    for _ in range(3):
        world.keeping.vacate()
        left.append([message.seq for message in world.reliable.history.between(1, 1000) if message.placed])
    assert left == [[10], [], []] and world.numbers == [9, 10]


def test_a_best_effort_topic_has_nothing_to_move_and_forgets_what_all_have():
    forgotten = []
    memory = SimpleNamespace(forget_before=forgotten.append)
    routes = [SimpleNamespace(acknowledged=7), SimpleNamespace(acknowledged=5)]
    outlet = SimpleNamespace(reliable=None, memory=memory, routes=routes, by_number={})
    keeping = Keeping(outlet, SimpleNamespace(seq=10), 0)
    assert not keeping.make_room()
    keeping.forget_acknowledged()
    outlet.routes = []
    keeping.forget_acknowledged()
    assert forgotten == [6, 11]
