"""What is told of this node's own: at once, and together where there are many to be told. No socket is opened."""

from __future__ import annotations

import pytest

from ipcpy.node.announcements import PAUSE, Announcements
from ipcpy.protocol.link.entries import PublisherEntry, SubscriberEntry, pack_entry, unpack_entry
from still import StillLoop

IMU = PublisherEntry("imu", "raw")


class Made:
    """Announcements to surroundings that take note; it stands for the link, its table and all others."""

    def __init__(self, monkeypatch):
        self.loop, self.peers = StillLoop(), {}
        self.loop.stop_time(monkeypatch, "loop", "announcements")
        self.entries, self.known, self.told, self.shown = {}, {}, [], []
        self.table = self
        self.made = Announcements(self.loop, self, self, self, self)

    def announce(self, number, entry):
        self.made.put(number, entry, pack_entry(entry))

    def put(self, number, packed):
        self.entries[number] = unpack_entry(packed)

    def remove(self, number):
        self.entries.pop(number, None)

    def change_own(self, number, entry):
        self.known[number] = entry

    def published(self):
        return tuple(sorted(entry.topic for entry in self.entries.values()))

    def tell(self):
        self.told.append((self.loop.now, self.published()))

    def show(self):
        self.shown.append(self.published())


@pytest.fixture
def made(monkeypatch):
    return Made(monkeypatch)


def test_what_comes_and_goes_is_put_in_the_table_introduced_told_and_shown(made):
    made.announce(1, IMU)
    made.loop.advance(0)
    assert made.entries == made.known == {1: IMU} and made.shown == [("imu",)]
    made.made.remove(1)
    made.loop.advance(0)
    assert made.entries == {} and made.known == {1: None} and made.shown == [("imu",), ()]
    assert [topics for _, topics in made.told] == made.shown


def test_changes_of_one_moment_are_told_together(made):
    for number in range(100):
        made.announce(number, SubscriberEntry(f"t{number}", "any", 4_000))
    made.loop.advance(0)
    assert len(made.told) == 1 and len(made.told[0][1]) == 100


@pytest.mark.parametrize(("peers", "most"), [(0, 101), (1, 101), (100, 3), (1_000, 2)])
def test_the_more_are_to_be_told_the_seldomer_but_all_is_told_in_the_end(made, peers, most):
    made.peers.update(dict.fromkeys(range(peers)))
    for number in range(100):  # 100 changes in 100 ms
        made.announce(number, SubscriberEntry(f"t{number:02}", "any", 4_000))
        made.loop.advance(0.001)
    made.loop.advance(PAUSE * peers)
    assert most - 2 <= len(made.told) <= most and len(made.told[-1][1]) == 100
    assert len(made.told[0][1]) == 1, "the first change is told at once"
