"""Runs of fragments, sealed and sent, received and opened in C, do what Python does with them one by one."""

from __future__ import annotations

import os
import random
import resource
import select
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways import state_of
from gathered import PORT, Gathered, SealedPair, damaged, merged, outgoing, sent_as
from ipcpy.fast import COMPILED
from ipcpy.protocol.wire import UNCHECKED
from ipcpy.sealing.datagram import COUNT_BITS, HEAD, OVERHEAD
from ipcpy.sealing.keys import ALGORITHMS
from ipcpy.sealing.seal import Seal
from ipcpy.sealing.sealer import Sealer
from ipcpy.sealing.sessions import GONE, Session
from sealing import keyring, meet

in_c = pytest.mark.skipif(not COMPILED, reason="the compiled part is not there")
HOST = "127.0.0.1"


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
    sealer._stream.numbers = usual
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, limits[1]))
    try:
        assert not sealer.send_run(*send), "no number for the socket that is never another file's"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    sealer._stream.last = 64 + 63
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


# -- received ----------------------------------------------------------------------------------------------------------

MESSAGES = st.tuples(
    st.sampled_from([1, 1, 1, 1, 2, 0]),  # how many numbers further
    st.sampled_from([50_000, 50_000, 50_000, 8, 1_376, 70_001]),  # bytes
    st.sampled_from([1_376, 1_376, 512, 9_001, 20_000]),  # of a fragment
    st.sampled_from([1, 5, 44, 64]),  # fragments in a call
    st.sampled_from(["whole", "whole", "spoiled", "empty", "poll"]),
    st.integers(0, 3),  # messages that are held
)


class Lives:
    """Two publishers' nodes, and two subscribers' that hear both: one is read in C, the other is not."""

    def __init__(self) -> None:
        self.one, self.intruder, fast, pure = (Seal(keyring(), lambda: 1.0) for _ in range(4))
        for subscriber, publisher in product((fast, pure), (self.one, self.intruder)):
            meet(publisher, subscriber)
        self.sockets = SealedPair(fast, compiled=True), SealedPair(pure, compiled=False)
        self.sealer = self.one.sealer(PORT)
        self.links = self.sealer._stream.last >> COUNT_BITS  # the streams before that are those of links

    def seal(self, data: bytes, datagram: int, sealer: Sealer | None = None) -> bytes:
        """Seal what is merged, a datagram at a time, and merge it again."""
        parts = [(data[at : at + datagram],) for at in range(0, len(data), datagram)]
        return b"".join((sealer or self.sealer).seal_run(parts))

    def on_path(self, random_: random.Random, data: bytes, datagram: int, before: list[bytes]) -> list[bytes]:
        """Return what somebody makes of merged datagrams on their way."""
        length, count = datagram + OVERHEAD, -(-len(data) // (datagram + OVERHEAD))
        at = random_.randrange(count) * length
        match random_.randrange(12):
            case 0:
                return [damaged(random_, data)]
            case 1:
                return [data, random_.choice(before)]
            case 2:
                return [data[:at] + data[:length] + data[at + length :]]  # one in it comes twice
            case 3:
                return [data[:at] + self.seal(bytes(datagram), datagram, self.intruder.sealer(PORT)) + data[at:]]
            case 4:
                return [data[: -random_.randrange(1, 60)]]
            case 5:
                return [data[:at] + data[at + length :]]
            case 6:
                return [random_.randbytes(random_.randrange(100)), data]
            case 7:
                return [data[at:], data[:at]]
        return [data]

    def books(self) -> list[object]:
        """Return what each of the two has refused, and which numbers it knows of what is no link."""
        found: list[object] = []
        for socket_ in self.sockets:
            sessions = socket_.opener._sessions.known.items()
            windows = {
                (name, stream): (window.highest, window._gaps)
                for name, session in sessions
                for stream, window in session.windows.items()
                if stream >= self.links
            }
            found.append((socket_.opener.refused, windows))
        return found

    def __enter__(self) -> list[Gathered]:
        self.gathered = [Gathered(compiled=False, socket=socket) for socket in self.sockets]
        return self.gathered

    def __exit__(self, *_: object) -> None:
        for each in self.sockets:
            each.close()


@settings(deadline=None, max_examples=80)
@given(st.lists(MESSAGES, min_size=1, max_size=8), st.integers(0, 1 << 30), st.booleans())
def test_what_is_sealed_is_received_the_same_in_c_and_in_python(steps, seed, hostile):
    random_ = random.Random(seed)
    seq, lives = 0, Lives()
    with lives as (fast, pure):
        before: list[bytes] = []
        for further, total, size, per_call, how, hold in steps:
            seq = max(1, seq + further)
            message = outgoing(random_, seq, total, size, UNCHECKED)
            fitting = min(per_call, 65_507 // (message.datagram + OVERHEAD))
            for plain in sent_as(random_, message, fitting, how):
                sealed = lives.seal(plain, message.datagram)
                before.append(sealed)
                come = lives.on_path(random_, sealed, message.datagram, before) if hostile and sealed else [sealed]
                for each in (fast, pure):
                    each.take([data[:65_507] for data in come], hold)
            for each in (fast, pure):
                each.side.now += 0.01
            assert fast.seen == pure.seen and fast.held == pure.held
            assert state_of(fast.side) == state_of(pure.side)
        first, second = lives.books()
        assert first == second


class Filling:
    """A subscriber's thread that receives the fragments of a message, all that are due, in C."""

    def __init__(self) -> None:
        self.lives = Lives()
        self.socket = self.lives.sockets[0]
        self.message = outgoing(random.Random(1), 1, 20_000, 1_000, UNCHECKED)
        self.buffer, self.told = bytearray(20_000), SimpleNamespace(_count=0, _other=None)
        self.socket.opener.open(self.lives.sealer.seal(b"first"))
        self.session = self.socket.opener._sessions.known[self.lives.one.keyring.first.id + self.lives.one.session]
        self.window = self.session.windows[self.lives.links]
        self.socket._ours.setblocking(True)
        self.thread = threading.Thread(target=self.fill)

    def number(self, count: int) -> int:
        return self.lives.links << COUNT_BITS | count

    def fill(self) -> None:
        scratch = bytearray(64 * 44), bytearray(65_536)
        common = self.message.heads.common
        self.socket.fill(self.told, self.socket.fileno(), *scratch, self.buffer, common, 0, 20, 1e9)

    def send(self, first: int, stop: int) -> None:
        self.socket.send(self.lives.seal(merged(self.message, first, stop), 1_044))

    def __enter__(self) -> Filling:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.join(10)
        for each in self.lives.sockets:
            each.close()
        assert not self.thread.is_alive()


@pytest.fixture
def filling(wait_until: Any) -> Iterator[Filling]:
    """Some fragments were received, and nothing else was done with them yet."""
    made = Filling()
    with made:
        made.send(0, 5)
        wait_until(lambda: not select.select([made.socket.fileno()], [], [], 0)[0])
        made.send(5, 7)  # by now the way is known
        wait_until(lambda: not select.select([made.socket.fileno()], [], [], 0)[0])
        yield made
        made.socket.send(b"")  # ends it, if something else went wrong


@in_c
def test_a_buffer_that_is_being_filled_cannot_be_taken_away(filling):
    with pytest.raises(BufferError):
        filling.buffer.clear()
    filling.send(7, 20)
    filling.thread.join(10)
    assert filling.buffer == filling.message.parts[0] and filling.told._count == 20
    assert filling.window.highest == filling.number(21) and not filling.socket.opener.refused
    filling.buffer.clear()


@in_c
def test_numbers_that_somebody_else_took_meanwhile_are_not_taken_again(filling):
    assert filling.session.take(
        filling.session.windows, filling.number(5)
    )  # the first was 1: it is the fourth fragment's
    filling.send(7, 10)
    filling.socket.send(b"")
    filling.thread.join(10)
    assert filling.told._count == 3 and filling.socket.opener.refused == {"replayed": 7}
    assert filling.told._other[0] == b""


@in_c
def test_a_session_of_which_nothing_is_taken_any_more_meanwhile_is_not_taken_from(filling):
    filling.session.floor = GONE
    filling.send(7, 20)
    filling.thread.join(10)
    assert filling.told._count == 0 and filling.socket.opener.refused == {"stale": 20}
    assert filling.window.highest == filling.number(1)


@in_c
def test_what_is_sealed_goes_the_short_way(monkeypatch):
    lives, calls = Lives(), []
    socket_ = lives.sockets[0]
    monkeypatch.setattr(socket_, "fill", lambda *args, fill=socket_.fill: calls.append(args[-3:-1]) or fill(*args))
    with lives as (gathered, _):
        for seq in range(1, 6):
            message = outgoing(random.Random(seq), seq, 40_000, 512, UNCHECKED)
            gathered.take([lives.seal(each, 556) for each in sent_as(random.Random(1), message, 44, "whole")])
            if seq == 1:
                monkeypatch.setattr(Session, "take", None)  # of the long way
    assert calls[-3:] == [(44, 79 - 44)] * 3 and len(gathered.seen) == 5
