"""Recordings for commands: what is wrong with one is said once, and not by the log too."""

from __future__ import annotations

import sys

import pytest

import tapes
from ipcpy.cli.opening import opened

IPCPY = [sys.executable, "-m", "ipcpy.cli"]


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.mcap"
    with tapes.tape(path, chunk_size=500) as tape:
        for n in range(60):
            tape.add("x", n, n)
        tape.add_body("x", b"\xc1", 70, tapes.MsgPack())
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    return path


def test_what_is_wrong_is_said_before_and_after(broken, capsys):
    with opened(str(broken)) as bag:
        assert "was not closed" in capsys.readouterr().err
        assert sum(1 for _ in bag.messages()) == 60
    assert "a message of 'x' was left out" in capsys.readouterr().err


def test_a_command_may_say_it_itself(broken, capsys):
    with opened(str(broken), silent=True):
        pass
    assert capsys.readouterr().err == ""


def test_it_is_said_once(broken, spawn):
    process = spawn([*IPCPY, "bag", "cut", str(broken), "-o", str(broken.parent / "new.mcap")])
    process.succeed()
    assert process.stderr.count("was not closed") == 1
