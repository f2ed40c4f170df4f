"""transport.hostnames: what cannot be resolved is no error."""

from __future__ import annotations

import socket

import pytest

from ipcpy.transport.hostnames import host_name, plain, resolve


def test_an_address_is_its_own_name() -> None:
    assert resolve("127.0.0.1") == ["127.0.0.1"]


def test_localhost_is_this_host() -> None:
    assert all(address.startswith("127.") for address in resolve("localhost"))


def test_all_ipv4_addresses_of_a_name_are_returned_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def answer(*question: object) -> list[tuple[object, ...]]:
        asked.extend(question)
        kind = (socket.AF_INET, socket.SOCK_DGRAM, 17, "")
        return [(*kind, ("10.0.0.7", 0)), (*kind, ("10.0.0.2", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert resolve("robot.local") == ["10.0.0.7", "10.0.0.2"]
    assert asked == ["robot.local", None, socket.AF_INET, socket.SOCK_DGRAM]


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_AGAIN, "try again"), OSError(24, "too many files")])
def test_a_name_that_cannot_be_resolved_now_has_no_addresses(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert resolve("robot.local") == []


def test_host_name_is_what_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "arm")
    assert host_name() == "arm"


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".local", ".", "a\0b", "\udce4"])
def test_a_text_that_no_name_can_be_has_no_addresses(name: str) -> None:
    """The system's resolver raises UnicodeError or ValueError for them."""
    assert resolve(name) == []


@pytest.mark.parametrize(("told", "shown"), [("r\udce4bot", "r?bot"), ("a\x1b[2Jb", "a?[2Jb"), ("", "localhost")])
def test_a_host_name_of_any_bytes_can_be_shown(monkeypatch: pytest.MonkeyPatch, told: str, shown: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: told)
    assert host_name() == shown


@pytest.mark.parametrize("error", [OSError(38, "no"), UnicodeDecodeError("utf-8", b"\xe4", 0, 1, "no")])
def test_a_host_that_does_not_tell_its_name_is_localhost(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse() -> str:
        raise error

    monkeypatch.setattr(socket, "gethostname", refuse)
    assert host_name() == "localhost"


def test_plain_names_stay_as_they_are() -> None:
    assert plain("eth0") == "eth0" and plain("R\u00f6bot 7") == "R\u00f6bot 7"
