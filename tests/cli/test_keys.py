"""Keys: single ones of a terminal, and none where there is no terminal."""

from __future__ import annotations

import os
import sys

import pytest

from ipcpy.cli import keys as module
from ipcpy.cli.keys import keys

pty = pytest.importorskip("pty", reason="takes a terminal of Unix")
termios = pytest.importorskip("termios", reason="takes a terminal of Unix")


@pytest.fixture
def screen(monkeypatch):
    """Make standard input a terminal; return its other end."""
    outer, inner = pty.openpty()
    file = os.fdopen(inner, "r")
    monkeypatch.setattr(sys, "stdin", file)
    monkeypatch.setattr(module, "_in_front", lambda number: True)
    yield outer
    file.close()
    os.close(outer)


def test_without_a_terminal_there_are_none(monkeypatch):
    with open(os.devnull) as file:
        monkeypatch.setattr(sys, "stdin", file)
        with keys() as wait:
            assert wait is None
    monkeypatch.setattr(sys, "stdin", None)
    with keys() as wait:
        assert wait is None


def test_a_terminal_that_is_not_in_front_is_left_alone(screen, monkeypatch):
    monkeypatch.setattr(module, "_in_front", lambda number: False)
    with keys() as wait:
        assert wait is None


def test_keys_come_as_they_are_pressed_without_return(screen):
    with keys() as wait:
        os.write(screen, b" ")
        assert wait(10) == " "
        os.write(screen, b"\x1b[C")
        assert wait(10) == "\x1b[C"
        assert wait(0) == ""


def test_the_terminal_shows_nothing_meanwhile_and_is_as_it_was_afterwards(screen):
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    with keys():
        assert not termios.tcgetattr(number)[3] & (termios.ECHO | termios.ICANON)
        assert termios.tcgetattr(number)[3] & termios.ISIG
    assert termios.tcgetattr(number) == before
