"""Tables in TOML files: read, written as a whole, and what is wrong with them."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

import pytest

from ipcpy.errors import ArgumentError, IpcError, TransportError
from ipcpy.parameters import file as file_module
from ipcpy.parameters.file import check_file, read_table, read_tables, write_table

needs_extra = pytest.mark.skipif(file_module.find_spec("tomli_w") is None, reason="needs ipcpy[params]")
VALUES = {"gain": 2.5, "on": True, "mode": 'a\n"b"', "roi": (0, -1), "lut": [], "far": float("inf")}


@needs_extra
def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "a.toml"
    write_table(path, "robot1/camera", VALUES)
    assert read_table(path, "robot1/camera") == {**VALUES, "roi": [0, -1]}


@needs_extra
def test_what_else_is_in_the_file_or_the_table_stays(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('name = "robot"\n[arm]\nspeed = 1.0\n[camera]\ngain = 1.0\nold = 5\n')
    write_table(path, "camera", {"gain": 2.0})
    assert read_tables(path) == {"name": "robot", "arm": {"speed": 1.0}, "camera": {"gain": 2.0, "old": 5}}


@needs_extra
def test_a_file_keeps_its_rights_and_where_it_is_linked_to(tmp_path):
    path, link = tmp_path / "a.toml", tmp_path / "link.toml"
    path.write_text("")
    path.chmod(0o640)
    link.symlink_to(path)
    write_table(link, "camera", {"gain": 2.0})
    assert link.is_symlink() and path.stat().st_mode & 0o777 == 0o640
    assert read_table(path, "camera") == {"gain": 2.0}


@needs_extra
def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a.toml"
    path.write_text("[camera]\ngain = 1.0\n")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TransportError, match="No space left"):
        write_table(path, "camera", {"gain": 2.0})
    assert path.read_text() == "[camera]\ngain = 1.0\n"
    assert os.listdir(tmp_path) == ["a.toml"], "nothing is left behind"


@needs_extra
def test_whoever_reads_meanwhile_finds_a_whole_file(tmp_path):
    path = tmp_path / "a.toml"
    write_table(path, "camera", {"n": 0})
    program = """
import sys
from pathlib import Path
from ipcpy.parameters.file import write_table
for n in range(200):
    write_table(Path(sys.argv[1]), "camera", {"n": n, "text": "x" * 10_000})
"""
    writer = subprocess.Popen([sys.executable, "-c", program, str(path)])
    seen = []
    while writer.poll() is None:
        seen.append(tomllib.loads(path.read_text())["camera"]["n"])
    assert writer.returncode == 0
    assert seen == sorted(seen)
    assert read_table(path, "camera")["n"] == 199


@pytest.mark.parametrize("text", [b"gain = ", b"\xff", b"[a]\n[a]", b"[" * 100_000])
def test_what_is_no_toml_is_refused_with_the_name_of_the_file(tmp_path, text):
    path = tmp_path / "a.toml"
    path.write_bytes(text)
    with pytest.raises(ArgumentError, match=r"a\.toml' is no TOML file"):
        read_tables(path)


def test_a_table_that_is_not_there_is_said_with_those_that_are(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('camera = 5\n["robot1/arm"]\n')
    with pytest.raises(ArgumentError, match=r"has no table 'camera'; it has 'robot1/arm'"):
        read_table(path, "camera")
    with pytest.raises(TransportError, match="No such file"):
        read_table(tmp_path / "none.toml", "camera")


@needs_extra
def test_a_file_is_a_path_in_a_directory_that_is_there(tmp_path):
    assert check_file(tmp_path / "a.toml") == tmp_path / "a.toml"
    assert check_file("a.toml").name == "a.toml"
    for wrong in (5, "", None, b""):
        with pytest.raises(ArgumentError, match="file is the path of a TOML file"):
            check_file(wrong)
    with pytest.raises(ArgumentError, match="there is no directory .*none"):
        check_file(tmp_path / "none" / "a.toml")
    assert check_file(tmp_path / "none" / "a.toml", written=False).name == "a.toml"


def test_without_the_extra_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(file_module, "find_spec", lambda name: None)
    for ask in (lambda: check_file("a.toml"), lambda: write_table(tmp_path / "a.toml", "camera", {})):
        with pytest.raises(IpcError, match=r"pip install 'ipcpy\[params\]'"):
            ask()
    assert check_file("a.toml", written=False).name == "a.toml", "reading needs none"
