"""Looks for memory that is not given back, over many messages of all kinds; by hand, for it takes minutes.

    python .ci/leaks.py                          10,000,000 messages
    python .ci/leaks.py --messages 100000
    python .ci/leaks.py --only "sealed: large"   one kind of them

Publishes and receives in one process on loopback, without a key and with one, each kind by itself: structs, one by one,
many at once and to coroutines, raw bytes, large messages, what is refused, subscribers that come and go. After a tenth
of a kind, what is made once is made. Fails where at its end there are more blocks of Python's allocator, references to
what everybody shares, or memory of the process.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import tempfile
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.update(IPCPY_INTERFACES="lo", IPCPY_DOMAIN=f"leaks{os.getpid()}", IPCPY_SHM="0")

import ipcpy as ipc  # noqa: E402

ROUND = 100  # messages of a turn
BLOCKS = 2_000  # that may come and go besides: caches, buffers, what discovery keeps
REFERENCES = 2_000  # likewise
MEMORY = 4 << 20  # bytes, likewise

Imu = namedtuple("Imu", "n a b c d e f g")
LIBRARY = ipc.MsgLibrary({1: ("<q7d", Imu)})
VALUE = Imu(1, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
RAW = ipc.Raw()
LARGE = bytes(20_000)
SHARED = None, True, False, 0, 1, (), b"", "", Imu, ipc.Message, LIBRARY, VALUE, VALUE.a, RAW, LARGE  # are there anyway


def measured() -> tuple[int, int, int]:
    """Return the blocks that Python's allocator has given out, references to what is shared, bytes of the process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return sys.getallocatedblocks(), sum(map(sys.getrefcount, SHARED)), pages * os.sysconf("SC_PAGE_SIZE")


def pair(stack: ExitStack, name: str, codec: ipc.Codec, node: ipc.Node) -> tuple[ipc.Publisher, ipc.Subscriber]:
    """Return two that have found each other."""
    subscriber = stack.enter_context(ipc.Subscriber(name, codec, node=node))
    publisher = stack.enter_context(ipc.Publisher(name, codec, node=node))
    if not publisher.wait_for_subscribers(timeout=30):
        sys.exit("leaks: publisher and subscriber do not find each other")
    return publisher, subscriber


def kinds(stack: ExitStack, node: ipc.Node) -> Iterator[tuple[str, int, int, Callable[[], None]]]:
    """Yield what is done: its name, how many of a thousand messages, how many it is each time, and itself."""
    publisher, subscriber = pair(stack, "structs", LIBRARY, node)
    plain, plainly = pair(stack, "raw", RAW, node)
    runner = stack.enter_context(asyncio.Runner())

    def one_by_one() -> None:
        for _ in range(ROUND):
            publisher.publish(VALUE)
            subscriber.recv(10)

    def many() -> None:
        publisher.publish_many([VALUE] * ROUND)
        left = ROUND
        while left:
            left -= len(subscriber.recv_many(timeout=10))

    def to_coroutines() -> None:
        async def several() -> None:
            for _ in range(ROUND // 2):
                publisher.publish_many([VALUE] * 2)
                await subscriber.recv_async(10)
                await subscriber.recv_many_async(timeout=10)

        runner.run(several())

    def raw() -> None:
        for _ in range(ROUND):
            plain.publish(b"some bytes of a sensor")
            plainly.recv(10)

    def large() -> None:
        plain.publish(LARGE)
        plainly.recv(10)

    def refused() -> None:
        for wrong in (Imu("1", *VALUE[1:]), Imu(1 << 80, *VALUE[1:]), "text", None):
            try:
                publisher.publish(wrong)
            except ipc.CodecError:
                continue
            sys.exit(f"leaks: {wrong!r} was published")
        try:
            subscriber.recv(0)
        except ipc.RecvTimeout:
            return
        sys.exit("leaks: a message that nobody sent")

    stack.enter_context(ipc.Publisher("kept", LIBRARY, reliable=True, keep=1, node=node)).publish(VALUE)

    def come_and_gone() -> None:
        with ipc.Subscriber("kept", LIBRARY, node=node) as one:
            one.recv(30)

    yield from (("one by one", 200, ROUND, one_by_one), ("many", 200, ROUND, many), ("raw", 50, ROUND, raw))
    yield from (("to coroutines", 40, ROUND, to_coroutines), ("large", 4, 1, large), ("refused", 5, 5, refused))
    yield "come and gone", 1, 1, come_and_gone


def grows(name: str, count: int, each: int, deed: Callable[[], None]) -> bool:
    """Do something until it was so many messages; print what grew after a tenth, return whether it is too much."""
    turns = max(20, count // each)
    before = (0, 0, 0)
    for turn in range(turns):
        if turn == turns // 10:
            before = measured()
        deed()
    blocks, references, memory = (now - then for now, then in zip(measured(), before, strict=True))
    told = f"{blocks:+,} blocks, {references:+,} references, {memory / 1024:+,.0f} KiB"
    print(f"leaks: {name}: {turns * each:,} messages: {told}", flush=True)
    return blocks > BLOCKS or references > REFERENCES or memory > MEMORY


def main() -> int:
    """Read the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--only", help="this kind alone")
    options = parser.parse_args()
    print(f"leaks: {ipc.implementation()}")
    failed = False
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        for key in ("", ipc.new_key(Path(folder) / "key").path):
            node = stack.enter_context(ipc.Node(key=key or False))
            for name, share, each, deed in kinds(stack, node):
                name = f"sealed: {name}" if key else name
                if options.only in (None, name):
                    failed |= grows(name, options.messages * share // 1_000, each, deed)
    return failed


if __name__ == "__main__":
    sys.exit(main())
