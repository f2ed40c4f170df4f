"""Whoever offers memory that cannot be trusted is refused and counted; nothing of it stays, and others go on."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import socket
import sys

import pytest

import ipcpy as ipc
import tools
from attacking import without_key
from forged import (
    AS_ANOTHER_USER,
    ENTRIES,
    REFUSED,
    SEALS,
    TABLE,
    TAKEN,
    Scene,
    Segment,
    close,
    memory,
    name,
    receive,
    send,
)
from lan_process import wait_until
from large import PUBLISHER, SUBSCRIBER, Large, all_let_go, holdings

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="shared memory is for Linux only"),
    pytest.mark.timeout(120),
    without_key,
]
SIZE = 1 << 20


@pytest.fixture
def scene(spawn):
    scene = Scene(spawn)
    yield scene
    scene.close()


def offers(*descriptors, size=SIZE, **changes):
    return lambda forger: forger.answer_to(forger.offer(size, **changes), descriptors)


def sealed(size=SIZE, seals=SEALS, **how):
    def attempt(forger):
        descriptor, _ = memory(size, seals=seals, **how)
        try:
            return forger.answer_to(forger.offer(size), [descriptor])
        finally:
            os.close(descriptor)

    return attempt


def with_memory(count=1, size=SIZE, **changes):
    def attempt(forger):
        descriptors = [memory(SIZE)[0] for _ in range(count)]
        try:
            return forger.answer_to(forger.offer(size, **changes), descriptors)
        finally:
            close(descriptors)

    return attempt


def with_bytes(change):
    def attempt(forger):
        descriptor, _ = memory(SIZE)
        try:
            return forger.answer_to(change(forger.offer(SIZE)), [descriptor])
        finally:
            os.close(descriptor)

    return attempt


def no_memory(opened):
    def attempt(forger):
        descriptors = opened()
        try:
            return forger.answer_to(forger.offer(SIZE), descriptors[:1])
        finally:
            close(descriptors)

    return attempt


def regular_file():
    descriptor = os.open("/dev/shm", os.O_TMPFILE | os.O_RDWR)
    os.posix_fallocate(descriptor, 0, SIZE)
    return [descriptor]


ATTEMPTS = {
    "malformed": {
        "garbage": with_bytes(lambda right: bytes(range(44))),
        "too short": with_bytes(lambda right: right[:-1]),
        "too long": with_bytes(lambda right: right + b"x"),
        "far too long": with_bytes(lambda right: right * 50),
        "another magic": with_memory(magic=b"ipcX"),
        "another version": with_memory(version=2),
        "an answer": with_memory(kind=TAKEN),
        "a refusal": with_memory(kind=REFUSED),
        "no kind": with_memory(kind=77),
        "another table": with_memory(entries=ENTRIES - 1),
        "no table": with_memory(entries=0),
    },
    "malformed memory": {
        "no descriptor": offers(),
        "two descriptors": with_memory(2),
        "200 descriptors": with_memory(200),
        "not the first": with_memory(segment=1),
        "beyond the last": with_memory(segment=16),
        "less than the table": sealed(size=TABLE // 2),
        "empty": sealed(size=0),
        "too large": sealed(size=(1 << 30) + (1 << 20), allocated=0),
        "far too large": sealed(size=1 << 50, allocated=0),
        "says that it has nothing": with_memory(size=0),
        "says that it has all": with_memory(size=(1 << 64) - 1),
    },
    "memory": {
        "not sealed": sealed(seals=0),
        **{f"all seals but {seal}": sealed(seals=SEALS & ~seal) for seal in (0x1, 0x2, 0x4, 0x10)},
        "sparse": sealed(allocated=0),
        "half of it sparse": sealed(allocated=SIZE // 2),
        "smaller than it says": with_memory(size=SIZE + 4_096),
        "larger than it says": with_memory(size=SIZE - 4_096),
        "a pipe": no_memory(lambda: list(os.pipe())),
        "a file": no_memory(regular_file),
        "a folder": no_memory(lambda: [os.open("/", os.O_RDONLY)]),
        "a path": no_memory(lambda: [os.open("/", os.O_PATH)]),
        "a device": no_memory(lambda: [os.open("/dev/zero", os.O_RDWR)]),
    },
    "token": {"another token": with_memory(token=5)},
    "unknown": {"another publisher": with_memory(publisher=5), "another subscriber": with_memory(subscriber=5)},
}


@pytest.mark.parametrize("cause", ATTEMPTS)
def test_what_cannot_be_trusted_is_refused_and_counted(scene, cause):
    for what, attempt in ATTEMPTS[cause].items():
        before = sum(scene.counted().values())
        for _ in range(3):
            assert attempt(scene.forger) in (0, REFUSED), what
        wait_until(lambda before=before: sum(scene.counted().values()) == before + 3)
        assert scene.counted().keys() <= set(cause.split()), what
        all_let_go(scene.victim.pid, scene.before)
    scene.goes_on()


def test_huge_pages_are_refused(scene):
    """Their file system may have no page when one is touched: a SIGBUS."""
    try:
        attempt = sealed(size=1 << 21, flags=os.MFD_HUGETLB, allocated=0)
        assert attempt(scene.forger) in (0, REFUSED)
    except OSError:
        raise tools.Unavailable("this system has no huge pages") from None
    wait_until(lambda: scene.counted() == {"memory": 1})
    scene.goes_on()


def test_what_is_right_is_taken_and_sealed_itself(scene):
    segment = Segment(scene.forger)
    for number in range(5):
        segment.say(number, TABLE + 40_000 * number)
    wait_until(lambda: scene.victim.stats()["topics"]["t/forged"][2] == 5)
    for attack in (
        lambda: os.ftruncate(segment.ledger_descriptor, 0),
        lambda: os.ftruncate(segment.ledger_descriptor, 1 << 20),
        lambda: os.pwrite(segment.ledger_descriptor, b"x", 0),
    ):
        with pytest.raises(PermissionError):
            attack()
    assert fcntl.fcntl(segment.ledger_descriptor, fcntl.F_GET_SEALS) & SEALS == SEALS
    scene.goes_on()
    segment.close()
    scene.victim.ask("hold", 0)
    scene.node.close()
    all_let_go(scene.victim.pid, scene.before)


def test_a_thousand_offers_on_one_connection_are_bounded(scene):
    segment = Segment(scene.forger)
    for number in range(1, 1_001):
        descriptor, _ = memory(TABLE)
        send(segment.connection, scene.forger.offer(TABLE, segment=number % 65_536), [descriptor])
        os.close(descriptor)
    scene.goes_on()
    now = holdings(scene.victim.pid)
    assert now.mappings <= scene.before.mappings + 17 and now.descriptors <= scene.before.descriptors + 40
    segment.close()
    scene.node.close()
    all_let_go(scene.victim.pid, scene.before)


@pytest.mark.parametrize("silent", [True, False])
def test_a_thousand_connections_are_bounded_and_counted(scene, silent):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, hard), hard))
    connections = []
    try:
        descriptor, _ = memory(SIZE)
        for _ in range(1_000):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            connections.append(sock)
            sock.setblocking(False)
            try:
                sock.connect(name(scene.forger.node))
                if not silent:
                    send(sock, scene.forger.offer(SIZE), [descriptor])
            except BlockingIOError:  # its queue is full; it takes them out soon
                select.select([], [], [], 0.001)
        os.close(descriptor)
        scene.goes_on()
        if silent:
            wait_until(lambda: scene.counted().get("crowded", 0) > 0, 10)
        now = holdings(scene.victim.pid)
        assert now.descriptors <= scene.before.descriptors + 400 and now.mappings <= scene.before.mappings + 20
    finally:
        for sock in connections:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    scene.node.close()
    all_let_go(scene.victim.pid, scene.before)
    scene.goes_on()


def test_one_that_connects_and_goes_leaves_nothing(scene):
    descriptor, _ = memory(SIZE)
    for number in range(300):
        with scene.forger.connect() as sock:
            if number % 3 == 0:
                send(sock, scene.forger.offer(SIZE), [descriptor])
            if number % 3 == 1:
                send(sock, b"x")
    os.close(descriptor)
    scene.goes_on()
    scene.node.close()
    all_let_go(scene.victim.pid, scene.before)


def test_whoever_says_something_wrong_later_loses_what_it_had(scene):
    segment = Segment(scene.forger)
    segment.say()
    wait_until(lambda: scene.victim.stats()["topics"]["t/forged"][2] == 1)
    send(segment.connection, b"garbage")
    wait_until(lambda: scene.victim.stats()["dropped"].get("memory") == 1)
    assert receive(segment.connection) == (b"", [])
    scene.victim.ask("hold", 0)
    segment.close()
    scene.node.close()
    scene.node.close()
    all_let_go(scene.victim.pid, scene.before)
    scene.goes_on()


ANOTHER_USER = """
import array, json, os, socket, sys
node, data, size = sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3])
descriptor = os.memfd_create("forged", os.MFD_ALLOW_SEALING)
os.ftruncate(descriptor, size)
os.posix_fallocate(descriptor, 0, size)
import fcntl
fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, 0x17)
os.setgid(65534)
os.setuid(65534)
answers = []
for _ in range(20):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(10)
    sock.connect(chr(0) + "ipcpy/" + node)
    try:
        sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))])
        answers.append(len(sock.recv(100)))
    except (BrokenPipeError, ConnectionResetError):
        answers.append(0)
print(answers, flush=True)
"""


def test_another_user_is_refused_whatever_it_offers(scene, spawn):
    tools.need_root()
    forger = scene.forger
    program = spawn(ANOTHER_USER, forger.node, forger.offer(SIZE).hex(), str(SIZE))
    assert program.succeed(30).strip() == str([0] * 20)
    assert scene.counted() == {"user": 20}
    all_let_go(scene.victim.pid, scene.before)
    scene.goes_on()


@pytest.mark.parametrize("who", ["publisher", "subscriber"])
def test_programs_of_two_users_use_udp(spawn, who):
    tools.need_root()
    subscriber = Large(spawn, AS_ANOTHER_USER + SUBSCRIBER if who == "subscriber" else SUBSCRIBER)
    publisher = Large(spawn, AS_ANOTHER_USER + PUBLISHER if who == "publisher" else PUBLISHER)
    publisher.process.wait_line("matched", 30)
    publisher.ask("publish", 10, answer="published")
    books = subscriber.right(10)
    assert books["lost"] == {} and books["shared"] == 0
    told = publisher.stats()
    assert list(told["shared"].values()) == [0]
    assert {"user"} == books["handovers"].keys() | told["handovers"].keys()


def test_a_name_that_somebody_else_took_leaves_udp(spawn):
    with ipc.Node() as node, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as squatter:
        squatter.bind(name(node.id))
        squatter.listen()
        with ipc.Subscriber("large", ipc.Raw(), node=node) as subscriber:
            publisher = Large(spawn, PUBLISHER)
            publisher.process.wait_line("matched", 30)
            publisher.ask("publish", 5, answer="published")
            assert [subscriber.recv(20).seq for _ in range(5)] == [1, 2, 3, 4, 5]
            assert sum(flow.shared for flow in subscriber.stats.publishers.values()) == 0
