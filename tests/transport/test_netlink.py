"""transport.netlink: messages of the kernel, whole, cut off and refused."""

from __future__ import annotations

import errno
import random
import select
import socket
import struct
import sys
from collections.abc import Callable

import pytest

from ipcpy.transport import netlink

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="netlink is Linux's")

LINK_QUESTION, ADDRESS_QUESTION = 18, 22
ERROR, DONE, NEWLINK, DELLINK, NEWADDR = 2, 3, 16, 17, 20


def message(kind: int, body: bytes = b"", sequence: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, sequence, 0) + body + bytes(-len(body) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def link(index: int, flags: int, *attributes: bytes) -> bytes:
    return message(NEWLINK, struct.pack("=BxHiII", 0, 0, index, flags, 0) + b"".join(attributes), LINK_QUESTION)


def address(index: int, prefix: int, *attributes: bytes) -> bytes:
    return message(NEWADDR, struct.pack("=BBBBI", 2, prefix, 0, 0, index) + b"".join(attributes), ADDRESS_QUESTION)


class Kernel:
    """Stands in for the netlink socket: the answers to each question, datagram by datagram."""

    def __init__(self, *answers: list[bytes]) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self.closed = False

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def settimeout(self, seconds: float) -> None:
        assert 0 < seconds <= 1

    def send(self, question: bytes) -> None:
        self.asked.append(question)

    def recv(self, _: int) -> bytes:
        left = self.answers[len(self.asked) - 1]
        if not left:
            raise TimeoutError
        return left.pop(0)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Kernel]:
    def answers(*each: list[bytes]) -> Kernel:
        kernel = Kernel(*each)
        monkeypatch.setattr(socket, "socket", lambda *_: kernel)
        return kernel

    return answers


def test_the_kernel_lists_loopback() -> None:
    lo = next(each for each in netlink.read_links() if each.flags & netlink.IFF_LOOPBACK)
    assert (lo.name, lo.index, lo.networks) == ("lo", 1, ("127.0.0.1/8",))
    assert lo.mtu >= 1_500


def test_links_get_the_addresses_of_their_index(answers: Callable[..., Kernel]) -> None:
    ends = [message(DONE, bytes(4), LINK_QUESTION)], [message(DONE, bytes(4), ADDRESS_QUESTION)]
    eth0 = link(2, 0x1043, attribute(3, b"eth0\0"), attribute(4, struct.pack("=I", 9_000)), attribute(99, b"?"))
    bare = link(3, 0)
    both = address(2, 24, attribute(1, bytes((10, 0, 0, 1)))) + address(2, 16, attribute(1, bytes((10, 1, 0, 1))))
    tunnel = address(3, 32, attribute(1, bytes((10, 9, 9, 9))), attribute(2, bytes((10, 2, 0, 1))))  # PEER, LOCAL
    kernel = answers([eth0 + bare, *ends[0]], [both, tunnel, *ends[1]])
    assert netlink.read_links() == [
        netlink.Link("eth0", 2, 9_000, 0x1043, ("10.0.0.1/24", "10.1.0.1/16")),
        netlink.Link("?", 3, 1_500, 0, ("10.2.0.1/32",)),
    ]
    assert kernel.closed


def test_the_questions_have_the_bytes_that_rtnetlink_7_says(answers: Callable[..., Kernel]) -> None:
    kernel = answers([message(DONE, bytes(4), LINK_QUESTION)], [message(DONE, bytes(4), ADDRESS_QUESTION)])
    assert netlink.read_links() == []
    request_and_dump = 0x301
    assert kernel.asked == [
        struct.pack("=IHHII", 40, 18, request_and_dump, 18, 0) + bytes(16) + struct.pack("=HHI", 8, 29, 8),
        struct.pack("=IHHII", 24, 22, request_and_dump, 22, 0) + bytes((socket.AF_INET, 0, 0, 0)) + bytes(4),
    ]


def test_answers_to_another_question_are_passed_over(answers: Callable[..., Kernel]) -> None:
    stale = message(ERROR, struct.pack("=i", -errno.EPERM), 7) + message(DONE, bytes(4), 7)
    answers([stale, message(DONE, bytes(4), LINK_QUESTION)], [message(DONE, bytes(4), ADDRESS_QUESTION)])
    assert netlink.read_links() == []


@pytest.mark.parametrize(
    "answer",
    [
        message(ERROR, struct.pack("=i", -errno.EPERM), LINK_QUESTION),
        message(ERROR, b"", LINK_QUESTION),
        message(NEWLINK, b"short", LINK_QUESTION) + message(DONE, bytes(4), LINK_QUESTION),
        b"",
        bytes(40),
    ],
    ids=["refused", "no code", "short row", "empty", "zeros"],
)
def test_a_kernel_that_refuses_or_talks_nonsense_raises_what_callers_catch(
    answers: Callable[..., Kernel], answer: bytes
) -> None:
    kernel = answers([answer], [message(DONE, bytes(4), ADDRESS_QUESTION)])
    with pytest.raises((OSError, struct.error)):
        netlink.read_links()
    assert kernel.closed


def test_a_refusal_has_the_kernel_s_errno(answers: Callable[..., Kernel]) -> None:
    answers([message(ERROR, struct.pack("=i", -errno.EPERM), LINK_QUESTION)])
    with pytest.raises(PermissionError):
        netlink.read_links()


@pytest.mark.parametrize("packed", [(), (attribute(1, b"abc"),)], ids=["none", "three bytes"])
def test_an_address_that_is_none_raises_what_callers_catch(
    answers: Callable[..., Kernel], packed: tuple[bytes, ...]
) -> None:
    answers(
        [message(DONE, bytes(4), LINK_QUESTION)], [address(2, 24, *packed), message(DONE, bytes(4), ADDRESS_QUESTION)]
    )
    with pytest.raises(OSError):
        netlink.read_links()


# -- messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(0, 40))
def test_cut_off_answers_end_quietly(size: int) -> None:
    message = struct.pack("=IHHII", 32, 16, 0, 1, 0) + bytes(16)
    assert len(list(netlink.messages((message + message)[:size]))) <= 2
    assert list(netlink.messages(bytes(size))) == []
    assert netlink.attributes(bytes(size), 0) == {}


def test_messages_and_attributes_are_found_behind_their_padding() -> None:
    data = message(NEWLINK, b"abcde", 1) + message(NEWADDR, b"", 2)
    assert list(netlink.messages(data)) == [(NEWLINK, 1, b"abcde"), (NEWADDR, 2, b"")]
    body = b"head" + attribute(3, b"lo\0") + attribute(4, b"1234")
    assert netlink.attributes(body, 4) == {3: b"lo\0", 4: b"1234"}


def test_random_bytes_end() -> None:
    dice = random.Random(1)
    for _ in range(2_000):
        data = dice.randbytes(dice.randrange(200))
        assert len(list(netlink.messages(data))) <= len(data) // 16 + 1
        assert len(netlink.attributes(data, 0)) <= len(data) // 4 + 1


# -- changes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "tells"),
    [
        (b"", False),
        (message(DONE), False),
        (message(LINK_QUESTION), False),
        (message(DELLINK), True),
        (message(DONE) + message(NEWADDR), True),
        (message(NEWADDR)[:15], False),
    ],
)
def test_links_addresses_and_routes_that_come_and_go_are_changes(data: bytes, tells: bool) -> None:
    assert netlink.tells_of_change(data) == tells
    assert {kind for kind in range(100) if netlink.tells_of_change(message(kind))} == {16, 17, 20, 21, 24, 25}


def test_a_socket_for_changes_does_not_wait() -> None:
    with netlink.open_changes() as kernel:
        assert not kernel.getblocking()
        assert kernel.getsockname()[1] == 0x1 | 0x10 | 0x40  # linux/rtnetlink.h
        assert select.select([kernel], [], [], 0) is not None


def test_a_refused_subscription_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    class Refusing:
        def bind(self, _: object) -> None:
            raise PermissionError(errno.EPERM, "")

        def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr(socket, "socket", lambda *_: Refusing())
    with pytest.raises(PermissionError):
        netlink.open_changes()
    assert closed == [True]
