"""Looks for memory that is not given back, over many messages of all kinds; by hand, for it takes minutes.

    python .ci/leaks.py                          10,000,000 messages
    python .ci/leaks.py --messages 100000

Publishes and receives in one process on loopback: structs, one by one and many at once, raw bytes, large messages, and
what is refused. Fails where the blocks that Python's allocator counts, or the memory of the process, go on growing.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import sys
from collections import namedtuple
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.update(IPCPY_INTERFACES="lo", IPCPY_DOMAIN=f"leaks{os.getpid()}", IPCPY_SHM="0")

import ipcpy as ipc  # noqa: E402

ROUND = 100  # messages of a turn
BLOCKS = 5_000  # that may come and go besides: caches, buffers, what discovery keeps
MEMORY = 4 << 20  # bytes, likewise

Imu = namedtuple("Imu", "n a b c d e f g")
LIBRARY = ipc.MsgLibrary({1: ("<q7d", Imu)})
VALUE = Imu(1, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
LARGE = bytes(20_000)


def resident() -> int:
    """Return the bytes of memory that the process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def kinds(stack: ExitStack) -> list[tuple[int, Callable[[], None]]]:
    """Return what is done in turn, and how many messages each of them is."""

    def pair(name: str, codec: object) -> tuple[ipc.Publisher, ipc.Subscriber]:
        subscriber = stack.enter_context(ipc.Subscriber(name, codec))
        publisher = stack.enter_context(ipc.Publisher(name, codec))
        if not publisher.wait_for_subscribers(timeout=10):
            sys.exit("leaks: publisher and subscriber do not find each other")
        return publisher, subscriber

    structs, raw = pair("structs", LIBRARY), pair("raw", ipc.Raw())

    def one_by_one() -> None:
        publisher, subscriber = structs
        for _ in range(ROUND):
            publisher.publish(VALUE)
            subscriber.recv(10)

    def many() -> None:
        publisher, subscriber = structs
        publisher.publish_many([VALUE] * ROUND)
        for _ in range(ROUND):
            subscriber.recv(10)

    def plain() -> None:
        publisher, subscriber = raw
        for _ in range(ROUND):
            publisher.publish(b"some bytes of a sensor")
            subscriber.recv(10)

    def large() -> None:
        publisher, subscriber = raw
        publisher.publish(LARGE)
        subscriber.recv(10)

    def refused() -> None:
        for wrong in (Imu("1", *VALUE[1:]), Imu(1 << 80, *VALUE[1:]), "text", None):
            try:
                structs[0].publish(wrong)
            except ipc.CodecError:
                continue
            sys.exit(f"leaks: {wrong!r} was published")
        try:
            structs[1].recv(0)
        except ipc.RecvTimeout:
            return
        sys.exit("leaks: a message that nobody sent")

    return [(ROUND, one_by_one), (ROUND, many), (ROUND, plain), (1, large), (5, refused)]


def main() -> int:
    """Read the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, default=10_000_000)
    wanted = parser.parse_args().messages
    with ExitStack() as stack:
        deeds = kinds(stack)
        done, before = 0, (0, 0)
        for count, deed in itertools.cycle(deeds):
            deed()
            done += count
            if not before[0] and done >= wanted // 10:  # what is made once is made by now
                gc.collect()
                before = sys.getallocatedblocks(), resident()
            if done >= wanted:
                break
        gc.collect()
        blocks, memory = sys.getallocatedblocks() - before[0], resident() - before[1]
    print(f"leaks: {done:,} messages, {ipc.implementation()}: {blocks:+,} blocks, {memory / 1024:+,.0f} KiB")
    return blocks > BLOCKS or memory > MEMORY


if __name__ == "__main__":
    sys.exit(main())
