"""``ipcpy key``: a key is made once, shown by its words, and never printed."""

from __future__ import annotations

import json
import os
import sys

import pytest
from click.testing import CliRunner

import ipcpy as ipc
from ipcpy.cli import key as command
from ipcpy.cli.program import program


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A config folder of its own, and no other way to a key."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr("ipcpy.settings.sys.platform", "linux")
    monkeypatch.delenv("IPCPY_KEY_FILE", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return tmp_path / "config" / "ipcpy" / "key"


def run(*words):
    return CliRunner().invoke(program, ["key", *words])


def secret_of(path):
    return path.read_text().split()[-1]


def test_a_key_is_made_and_shown_by_the_same_words(home):
    made, shown = run("new"), run("show")
    assert (made.exit_code, shown.exit_code) == (0, 0)
    fingerprint = ipc.KeyFile().keys[0].fingerprint
    for done in (made, shown):
        assert fingerprint in done.output
        assert "seals what is sent" in done.output
        assert secret_of(home) not in done.output
    assert "Copy it to all" in made.output


def test_a_program_that_is_started_then_has_the_key(home):
    assert run("new").exit_code == 0
    with ipc.Node(interfaces="lo") as node:
        assert node.keys == (ipc.KeyFile().keys[0].fingerprint,)


def test_a_key_that_is_there_is_not_overwritten(home):
    assert run("new").exit_code == 0
    before = home.read_bytes()
    again = run("new")
    assert again.exit_code == 1
    assert "not overwritten" in again.output
    assert home.read_bytes() == before


def test_json_is_a_line_for_each_key_without_the_secret(tmp_path):
    done = run("new", str(tmp_path / "a"), "--algorithm", "aes-256-gcm", "--json")
    assert done.exit_code == 0
    (line,) = done.output.splitlines()
    (key,) = ipc.KeyFile(tmp_path / "a").keys
    expected = {"path": str(tmp_path / "a"), "fingerprint": key.fingerprint, "id": key.id.hex()}
    assert json.loads(line) == {**expected, "algorithm": "aes-256-gcm", "seals": True}

    run("new", str(tmp_path / "b"))
    (tmp_path / "a").write_text((tmp_path / "a").read_text() + (tmp_path / "b").read_text())
    both = [json.loads(line) for line in run("show", str(tmp_path / "a"), "--json").output.splitlines()]
    assert [(each["algorithm"], each["seals"]) for each in both] == [
        ("aes-256-gcm", True),
        ("chacha20-poly1305", False),
    ]
    assert "accepted" in run("show", str(tmp_path / "a")).output


def test_no_key_is_nothing_found_and_says_what_to_do(home, monkeypatch):
    for _ in range(2):
        done = run("show")
        assert done.exit_code == 3
        assert "ipcpy key new" in done.output
        monkeypatch.setenv("IPCPY_KEY_FILE", "")


@pytest.mark.skipif(sys.platform == "win32", reason="modes of files are POSIX's")
def test_a_wrong_file_is_a_sentence_and_code_1(tmp_path):
    path = tmp_path / "key"
    path.touch(0o600)
    done = run("show", str(path))
    assert (done.exit_code, "is empty" in done.output) == (1, True)
    run("new", str(tmp_path / "other"))
    os.chmod(tmp_path / "other", 0o644)
    done = run("show", str(tmp_path / "other"))
    assert (done.exit_code, "can be read by others" in done.output) == (1, True)


def test_an_unknown_algorithm_is_wrong_usage(tmp_path):
    assert run("new", str(tmp_path / "a"), "--algorithm", "rot13").exit_code == 2
    assert not (tmp_path / "a").exists()


def test_it_offers_the_algorithms_that_there_are():
    from ipcpy.sealing.keys import ALGORITHMS

    assert command.ALGORITHMS == ALGORITHMS


def test_commands_take_a_key_or_none(tmp_path, monkeypatch):
    """``--key FILE``, and ``--key ''`` where the environment has one."""
    seen = []
    monkeypatch.setattr("ipcpy.cli.options.ipc.Node", lambda name, **options: seen.append(options) or 1 / 0)
    for words in (["--key", "/a", "pub", "x", "1"], ["pub", "x", "1", "--key", ""], ["pub", "x", "1"]):
        CliRunner().invoke(program, words)
    assert [each.get("key") for each in seen] == ["/a", False, None]
