from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import ipcpy as ipc
from bags import metadata, summary
from ipcpy.bag.catalog import Catalog
from ipcpy.bag.chunk import ChunkBuilder, Sealed, seal
from ipcpy.bag.files import Books, Files
from ipcpy.bag.form import Origin
from ipcpy.bag.ring import LONGEST, Dump, Ring
from ipcpy.views import View
from ipcpy.views.schema import no_schema

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

SECOND = 1_000_000_000


class Ringing:
    """A ring on a clock that a test moves."""

    def __init__(self, folder: Path, seconds: float = 10, size: int = 1 << 30, after: float = 2) -> None:
        self.folder = folder
        self.now = 5000.0
        self.wall = 0.0  # how far the wall clock is ahead
        self.begun: list[Dump] = []
        self.ended: list[Dump] = []
        self.error: ipc.IpcError | None = None
        self.asked: list[tuple[int, int]] = []  # what was asked for of latched topics
        self.catalog = Catalog()
        self.channel = self.catalog.channel(Origin("x", "00" * 8, "raw"), View("", no_schema("raw"), ()))
        self.ring = Ring(
            seconds, size, after, self.files,
            on_begin=self.begun.append, on_end=self.ended.append, latched=self.latched,
            clock=lambda: self.now,
        )  # fmt: skip

    def files(self, told: Mapping[str, str]) -> Files:
        if self.error:
            raise self.error
        return Files(self.folder / f"{len(self.begun)}.mcap", told, lambda: Books({}))

    def latched(self, number: int, log_ns: int) -> list[Sealed]:
        self.asked.append((number, log_ns // SECOND))
        return []

    def second(self, size: int = 100) -> None:
        """Let a second pass in which one message comes."""
        builder = ChunkBuilder(self.catalog)
        builder.add(self.channel, 1, round((self.now + self.wall) * SECOND), 0, (bytes(size),))
        self.ring.add(seal(builder.close(), "none", None, copied=True))
        self.now += 1
        self.ring.tick()

    def seconds(self, number: int) -> None:
        for _ in range(number):
            self.second()


def span(path: Path) -> tuple[float, float]:
    found = summary(path).statistics
    return found.message_start_time / SECOND, found.message_end_time / SECOND


def test_it_keeps_the_last_seconds(tmp_path: Path) -> None:
    tested = Ringing(tmp_path)
    tested.seconds(100)
    assert tested.ring.seconds == 10
    assert tested.ring.size < 11 * 300


def test_a_wall_clock_that_is_set_throws_nothing_away(tmp_path: Path) -> None:
    tested = Ringing(tmp_path)
    tested.seconds(5)
    tested.wall = 3600 * 24
    tested.seconds(3)
    tested.wall = -3600
    tested.seconds(2)
    tested.ring.trigger("now", last=True)
    assert tested.ended[0].messages == 10


def test_it_keeps_no_more_bytes_than_allowed(tmp_path: Path) -> None:
    tested = Ringing(tmp_path, size=5000)
    for _ in range(50):
        tested.second(900)
        assert tested.ring.size <= 5000
    assert tested.ring.seconds > 1


def test_a_message_that_is_larger_than_the_ring_is_not_kept(tmp_path: Path) -> None:
    tested = Ringing(tmp_path, size=5000)
    tested.second(6000)
    assert (tested.ring.size, tested.ring.seconds) == (0, 0.0)


def test_what_was_before_and_what_comes_after_is_written_and_it_goes_on(tmp_path: Path) -> None:
    tested = Ringing(tmp_path)
    tested.seconds(50)
    tested.ring.trigger("it fell")
    assert [dump.reasons for dump in tested.begun] == [["it fell"]]
    tested.seconds(20)
    (dump,) = tested.ended
    assert span(dump.path) == (5040, 5052)
    assert (dump.messages, dump.failure) == (13, None)
    assert dump.size == dump.path.stat().st_size
    (told,) = metadata(dump.path, "ipcpy")
    assert told["reason"] == "it fell" and int(told["event_ns"]) > 0
    tested.ring.trigger("again")
    tested.seconds(5)
    assert span(tested.ended[1].path) == (5060, 5072)


def test_what_happens_meanwhile_makes_it_longer_but_not_for_ever(tmp_path: Path) -> None:
    tested = Ringing(tmp_path)
    tested.seconds(20)
    for _ in range(100):
        tested.ring.trigger("again and again", "silence")
        tested.second()
        if tested.ended:
            break
    (dump,) = tested.ended
    assert span(dump.path) == (5010, 5020 + 2 * LONGEST)
    assert len(dump.reasons) == 2 * LONGEST + 1


def test_what_happens_again_and_again_is_not_written_again_and_again(tmp_path: Path) -> None:
    tested = Ringing(tmp_path)
    tested.seconds(20)
    tested.ring.trigger("a loss", "loss")
    tested.seconds(4)
    assert len(tested.ended) == 1
    tested.ring.trigger("a loss", "loss")
    assert (len(tested.begun), tested.ring.held) == (1, 1)
    tested.ring.trigger("another", "silence")
    tested.seconds(4)
    assert len(tested.ended) == 2
    tested.seconds(12)
    tested.ring.trigger("a loss", "loss")
    assert len(tested.begun) == 3
    tested.ring.finish()


def test_the_last_one_is_complete_at_once(tmp_path: Path) -> None:
    tested = Ringing(tmp_path)
    tested.seconds(20)
    tested.ring.trigger("ZeroDivisionError", last=True)
    assert span(tested.ended[0].path) == (5010, 5019)


def test_the_last_one_ends_one_that_is_going_on(tmp_path: Path) -> None:
    tested = Ringing(tmp_path, after=100)
    tested.seconds(20)
    tested.ring.trigger("first")
    tested.seconds(2)
    tested.ring.trigger("the end", last=True)
    (dump,) = tested.ended
    assert dump.reasons == ["first", "the end"]
    assert span(dump.path) == (5010, 5021)


def test_without_seconds_after_it_is_complete_at_once(tmp_path: Path) -> None:
    tested = Ringing(tmp_path, after=0)
    tested.seconds(5)
    tested.ring.trigger("now")
    assert span(tested.ended[0].path) == (5000, 5004)


def test_finish_completes_what_is_going_on(tmp_path: Path) -> None:
    tested = Ringing(tmp_path)
    tested.ring.finish()
    tested.seconds(5)
    tested.ring.trigger("now")
    tested.ring.finish()
    assert len(tested.ended) == 1


def test_a_file_that_cannot_be_made_is_told_and_the_ring_goes_on(tmp_path: Path) -> None:
    tested = Ringing(tmp_path)
    tested.seconds(5)
    tested.error = ipc.TransportError("no room")
    tested.ring.trigger("now")
    assert (tested.begun, tested.ended[0].failure) == ([], tested.error)
    tested.error = None
    tested.ring.trigger("again")
    tested.seconds(4)
    assert tested.ended[1].failure is None


def test_a_disk_that_gets_full_is_told_and_the_ring_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tested = Ringing(tmp_path)
    tested.seconds(5)
    tested.ring.trigger("now")
    with monkeypatch.context() as patched:
        patched.setattr(Files, "add", lambda *_: (_ for _ in ()).throw(ipc.TransportError("the disk is full")))
        tested.second()
    assert "full" in str(tested.ended[0].failure)
    assert span(tested.ended[0].path) == (5000, 5004)
    tested.seconds(3)
    assert tested.ring.seconds > 5


def test_a_dump_begins_with_what_latched_topics_kept_as_received_when_it_begins(tmp_path: Path) -> None:
    tested = Ringing(tmp_path, after=0)
    tested.seconds(3)
    tested.ring.trigger("now")
    tested.seconds(47)
    tested.ring.trigger("again")
    assert tested.asked == [(0, 5000), (40, 5040)]


def test_a_file_that_is_deleted_while_it_is_written_is_told_and_the_ring_goes_on(tmp_path: Path) -> None:
    tested = Ringing(tmp_path)
    tested.seconds(5)
    tested.ring.trigger("now")
    tested.begun[0].path.unlink()
    tested.ring.sync()
    tested.second()
    assert "deleted while it was recorded" in str(tested.ended[0].failure)
    tested.seconds(3)
    tested.ring.trigger("again")
    tested.ring.finish()
    assert tested.ended[1].failure is None
