"""transport.probes: what this system allows is found out without an error, also where it tells little."""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipcpy.errors import TransportError
from ipcpy.facts import Trial
from ipcpy.transport import probes
from ipcpy.transport.data import DataSocket
from ipcpy.transport.group import GroupSocket
from ipcpy.transport.interfaces import LO, list_interfaces

HOST = "127.0.0.1"
GROUP = "239.255.77.71"
NO_INTERFACE = 2**31 - 1

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's")


def no_descriptor(*_: object, **__: object) -> socket.socket:
    raise TransportError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.fixture
def port() -> int:
    """One that nobody has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", 0))
        return int(sock.getsockname()[1])


# -- settings of the system ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "found"), [("212992\n", 212_992), ("", None), ("many\n", None), (None, None)])
def test_the_largest_receive_buffer_is_read_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, found: int | None
) -> None:
    monkeypatch.setattr(probes, "RMEM_MAX", tmp_path / "rmem_max")
    if text is not None:
        (tmp_path / "rmem_max").write_text(text)
    assert probes.rmem_max() == found


def test_the_buffer_got_is_that_of_a_subscriber(monkeypatch: pytest.MonkeyPatch) -> None:
    sock = DataSocket(HOST)
    assert probes.buffer_got() == sock.capacity > 0
    sock.close()
    monkeypatch.setattr(probes, "DataSocket", no_descriptor)
    assert probes.buffer_got() is None


@linux
@pytest.mark.parametrize("has", [probes.has_gso, probes.has_gro])
def test_offload_is_there_or_not_or_cannot_be_found_out(has, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket
    with real(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        number = {probes.has_gso: 103, probes.has_gro: 104}[has]
        try:
            sock.setsockopt(17, number, 1)
            expected = True
        except OSError:
            expected = False
    assert has() is expected

    class Old(real):
        def setsockopt(self, *_: object) -> None:
            raise OSError(errno.ENOPROTOOPT, "")

    monkeypatch.setattr(socket, "socket", Old)
    assert has() is False
    monkeypatch.setattr(socket, "socket", no_descriptor)
    assert has() is None
    monkeypatch.setattr(probes.sys, "platform", "plan9")
    assert has() is None


def test_limits_of_descriptors_are_told_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "win32":
        import resource

        assert probes.file_limits() == resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setitem(sys.modules, "resource", None)
    assert probes.file_limits() is None


# -- ports -----------------------------------------------------------------------------------------------------------


def test_ports_that_are_taken_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = DataSocket(HOST), DataSocket(HOST)
    assert probes.ports_taken(HOST, (one.port, other.port)) == 2
    other.close()
    assert probes.ports_taken(HOST, (one.port, other.port)) == 1
    one.close()
    assert probes.ports_taken(HOST, ()) == 0
    monkeypatch.setattr(socket, "socket", no_descriptor)
    assert probes.ports_taken(HOST, (one.port,)) is None


def test_a_port_that_nobody_has_works_alone(port: int) -> None:
    assert probes.try_port(GROUP, port) == Trial("works", shared=False)


def test_a_port_that_is_shared_works(port: int) -> None:
    sharing = GroupSocket(GROUP, port)
    assert probes.try_port(GROUP, port) == Trial("works", shared=True)
    sharing.close()


def test_a_port_that_somebody_has_alone_is_taken(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as alone:
        alone.bind(("", port))
        trial = probes.try_port(GROUP, port)
    assert trial.result == "taken"
    assert f"cannot share UDP port {port}" in trial.reason


@pytest.mark.parametrize("error", [TransportError(errno.EMFILE, "Too many"), OSError(errno.ENODEV, "Too many")])
def test_any_other_trouble_with_a_port_is_a_refusal(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(probes, "GroupSocket", refuse)
    trial = probes.try_port(GROUP, 9)
    assert trial.result == "refused" and "Too many" in trial.reason


# -- multicast -------------------------------------------------------------------------------------------------------


@pytest.fixture
def multicast(port: int) -> Iterator[probes.Multicast]:
    lo = next(each.index for each in list_interfaces() if each.loopback)
    one = probes.Multicast((GROUP, port), lo, HOST)
    yield one
    one.close()


def wait_for(multicast: probes.Multicast) -> None:
    assert select.select(multicast.files, [], [], 10)[0]


def test_multicast_that_works_is_heard_again(multicast: probes.Multicast) -> None:
    assert multicast.trial == Trial()
    multicast.send(b"hello")
    assert multicast.trial == Trial("not heard")
    wait_for(multicast)
    assert multicast.read() == ([], [])  # our own is not what others sent
    assert multicast.trial == Trial("works")
    multicast.send(b"again")
    assert multicast.trial == Trial("works")


def test_what_others_send_and_answer_is_returned_with_its_source(multicast: probes.Multicast, port: int) -> None:
    other = probes.Multicast((GROUP, port), LO.index, HOST)
    for data in (b"one", b"two"):
        other.send(data)
    wait_for(multicast)
    heard, answers = multicast.read()
    source = heard[0][1]
    assert (heard, answers) == ([(b"one", source), (b"two", source)], [])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.sendto(b"an answer", source)
        wait_for(other)
        assert other.read()[1] == [(b"an answer", sock.getsockname())]
    other.close()
    assert multicast.trial == Trial()


def test_multicast_from_an_address_that_is_not_ours_is_refused(port: int) -> None:
    sock = probes.Multicast((GROUP, port), LO.index, "192.0.2.1")
    sock.send(b"hello")
    assert (sock.trial.result, sock.read()) == ("refused", ([], []))
    sock.close()
    sock.close()


def test_an_interface_that_takes_no_membership_is_not_joined(port: int) -> None:
    sock = probes.Multicast((GROUP, port), NO_INTERFACE, HOST)
    sock.send(b"hello")
    assert (sock.trial.result, sock.read(), len(sock.files)) == ("not joined", ([], []), 1)
    sock.close()


def test_a_port_that_somebody_has_alone_takes_no_multicast(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as alone:
        alone.bind(("", port))
        sock = probes.Multicast((GROUP, port), LO.index, HOST)
        assert (sock.trial.result, sock.files) == ("taken", [])
        sock.close()


def test_what_cannot_be_sent_is_told_until_something_can(multicast: probes.Multicast) -> None:
    multicast.send(bytes(70_000))
    assert multicast.trial == Trial("not sent", os.strerror(errno.EMSGSIZE))
    multicast.send(b"hello")
    assert multicast.trial == Trial("not heard")
    wait_for(multicast)
    multicast.read()
    multicast.send(bytes(70_000))
    assert multicast.trial == Trial("works")
