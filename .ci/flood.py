"""Feeds bent datagrams to the compiled part alone, hundreds of thousands a second; nothing may crash or raise.

    python .ci/flood.py                                   100,000 datagrams to each target
    python .ci/flood.py --inputs 100000000 --only flow    as many to one
    python .ci/flood.py --first 4711 --only flow          the same from a block on

fuzz.py looks whether C and Python do the same; this one looks for what AddressSanitizer finds, so what C refuses goes
to nobody. A block is made of good datagrams, each bent many times by bend.c, and then taken as it is, by all that take
it, so that there is a next one. Its number says all of a block, and a seed what is wrong with a datagram. Run by
.ci/sanitize.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import logging
import operator
import os
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple

from fuzz import HERE, PUBLISHER, ROOT, Flows, Seals

from gathered import merged, outgoing
from ipcpy import fast
from ipcpy.codec import MsgLibrary
from ipcpy.errors import CodecError
from ipcpy.protocol.data.heads import Heads, Place

GOOD = 500  # datagrams of a block
EACH = 200  # seeds of each
BLOCK = GOOD * EACH
SIZE = 65_536  # that one receives
FAR = float("inf")


class Aim(NamedTuple):
    """What takes a bent datagram.

    Attributes:
        take: is called with it, and with ``beside`` unless that is None.
        put: is called so instead, where there is one; then ``take`` with ``args``.
        allowed: what may be raised.
        again: object, attribute and value: so it is before each datagram.
    """

    take: Callable[..., Any]
    beside: Any = None
    put: Callable[..., Any] | None = None
    args: tuple[Any, ...] = ()
    allowed: type[Exception] | None = None
    again: tuple[Any, str | None, Any] = (None, None, None)


class Flow(Flows):
    """All that comes to a subscriber."""

    def each(self, random: Random) -> Iterator[tuple[bytes, Aim]]:
        """Yield good datagrams, and what takes the bent ones; when it goes on, take the good one."""
        inbound = self._side.inbound
        while True:
            data, who = self.next(random)
            talk = self._talks[who]
            receiver = inbound.flows[talk.number].receiver
            vars(inbound)["take_any"] = operator.is_  # takes two, and does nothing
            yield data, Aim(inbound.take, talk.address, again=(receiver, "next", receiver.next))
            del vars(inbound)["take_any"]
            self.take(data, who)
            assert fast.compiled is not None
            yield data, Aim(fast.compiled.check_run, who == 0)


class Several(Flow):
    """The same, of what is several messages or a part of one: batches, frames end to end, fragments."""

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        for talk in self._talks:
            talk.several = True


class Seal(Seals):
    """What is sealed, one or several, to be opened to bytes and to places."""

    def each(self, random: Random) -> Iterator[tuple[bytes, Aim]]:
        """As of Flow."""
        came: dict[int, tuple[bytes, tuple[str, int]]] = {}
        opener = self._opener
        put = lambda pair: came.__setitem__(SIZE, pair)  # noqa: E731
        vars(opener)["open"] = bytes  # hands on what C does not open
        plain, into = opener.receiving(came.__getitem__), opener.receiving_into(came.__getitem__)
        del vars(opener)["open"]
        assert into is not None
        receive_into, _ = into
        while True:
            data, _ = self.next(random)
            places = [bytearray(random.randrange(1, 60)) for _ in range(random.randrange(1, 9))] + [bytearray(9_000)]
            yield data, Aim(plain, HERE, put, (SIZE,))
            yield data, Aim(receive_into, HERE, put, (places,))
            yield data, Aim(opener.open)
            self.take(data, 0)


class Gather:
    """Fragments that are received right into their places."""

    def __init__(self, random: Random) -> None:
        self._theirs, self._ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ours.setblocking(False)

    def each(self, random: Random) -> Iterator[tuple[bytes, Aim]]:
        """As of Flow."""
        assert fast.compiled is not None
        heads, rest, fd = bytearray(44 * 64), bytearray(SIZE), self._ours.fileno()
        written = SimpleNamespace()
        for seq in itertools.count(1):
            total, size = random.choice((9, 512, 3_000, 7_000)), random.choice((512, 1_428, 9_001))
            message = outgoing(random, seq, total, size)
            first = random.randrange(message.count)
            common, buffer = Heads(Place(PUBLISHER, seq, 1_000, 0, total, size)).common, bytearray(total)
            data = merged(message, first, random.randrange(first, message.count) + 1)
            left = first, message.count - first, FAR
            args = written, fd, heads, rest, buffer, common, *left
            yield data, Aim(fast.compiled.fill, None, self._theirs.send, args, BlockingIOError)
            data = merged(message, 0, random.randrange(message.count) + 1)
            yield data, Aim(fast.compiled.begin, None, self._theirs.send, (fd, heads, rest, buffer, common))


Wide = namedtuple("Wide", "a b c d e f g h i j k")
Few = namedtuple("Few", "n text")
LIBRARY = MsgLibrary({4: ("<bBhHiIqQfd?", Wide), 5: ("3i", list), 6: ("d", float), 7: ("5s", bytes), 8: ("<i8s", Few)})


class Decode:
    """Bodies of messages."""

    def __init__(self, random: Random) -> None:
        self._decode = LIBRARY.decoder()

    def each(self, random: Random) -> Iterator[tuple[bytes, Aim]]:
        """As of Flow."""
        while True:
            small = random.randrange(100)
            value = random.choice((
                Wide(-small, small, -small, small, -small, small, -small, small, 0.5, random.random(), True),
                [small, -small, small], random.random(), random.randbytes(5), Few(small, random.randbytes(8)),
            ))  # fmt: skip
            yield LIBRARY.encode(value), Aim(self._decode, allowed=CodecError)


TARGETS: dict[str, Callable[[Random], Any]] = {
    "flow": Flow,
    "several": Several,
    "seal": Seal,
    "gather": Gather,
    "decode": Decode,
}


def made(folder: str) -> Callable[..., None]:
    """Compile bend.c; return what floods."""
    library, source = Path(folder) / "bend.so", Path(__file__).with_name("bend.c")
    include = [f"-I{ROOT / 'fast'}", f"-I{sysconfig.get_path('include')}"]
    plain = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    compiler = ["cc", "-O2", "-Wall", "-shared", "-fPIC", *include]
    subprocess.run([*compiler, source, ROOT / "fast" / "crc.c", "-o", library], env=plain, check=True)
    flood = ctypes.PyDLL(str(library)).flood
    flood.restype, flood.argtypes = ctypes.py_object, [ctypes.py_object] * 9 + [ctypes.c_uint64] * 2
    return flood  # type: ignore[no-any-return]


def run(flood: Callable[..., None], name: str, block: int) -> None:
    """Feed a block."""
    random = Random(f"{name} {block}")
    good = TARGETS[name](random).each(random)
    for number, (data, aim) in enumerate(itertools.islice(good, GOOD)):
        seed = block * BLOCK + number * EACH
        flood(aim.put, aim.take, aim.args, data, aim.beside, aim.allowed, *aim.again, seed, EACH)


def main() -> int:
    """Read the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=BLOCK, help="datagrams to feed to each target")
    parser.add_argument("--seconds", type=float, default=0.0, help="end after the block of then; 0: do not")
    parser.add_argument("--first", type=int, default=0, help="the block to begin with")
    parser.add_argument("--only", choices=sorted(TARGETS), help="this target alone")
    options = parser.parse_args()
    if not fast.COMPILED:
        sys.exit(f"flood: {fast.implementation()}")
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        flood = made(folder)
    names = [options.only] if options.only else list(TARGETS)
    end = time.monotonic() + options.seconds if options.seconds else FAR
    for block in range(options.first, options.first + -(-options.inputs // BLOCK)):
        if time.monotonic() >= end:
            break
        for name in names:
            run(flood, name, block)
        fed = (block + 1 - options.first) * BLOCK
        print(f"flood: {fed:,} datagrams each ({', '.join(names)}), to block {block}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
