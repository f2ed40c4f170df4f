"""discovery.check: the question that the doctor asks, and whether zeroconf is there."""

from __future__ import annotations

import importlib.metadata
import sys

import pytest

from ipcpy.discovery.advert import SERVICE_TYPE
from ipcpy.discovery.check import question, zeroconf_error, zeroconf_version

zeroconf = pytest.importorskip("zeroconf")


def test_the_question_asks_for_nodes_and_carries_its_number() -> None:
    data = question(0x1234)
    message = zeroconf.DNSIncoming(data)
    assert data[:2] == b"\x12\x34"
    assert message.valid and message.is_query()
    asked = [(each.name, each.type, each.class_) for each in message.questions]
    assert asked == [(SERVICE_TYPE, 12, 1)]  # PTR, IN


def test_the_bytes_of_the_question_are_these() -> None:
    head = bytes.fromhex("0001 0000 0001 0000 0000 0000")
    assert question(1) == head + b"\x06_ipcpy\x04_udp\x05local\x00\x00\x0c\x00\x01"


def test_the_version_is_the_one_that_is_installed() -> None:
    assert zeroconf_version() == zeroconf.__version__


def test_without_zeroconf_there_is_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert zeroconf_version() is None


def test_why_zeroconf_cannot_be_imported_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert zeroconf_error() == ""
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    assert zeroconf_error().startswith("ModuleNotFoundError: ")
