from __future__ import annotations

import select
import socket
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from ipcpy import timeouts
from ipcpy.codec.library import MsgLibrary
from ipcpy.codec.stream import get_msg
from ipcpy.errors import ArgumentError, ClosedError, TransportError
from ipcpy.transport import socketudp as module
from ipcpy.transport.socketudp import SocketUDP, get_ip

HOST = "127.0.0.1"
Make = Callable[..., SocketUDP]


@pytest.fixture
def bound() -> Iterator[Make]:
    with ExitStack() as stack:

        def make(timeout: float = 20.0, host: str = HOST) -> SocketUDP:
            sock = stack.enter_context(SocketUDP())
            sock.bind(host, timeout=timeout)
            return sock

        yield make


@pytest.fixture
def listener(bound: Make) -> Iterator[SocketUDP]:
    """A socket that listens in a thread."""
    sock = bound(0.02)
    stop = threading.Event()

    def listen() -> None:
        while not stop.is_set():
            sock.listen()

    thread = threading.Thread(target=listen)
    thread.start()
    yield sock
    stop.set()
    thread.join(20)


def address_of(sock: SocketUDP) -> tuple[str, int]:
    assert sock.bind_addr
    return sock.bind_addr


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.001)


def test_the_example_of_the_original_readme(capsys: pytest.CaptureFixture[str]) -> None:
    """As printed in the README of 0.1.1, with its constants filled in, its waits shortened and its prints collected."""
    ipc = SimpleNamespace(SocketUDP=SocketUDP, get_msg=get_msg)
    TIMEOUT, PORT, MSG_SIZE, MSG_ID_INT = 0.2, free_port(), 1024, 22
    Msg = namedtuple("Msg", "a b c")
    d = {22: ("i", int), 23: ("iii", Msg)}
    msglib = MsgLibrary(d)
    run = threading.Event()
    ready = threading.Event()
    got: list[object] = []

    def client() -> None:
        s = ipc.SocketUDP()
        s.open(TIMEOUT)
        for i in range(10):
            pkt = msglib.pack(MSG_ID_INT, [i])
            s.sendto(pkt, (HOST, PORT))
        s.close()

    def server() -> None:
        s = ipc.SocketUDP()
        s.bind(HOST, PORT, TIMEOUT)
        ready.set()
        while not run.is_set() and len(got) < 10:
            data, _address = s.recvfrom(MSG_SIZE)
            if data is not None:
                id, info = ipc.get_msg(data)
                got.append(msglib.unpack(id, info) if id is not None else info)
        s.close()

    threads = [threading.Thread(target=server)]
    threads[0].start()
    assert ready.wait(20)
    threads.append(threading.Thread(target=client))
    threads[1].start()
    threads[1].join(20)
    threads[0].join(20)
    run.set()
    assert got == list(range(10))
    assert capsys.readouterr() == ("", "")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


def test_send_and_receive(bound: Make) -> None:
    receiver, sender = bound(), bound()
    for data in (b"", b"hello", bytearray(b"abc"), memoryview(b"abc"), bytes(65_507)):
        assert sender.sendto(data, address_of(receiver)) == len(data)
        assert receiver.recvfrom(65_535) == (bytes(data), sender.bind_addr)


def test_too_large(bound: Make) -> None:
    sender = bound()
    with pytest.raises(ArgumentError, match="at most 65507 bytes, got 65508"):
        sender.sendto(bytes(65_508), address_of(sender))


def test_timeout(bound: Make) -> None:
    assert bound(0.01).recvfrom(10) == (None, None)
    assert bound(0).recvfrom(10) == (None, None)


def test_the_program_s_default_timeout_is_not_its_own() -> None:
    socket.setdefaulttimeout(0.01)
    try:
        with SocketUDP() as sock:
            sock.open()
            assert sock.sock is not None and sock.sock.gettimeout() is None
    finally:
        socket.setdefaulttimeout(None)


def test_it_waits_in_pieces_where_ctrl_c_ends_no_wait(bound: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "PIECE", 0.001)
    monkeypatch.setattr(module, "PIECE", 0.001)
    waits: list[float] = []
    real = select.select
    monkeypatch.setattr(
        module.select, "select", lambda r, w, x, seconds: waits.append(seconds) or real(r, w, x, seconds)
    )
    assert bound(0.02).recvfrom(10) == (None, None)
    receiver, sender = bound(), bound()
    threading.Timer(0.02, sender.sendto, (b"late", address_of(receiver))).start()
    assert receiver.recvfrom(10) == (b"late", sender.bind_addr)
    assert len(waits) > 2 and max(waits) <= 0.001


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".local", "a\0b", "\udce4"])
def test_a_text_that_can_be_no_host_is_refused_everywhere(host: str) -> None:
    """The system's resolver raises UnicodeError or ValueError for them."""
    refused = (ArgumentError, TransportError)  # some texts go to the resolver, which says that there is no such name
    sock = SocketUDP()
    with pytest.raises(refused, match="cannot bind to"):
        sock.bind(host)
    with sock:
        sock.open()
        with pytest.raises(refused, match="cannot send"):
            sock.sendto(b"", (host, 9))
        for call in (sock.subscribe, sock.unsubscribe):
            with pytest.raises(refused, match="no such address"):
                call((host, 9))


def test_instances_share_nothing(bound: Make) -> None:
    one, other = bound(), bound()
    one.connections.add((HOST, 1))
    assert other.connections == set()
    assert one.bind_addr != other.bind_addr


def test_life(bound: Make) -> None:
    sock = SocketUDP()
    for call in (
        lambda: sock.recvfrom(1),
        lambda: sock.sendto(b"", (HOST, 1)),
        lambda: sock.sendtoall(b""),
        sock.listen,
    ):
        with pytest.raises(ClosedError, match=r"call open\(\) or bind\(\)"):
            call()
    sock.close()
    sock.open(0.01)
    sock.open()
    sock.bind(HOST)
    assert sock.recvfrom(1) == (None, None)  # the timeout of open() is kept
    with pytest.raises(ArgumentError, match="already bound to 127"):
        sock.bind(HOST)
    sock.close()
    sock.close()
    sock.bind(HOST)
    sock.close()


def test_wrong_addresses(bound: Make) -> None:
    sock = SocketUDP()
    taken = address_of(bound())
    with pytest.raises(TransportError, match="cannot bind to"):
        sock.bind(*taken)
    with pytest.raises(TransportError, match="cannot bind to"):
        sock.bind("192.0.2.1")
    with pytest.raises(ArgumentError):
        sock.bind(HOST, 70_000)
    sock.bind(HOST)
    for address in ((HOST, 70_000), HOST, None, (HOST, "1")):
        with pytest.raises(ArgumentError):
            sock.sendto(b"", address)  # type: ignore[arg-type]
    for address in (None, 5, ()):
        with pytest.raises(ArgumentError):
            sock.subscribe(address)  # type: ignore[arg-type]
    sock.close()


def test_subscription(listener: SocketUDP, bound: Make, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = bound(), bound()
    assert listener.sendtoall(b"nobody") == 0
    for sock in (one, other, one):
        assert sock.subscribe(address_of(listener))
    assert listener.connections == {one.bind_addr, other.bind_addr}
    assert listener.sendtoall(b"data") == 2
    assert one.recvfrom(10) == other.recvfrom(10) == (b"data", listener.bind_addr)
    assert one.unsubscribe(address_of(listener))
    assert listener.connections == {other.bind_addr}
    assert capsys.readouterr() == ("", "")


def test_data_between_the_answers_are_kept(listener: SocketUDP, bound: Make) -> None:
    sock, third = bound(), bound()
    third.sendto(b"x", address_of(sock))  # from elsewhere: no answer, but data
    assert sock.subscribe(address_of(listener))
    assert sock.recvfrom(10) == (b"x", third.bind_addr)
    sock.sendto(b"not a subscription", address_of(listener))
    wait_until(lambda: len(listener._kept) == 1)
    assert listener.recvfrom(3) == (b"not", sock.bind_addr)


def test_nobody_listens(bound: Make) -> None:
    sock = bound(0.05)
    assert not sock.subscribe((HOST, free_port()))
    assert not sock.unsubscribe((HOST, free_port()))


def test_the_single_byte_of_2026_8_4_1(listener: SocketUDP, bound: Make) -> None:
    old = bound()
    for ask, answer, connections in ((b"+", b"x", {old.bind_addr}), (b"-", b"/", set())):
        old.sendto(ask, address_of(listener))
        assert old.recvfrom(1)[0] == answer
        assert listener.connections == connections


def test_our_subscription_to_a_listener_of_2026_8_4_1(bound: Make) -> None:
    old, sock = bound(), bound()

    def listen() -> None:
        for ask, answer in ((b"+", b"x"), (b"-", b"/")):
            data, address = old.recvfrom(1)
            assert data == ask
            assert address
            old.sendto(answer, address)

    thread = threading.Thread(target=listen)
    thread.start()
    assert sock.subscribe(address_of(old))
    assert sock.unsubscribe(address_of(old))
    thread.join(20)


@pytest.mark.parametrize("forged", [b"+", b"-", b"+" + bytes(8), b"+12345678", b"-12345678"])
def test_a_forged_subscription_changes_nothing(forged: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another host: no datagram but a challenge, which is no longer than what was sent."""
    victim, member = ("192.0.2.1", 9), ("192.0.2.2", 9)
    sock, sent = SocketUDP(), []
    sock.connections.add(member)
    monkeypatch.setattr(sock, "_recv", lambda _size: (forged, victim if forged[:1] == b"+" else member))
    monkeypatch.setattr(sock, "sendto", lambda data, address: sent.append(data))
    assert not sock.listen()
    assert sock.connections == {member}
    assert sum(map(len, sent)) <= len(forged)


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    sock = SocketUDP()
    monkeypatch.setattr(sock, "sendto", lambda data, address: len(data))
    for port in range(1, 2000):
        monkeypatch.setattr(sock, "_recv", lambda _size, port=port: (b"+", (HOST, port)))
        sock.listen()
    assert len(sock.connections) == 1024


def test_sendtoall_goes_on_after_one_that_fails(bound: Make) -> None:
    sender, receiver = bound(), bound()
    sender.connections |= {("255.255.255.255", 9), address_of(receiver)}  # broadcast is refused without SO_BROADCAST
    assert sender.sendtoall(b"data") == 1
    assert receiver.recvfrom(10)[0] == b"data"


def test_get_ip() -> None:
    assert socket.inet_aton(get_ip())


@pytest.mark.parametrize("timeout", [float("nan"), "soon", []])
def test_a_timeout_that_is_no_number_is_refused_before_there_is_a_socket(timeout) -> None:
    sock = SocketUDP()
    with pytest.raises(ArgumentError, match="timeout is a time in seconds"):
        sock.open(timeout)
    assert sock.sock is None


@pytest.mark.parametrize(("timeout", "waits"), [(float("inf"), None), (1e9, None), (-1, 0.0), (0.5, 0.5)])
def test_a_timeout_means_what_it_means_everywhere(timeout, waits) -> None:
    sock = SocketUDP()
    sock.open(timeout)
    assert sock.sock is not None and sock.sock.gettimeout() == waits
    sock.close()
