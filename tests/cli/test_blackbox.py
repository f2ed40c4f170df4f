"""``ipcpy blackbox``: asking other programs for their last seconds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import bags

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
BOX = """
    import os, sys, time
    import ipcpy as ipc
    box = ipc.BlackBox(60, sys.argv[1], f"arm{os.getpid()}/*", after=0.1)
    pub = ipc.Publisher(f"arm{os.getpid()}/state")
    pub.wait_for_subscribers(timeout=10)
    for n in range(10):
        pub.publish(n)
    while box.stats.messages < 10:
        time.sleep(0.01)
    print("ready", flush=True)
    time.sleep(60)
"""


def test_all_boxes_write_and_are_named(spawn, tmp_path: Path) -> None:
    for number in range(2):
        spawn(BOX, str(tmp_path / f"{number}.mcap")).wait_line("ready", timeout=30)
    lines = spawn([*IPCPY, "blackbox", "dump", "--reason", "a test"]).succeed().splitlines()
    assert len(lines) == 2
    for number in range(2):
        path = tmp_path / f"{number}.mcap"
        assert any(f" wrote {path}: " in line for line in lines)
        assert "a test" in bags.metadata(path, "ipcpy")[0]["reason"]
        assert len(list(bags.read(path))) >= 10


def test_who_hears_all_topics_is_no_black_box_and_is_not_waited_for(spawn, tmp_path: Path) -> None:
    spawn(BOX, str(tmp_path / "0.mcap")).wait_line("ready", timeout=30)
    ring = spawn([*IPCPY, "record", "-a", "--ring", "60s", "--after", "0.1s", "-o", str(tmp_path / "1.mcap")])
    ring.wait_line("keeping the last", timeout=30, stream="stderr")
    lines = spawn([*IPCPY, "blackbox", "dump"]).succeed().splitlines()
    assert len(lines) == 2
    for number in range(2):
        assert any(f" wrote {tmp_path / f'{number}.mcap'}: " in line for line in lines)


def test_answers_to_earlier_questions_are_passed_over(spawn, tmp_path: Path) -> None:
    spawn(BOX, str(tmp_path / "a.mcap")).wait_line("ready", timeout=30)
    for path in (tmp_path / "a.mcap", tmp_path / "a-2.mcap"):
        (line,) = spawn([*IPCPY, "blackbox", "dump"]).succeed().splitlines()
        assert f" wrote {path}: " in line


def test_one_that_dies_meanwhile_is_not_waited_for(spawn, tmp_path: Path) -> None:
    box = spawn(BOX.replace("after=0.1", "after=60"), str(tmp_path / "a.mcap"))
    box.wait_line("ready", timeout=30)
    asking = spawn([*IPCPY, "blackbox", "dump", "--patience", "1000"])
    box.wait_line("it is written into", timeout=30, stream="stderr")
    box.kill()
    assert asking.wait() == 1
    assert "of 1 that were asked 0 wrote" in asking.report()


def test_one_that_cannot_write_says_why(spawn, tmp_path: Path) -> None:
    folder = tmp_path / "away"
    folder.mkdir()
    spawn(BOX, str(folder / "a.mcap")).wait_line("ready", timeout=30)
    folder.rmdir()
    asking = spawn([*IPCPY, "blackbox", "dump"])
    assert asking.wait() == 1
    assert "could not: there is no directory" in asking.report()
    assert "of 1 that were asked 0 wrote" in asking.report()


def test_where_there_is_none_it_says_so(spawn) -> None:
    asking = spawn([*IPCPY, "blackbox", "dump", "--timeout", "0.3"])
    assert asking.wait() == 3
    assert "no black box within 0.3 s" in asking.report()
