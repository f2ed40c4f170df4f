from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import pytest

import ipcpy as ipc
from ipcpy.cli import tally
from ipcpy.cli.tally import Progress, causes, progress_line, record_of, summary

SECOND = 1_000_000_000
STATS = ipc.RecorderStats(
    messages=111,
    bytes=5_000_000,
    file_bytes=4_000_000,
    waiting_bytes=0,
    lost={"inbox": 1200, "kernel": 3},
    topics={
        "imu": ipc.TopicStats(101, 4_000_000, 0, SECOND, 11 * SECOND, {"inbox": 1203}),
        "evil\x1b[2J": ipc.TopicStats(10, 1_000_000, 7, SECOND, SECOND),
    },
    disk_left=9_000_000_000,
)


class Held(NamedTuple):
    """What has statistics."""

    stats: ipc.RecorderStats


class Terminal:
    """A standard error that is, or is not, a terminal."""

    def __init__(self, is_terminal: bool) -> None:
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


@pytest.fixture
def progress(monkeypatch: pytest.MonkeyPatch):
    """Make a progress, what it said, and a clock that each look moves on by two seconds."""
    said: list[str] = []
    clock = iter(range(0, 10_000, 2))
    monkeypatch.setattr(tally.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(tally.click, "echo", lambda text, **_: said.append(tally.click.unstyle(text)))

    def make(is_terminal: bool) -> tuple[Progress, list[str]]:
        monkeypatch.setattr(tally.sys, "stderr", Terminal(is_terminal))
        return Progress(), said

    return make


def test_the_line_has_messages_bytes_rate_losses_and_the_disk() -> None:
    assert progress_line(STATS, 2_500_000, 3725) == (
        "1:02:05  111 messages  5 MB  2.5 MB/s  lost inbox 1,200, kernel 3  disk left 9 GB"
    )
    assert causes({}) == ""


def test_a_terminal_is_shown_a_line_that_moves(progress) -> None:
    shown, said = progress(True)
    shown.show(Held(STATS))
    assert said[-1].startswith("\r0:02  111 messages")
    shown.end()
    assert said[-1] == ""


def test_the_line_fits_into_a_narrow_terminal(progress, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    shown, said = progress(True)
    shown.show(Held(STATS))
    assert len(said[-1].removeprefix("\r").removesuffix("\x1b[K")) < 30


def test_elsewhere_losses_alone_are_told_each_time_they_have_doubled(progress) -> None:
    shown, said = progress(False)
    for lost in (0, 1, 1, 2, 3, 4, 5, 8):
        shown.show(Held(ipc.RecorderStats(1, 1, 1, 0, {"inbox": lost} if lost else {}, {}, 10**9)))
    assert said == [
        "lost 1 message so far: inbox 1",
        "lost 2 messages so far: inbox 2",
        "lost 4 messages so far: inbox 4",
        "lost 8 messages so far: inbox 8",
    ]


def test_a_disk_that_will_be_full_soon_is_told_once(progress) -> None:
    shown, said = progress(False)
    for number in (1, 2, 3):
        shown.show(Held(ipc.RecorderStats(1, number * 2_000_000, 1, 0, {}, {}, 50_000_000)))
    assert said == ["the disk has room for 50 MB: 50 s at this rate"]


def test_the_summary_is_a_table_by_topic_without_what_terminals_obey() -> None:
    lines = list(summary(STATS, [Path("a.mcap")]))
    assert [line.split() for line in map(tally.click.unstyle, lines[1:3])] == [
        ["imu", "101", "10", "4", "MB", "inbox", "1,203", "-"],
        ["evil\\x1b[2J", "10", "-", "1", "MB", "-", "7"],
    ]
    assert lines[3] == "111 messages, 5 MB, in 4 MB of a.mcap"
    assert "lost 1,203 messages: inbox 1,200, kernel 3" in lines[4]
    several = list(summary(STATS, [Path(f"a-00{n}.mcap") for n in range(1, 6)]))
    assert several[3].endswith("of 5 files, a-001.mcap to a-005.mcap")


def test_the_table_writes_large_rates_in_full() -> None:
    topics = {"imu": ipc.TopicStats(50_001, 4_000_000, 0, SECOND, 2 * SECOND)}
    lines = list(summary(dataclasses.replace(STATS, topics=topics), [Path("a.mcap")]))
    assert lines[1].split()[:3] == ["imu", "50,001", "50,000"]


def test_json_has_all_of_it() -> None:
    record = record_of(STATS, [Path("a.mcap")])
    assert (record["paths"], record["messages"], record["lost"]) == (["a.mcap"], 111, {"inbox": 1200, "kernel": 3})
    assert record["topics"]["imu"]["lost"] == {"inbox": 1203}
