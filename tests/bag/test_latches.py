from __future__ import annotations

import logging

import pytest

from ipcpy.bag.catalog import Catalog
from ipcpy.bag.chunk import HEAD
from ipcpy.bag.form import Origin
from ipcpy.bag.latches import Latch, Latches
from ipcpy.views import View
from ipcpy.views.schema import no_schema

KB = 1 << 10
CATALOG = Catalog()
CHANNELS = {
    name: CATALOG.channel(Origin(name[0], name[1] * 16, "raw"), View("", no_schema("raw"), ()))
    for name in ("m1", "m2", "d1")
}


def put(latches: Latches, name: str, sequence: int, *, keep: int = 1, number: int = 0, size: int = 10) -> None:
    """Keep a message of a topic and a publisher, such as ``m1``."""
    records = [(CHANNELS[name], (memoryview(bytearray(size)),))]
    latches.put(Latch(name[0], name[1] * 16, number, CATALOG, sequence, 5, records), keep)


def kept(latches: Latches, number: int = 1) -> list[tuple[int, int, int]]:
    """Return channel, sequence and log time of what is in no chunk from a number on."""
    found = []
    for chunk in latches.chunks(number, 77):
        data, at = b"".join(chunk.parts), 0
        while at < len(data):
            _, length, channel, sequence, log_ns, _ = HEAD.unpack_from(data, at)
            found.append((channel, sequence, log_ns))
            at += 9 + length
    return found


def test_the_last_messages_of_each_publisher_are_kept() -> None:
    latches = Latches()
    for sequence in range(1, 6):
        put(latches, "m1", sequence, keep=2)
        put(latches, "m2", sequence)
    assert kept(latches) == [(CHANNELS["m1"], 4, 77), (CHANNELS["m1"], 5, 77), (CHANNELS["m2"], 5, 77)]


def test_what_is_in_a_chunk_that_is_there_is_not_given() -> None:
    latches = Latches()
    for number in range(3):
        put(latches, "m1", number, keep=9, number=number)
    assert [sequence for _, sequence, _ in kept(latches, 2)] == [0, 1]
    assert kept(latches, 0) == []


def test_where_it_does_not_fit_older_ones_of_the_topic_give_way_and_it_is_said(caplog) -> None:
    latches = Latches(10 * KB)
    put(latches, "d1", 1)
    with caplog.at_level(logging.WARNING):
        for sequence in range(10):
            put(latches, "m1" if sequence % 2 else "m2", sequence, keep=100, size=KB)
    assert latches.size <= 10 * KB
    assert [sequence for _, sequence, _ in kept(latches)] == [1, 6, 7, 8, 9]
    assert latches.left_out == 6
    assert len(caplog.records) == 1
    assert "m: not all that it keeps is kept here: latched topics have 10,240 bytes" in caplog.text


def test_what_never_fits_is_left_out_and_counted() -> None:
    latches = Latches(10 * KB)
    put(latches, "d1", 1)
    put(latches, "m1", 2, size=20 * KB)
    assert [sequence for _, sequence, _ in kept(latches)] == [1]
    assert latches.left_out == 1


def test_very_many_small_ones_are_bounded() -> None:
    latches = Latches(10 * KB)
    for sequence in range(1000):
        put(latches, "m1", sequence, keep=10**9, size=0)
    assert len(kept(latches)) == 10


@pytest.mark.parametrize(("topic", "keep", "wanted"), [("map", 1, True), ("map", 0, False), ("done", 1, False)])
def test_topics_that_keep_nothing_or_are_left_out_are_not_wanted(topic: str, keep: int, wanted: bool) -> None:
    assert Latches(exclude={"done"}).wants(topic, keep) is wanted
