"""Runs of fragments, sealed and sent in C, are what Python makes of them one by one."""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from gathered import outgoing
from ipcpy.fast import COMPILED
from ipcpy.protocol.wire import UNCHECKED
from ipcpy.sealing.datagram import COUNT_BITS, HEAD
from ipcpy.sealing.keys import ALGORITHMS
from ipcpy.sealing.seal import Seal
from ipcpy.sealing.sealer import Sealer
from sealing import keyring

in_c = pytest.mark.skipif(not COMPILED, reason="the compiled part is not there")
HOST, PORT = "127.0.0.1", 7_000


def apart(data: bytes) -> list[bytes]:
    """Return the datagrams that lie end to end."""
    found, at = [], 0
    while at < len(data):
        length = HEAD.unpack_from(data, at)[0]
        found.append(data[at : at + length])
        at += length
    return found


def number_of(datagram: bytes) -> int:
    return int(HEAD.unpack_from(datagram)[2])


# -- sent --------------------------------------------------------------------------------------------------------------


def twins(algorithm: str) -> tuple[Sealer, Sealer]:
    """Return two that seal the same to the same bytes."""
    session = bytes(range(12))
    one, other = (Seal(keyring(algorithm=algorithm), lambda: 1.0, lambda size: session[:1] * size) for _ in range(2))
    return one.sealer(PORT), other.sealer(PORT)


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two sockets, the first connected to the second."""
    with (
        closing(socket.socket(type=socket.SOCK_DGRAM)) as ours,
        closing(socket.socket(type=socket.SOCK_DGRAM)) as theirs,
    ):
        theirs.bind((HOST, 0))
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        theirs.settimeout(10)
        ours.connect(theirs.getsockname())
        yield ours, theirs


@in_c
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("codec", [0, UNCHECKED])
@pytest.mark.parametrize(
    ("size", "count", "rest"), [(1_376, 60, 5), (1_376, 1, 0), (9_001, 7, 100), (60_000, 3, 1), (1, 70, 0)]
)
def test_a_run_is_sent_as_the_sealed_datagrams_of_its_fragments(line, algorithm, codec, size, count, rest):
    quick, slow = twins(algorithm)
    message = outgoing(random.Random(1), 1, count * size + rest, size, codec)
    for first, stop in ((0, message.count), (message.count - 1, message.count), (0, count)):
        assert quick.send_run(line[0].fileno(), message.heads.common, first, message.stretch(first, stop))
        for each in slow.seal_run(message.fragments(range(first, stop))):
            assert line[1].recv(65_536) == each


@in_c
def test_what_cannot_be_sealed_in_a_run_is_not_and_numbers_end_where_they_end(line):
    sealer, _ = twins(ALGORITHMS[0])
    message = outgoing(random.Random(1), 1, 30_000, 100, UNCHECKED)
    send = (line[0].fileno(), message.heads.common, 0, message.parts[0])
    usual = sealer._stream.numbers
    sealer._stream.numbers = iter(range(1_000))
    assert not sealer.send_run(*send), "numbers of another kind"
    sealer._stream.numbers, sealer._stream.last = usual, 64 + 63
    assert not sealer.send_run(*send), "a stream that ends in the midst"
    numbers = [number_of(line[1].recv(65_536)) for _ in range(64)]
    assert numbers == [*range(1, 65)]
    assert number_of(sealer.seal(b"")) == 1 << COUNT_BITS | 1, "the next stream"
    sealer._seal.end()
    assert not sealer.send_run(*send), "a life that has ended"
    sealer.close()
    assert not sealer.send_run(*send), "a socket that is closed"
    line[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        line[1].recv(1)
    with pytest.raises(ValueError, match="no fragments"):
        twins(ALGORITHMS[0])[0].send_run(line[0].fileno(), message.heads.common, 0, bytes(99))
    with pytest.raises(OSError):
        twins(ALGORITHMS[0])[0].send_run(-1, *send[1:])


@in_c
def test_threads_that_seal_meanwhile_use_no_number_twice(line):
    sealer, _ = twins(ALGORITHMS[0])
    message = outgoing(random.Random(1), 1, 100_000, 1_000, UNCHECKED)
    seen: list[int] = []
    runs = [
        threading.Thread(target=sealer.send_run, args=(line[0].fileno(), message.heads.common, 0, message.parts[0]))
        for _ in range(4)
    ]
    for each in runs:
        each.start()
    ours = [number_of(sealer.seal(b"small")) for _ in range(300)]
    for each in runs:
        each.join()
    seen = [number_of(line[1].recv(65_536)) for _ in range(400)]
    assert sorted(ours + seen) == [*range(1, 701)]


@in_c
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_that_a_signal_handler_forks_amid_a_run_does_not_go_on_with_its_parents_numbers(wait_until):
    sealer, _ = twins(ALGORITHMS[0])
    message = outgoing(random.Random(1), 1, 4_000_000, 1_000, UNCHECKED)
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # it blocks, and does not cut
    main, forked, came = threading.main_thread().ident, [], []

    def fork(*_: object) -> None:
        forked.append(os.fork())

    def drain() -> None:
        wait_until(lambda: not select.select([], [ours], [], 0)[1])  # the sender cannot go on
        signal.pthread_kill(main, signal.SIGUSR1)
        wait_until(lambda: bool(forked))
        with suppress(TimeoutError):
            while len(came) < 4_000:
                came.extend(map(number_of, apart(theirs.recv(1 << 17))))

    theirs.settimeout(10)
    thread, before = threading.Thread(target=drain), signal.signal(signal.SIGUSR1, fork)
    thread.start()
    done = None
    try:
        done = sealer.send_run(ours.fileno(), message.heads.common, 0, message.parts[0])
    finally:
        if 0 in forked:
            os._exit(3 if done is not False else 0)
        signal.signal(signal.SIGUSR1, before)
    thread.join(30)
    with theirs, ours:
        assert done and os.waitstatus_to_exitcode(os.waitpid(forked[0], 0)[1]) == 0
        assert len(came) == len(set(came)) == 4_000
