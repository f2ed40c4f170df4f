"""``ipcpy top`` as a command; what it shows is tested in tests/top."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from ipcpy.cli.program import program
from ipcpy.top import extra

IPCPY = [sys.executable, "-m", "ipcpy.cli"]


def test_help_names_the_extra_and_the_keys_to_begin_with():
    printed = CliRunner().invoke(program, ["top", "--help"]).output
    assert "pip install 'ipcpy[top]'" in printed
    assert "--all-domains" in printed


def test_without_the_extra_a_sentence_names_it(monkeypatch):
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    done = CliRunner().invoke(program, ["top"])
    assert done.exit_code == 1
    assert "pip install 'ipcpy[top]'" in done.output


def test_without_a_terminal_a_sentence_says_what_to_use(spawn):
    pytest.importorskip("textual", reason="needs ipcpy[top]")
    process = spawn([*IPCPY, "top"])
    assert process.wait() == 1
    assert "ipcpy flows --watch" in process.stderr


def test_an_unknown_column_is_wrong_usage():
    assert CliRunner().invoke(program, ["top", "--sort", "colour"]).exit_code == 2
