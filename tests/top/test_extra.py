"""What top needs, and what is said where it is not there."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

import ipcpy as ipc
from ipcpy.top import extra
from ipcpy.top.extra import need_extra, need_terminal, without_colour


def test_without_the_extra_a_sentence_names_it(monkeypatch):
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    with pytest.raises(ipc.IpcError, match=r"pip install 'ipcpy\[top\]'"):
        need_extra()


def test_without_a_terminal_a_sentence_says_what_to_use(monkeypatch):
    monkeypatch.setattr(sys, "__stdout__", SimpleNamespace(isatty=lambda: False))
    with pytest.raises(ipc.IpcError, match="ipcpy flows --watch"):
        need_terminal()


def test_a_terminal_that_cannot_move_its_cursor_is_refused(monkeypatch):
    for name in ("__stdin__", "__stdout__", "__stderr__"):
        monkeypatch.setattr(sys, name, SimpleNamespace(isatty=lambda: True))
    monkeypatch.setenv("TERM", "xterm")
    need_terminal()
    monkeypatch.setenv("TERM", "dumb")
    with pytest.raises(ipc.IpcError, match="'dumb'"):
        need_terminal()


@pytest.mark.parametrize(
    ("no_color", "term", "without"), [("", "xterm", False), ("1", "xterm", True), ("", "vt100", True)]
)
def test_colours_are_left_out_where_there_are_none_or_nobody_wants_them(monkeypatch, no_color, term, without):
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", term)
    assert without_colour() is without
