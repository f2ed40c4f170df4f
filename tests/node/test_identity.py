"""Who a node is: ids that are never taken twice, names that can be printed, what it says of itself."""

from __future__ import annotations

import os
import sys

import pytest

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
        ("a\nb\x1b.py", "ab"),
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
