"""Who a node is: ids that are never taken twice, names that can be printed, what it says of itself."""

from __future__ import annotations

import os
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest

import ipcpy
from ipcpy.errors import ArgumentError
from ipcpy.node.identity import check_name, describe, new_id
from ipcpy.protocol.link.entries import pack_entry, unpack_entry
from ipcpy.version import __version__


def test_ids_differ_fit_64_bits_and_are_never_0(monkeypatch):
    ids = {new_id() for _ in range(1_000)}
    assert len(ids) == 1_000 and all(0 < id < 1 << 64 for id in ids)
    monkeypatch.setattr(os, "urandom", bytes)
    assert new_id() == 1


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("/opt/robot/arm.py", "arm"),
        ("/usr/bin/camera", "camera"),
        ("-c", "python"),
        ("-m", "python"),
        ("", "python"),
        ("a\nb\x1b.py", "a?b?"),
        ("/opt/robot/__main__.py", "robot"),
        ("camera.exe", "camera"),
        (".py", ".py"),
        ("/", "python"),
        ("x" * 100, "x" * 64),
    ],
)
def test_without_a_name_it_is_that_of_the_program(monkeypatch, program, name):
    monkeypatch.setattr(sys, "argv", [program])
    assert check_name(None) == name


def test_without_arguments_at_all_it_is_python(monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    assert check_name(None) == "python"


@pytest.mark.parametrize("name", ["a", "left arm", "é", "x" * 64])
def test_a_printable_name_is_taken_as_it_is(name):
    assert check_name(name) == name


@pytest.mark.parametrize("wrong", ["", "x" * 65, "a\nb", "\x1b[31m", 7, b"arm"])
def test_a_name_that_is_none_is_refused_and_shown(wrong):
    with pytest.raises(ArgumentError, match="printable text of 1 to 64 characters, got") as caught:
        check_name(wrong)
    assert repr(wrong) in str(caught.value)


def test_a_node_says_who_it_is_in_an_entry_that_others_can_read():
    entry = describe("arm", "lab")
    assert (entry.name, entry.domain, entry.pid, entry.version) == ("arm", "lab", os.getpid(), __version__)
    assert unpack_entry(pack_entry(entry)) == entry


@pytest.mark.parametrize(("host", "told"), [("h" * 300, "h" * 255), ("", "localhost")])
def test_a_host_name_is_never_empty_nor_longer_than_others_take(monkeypatch, host, told):
    monkeypatch.setattr("ipcpy.node.identity.host_name", lambda: host)
    entry = describe("arm", "lab")
    assert entry.host == told and unpack_entry(pack_entry(entry)) == entry


@pytest.mark.parametrize(
    "host", ["\udce4", "h\x1b[31mst", "h\nost", "\udce4" * 300, "h" * 200, "r\u200bobot", "café", " "]
)
def test_whatever_the_system_calls_the_host_a_node_can_be_announced(monkeypatch, host):
    monkeypatch.setattr("ipcpy.node.identity.host_name", lambda: host)
    entry = describe("arm", "lab")
    assert unpack_entry(pack_entry(entry)) == entry
    assert entry.host == "".join(char if char.isprintable() else "?" for char in host[:255])


PROGRAM = """
import sys
sys.path.insert(0, {root!r})
from ipcpy.node.identity import check_name
print(check_name(None))
"""


@pytest.fixture
def program(tmp_path):
    """A folder with a package, a module in it and an archive, which print what a node of theirs is called."""
    text = PROGRAM.format(root=str(Path(ipcpy.__file__).parents[1]))
    package = tmp_path / "robot"
    (package / "arm").mkdir(parents=True)
    for file in (package / "__main__.py", package / "camera.py", package / "arm" / "__main__.py"):
        file.write_text(text)
    for folder in (package, package / "arm"):
        (folder / "__init__.py").touch()
    zipapp.create_archive(package, tmp_path / "fleet.pyz")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("-m robot", "robot"),
        ("-m robot.camera", "camera"),
        ("-m robot.arm", "arm"),
        ("robot", "robot"),
        ("robot/", "robot"),
        ("./robot/arm", "arm"),
        ("robot/__main__.py", "robot"),
        ("robot/camera.py", "camera"),
        ("fleet.pyz", "fleet"),
        ("-", "python"),
    ],
)
def test_a_program_is_called_what_its_user_calls_it(program, arguments, name):
    text = PROGRAM.format(root=str(Path(ipcpy.__file__).parents[1]))
    done = subprocess.run(
        [sys.executable, *arguments.split()], cwd=program, input=text, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == name


def test_a_program_that_runs_where_it_is_is_called_like_its_folder(program):
    done = subprocess.run([sys.executable, "."], cwd=program / "robot", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "robot"


def test_a_notebook_has_its_own_name_where_that_is_known(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/lib/python3/ipykernel_launcher.py", "-f", "kernel.json"])
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert check_name(None) == "notebook"
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/me/calibrate arm.ipynb")
    assert check_name(None) == "calibrate arm"


RENAME = """
import os, socket, ipcpy
socket.sethostname(os.fsencode({host!r}))
with ipcpy.Node("eye", interfaces="lo") as node:
    print(ascii(node.nodes()[0].host))
"""


@pytest.mark.parametrize(
    ("host", "told"), [("\udce4", "?"), ("a\x1b[1m", "a?[1m"), ("", "localhost"), ("h" * 64, "h" * 64)]
)
def test_a_node_starts_on_a_host_that_is_called_so(lan, host, told):
    done = lan(1).run(1, [sys.executable, "-c", RENAME.format(host=host)])
    assert done.stdout.strip() == ascii(told)
