"""Feeds datagrams, good, bent and forged, to what takes bytes from the network; nothing may raise, crash or differ.

    python .ci/fuzz.py                           for a minute
    python .ci/fuzz.py --inputs 100000000        as many datagrams
    python .ci/fuzz.py --block 4711 --only flow  one block again, with what each datagram did

A second process does the same in pure Python (IPCPY_PURE=1), and after each block of datagrams both compare messages,
counters and answers. Everything is seeded: the number of a block says all. Run by .ci/sanitize, where the first process
has the compiled part under AddressSanitizer. No socket is opened that leads anywhere.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import subprocess
import sys
import time
import traceback
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Protocol

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from bothways import state_of  # noqa: E402
from gathered import PORT, PUBLISHER, Gathered, SealedPair, merged, outgoing, spoiled  # noqa: E402
from ipcpy import fast  # noqa: E402
from ipcpy.checksum import crc32  # noqa: E402
from ipcpy.codec import MsgLibrary  # noqa: E402
from ipcpy.protocol.data.batch import pack_batch  # noqa: E402
from ipcpy.protocol.data.heads import Place, pack_fragment  # noqa: E402
from ipcpy.protocol.data.reports import POLL_BODY  # noqa: E402
from ipcpy.protocol.wire import (  # noqa: E402
    DATA_WORD,
    FAST_HEADER,
    FRAGMENT_OVERHEAD,
    HEADER_SIZE,
    UNCHECKED,
    Kind,
    codec_number,
    pack_frame,
)
from receiving import HERE, THERE, Side  # noqa: E402
from sealing import two_lives  # noqa: E402

BLOCK = 1_000  # datagrams
SHARE_BENT = 0.4
WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 2**63 - 1, 2**64 - 1)


def bent(random: Random, data: bytes) -> bytes:
    """Return a datagram with one to three things wrong; half of the time its length and check agree with it again."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        at = random.randrange(len(found) + 1)
        match random.randrange(7):
            case 0 if found:
                found[at % len(found)] ^= 1 << random.randrange(8)
            case 1:
                del found[at:]
            case 2:
                found += random.randbytes(random.randrange(1, 40))
            case 3:
                found[at:at] = found[: random.randrange(80)]
            case 4:
                del found[at : at + random.randrange(1, 9)]
            case 5:
                size = random.choice((1, 2, 4, 8))
                at = random.randrange(0, 48, size)
                found[at : at + size] = (random.choice(WORDS) & 256**size - 1).to_bytes(size, "little")
            case _:
                found[at : at + 4] = random.randbytes(4)
    if random.random() < 0.5 and len(found) >= HEADER_SIZE + 4:
        found[:2] = (len(found) & 0xFFFF).to_bytes(2, "little")
        if random.random() < 0.7:
            found[-4:] = crc32(found[:-4]).to_bytes(4, "little")
    return bytes(found)


# -- what is fed -------------------------------------------------------------------------------------------------------


class Target(Protocol):
    """What takes bytes from the network, with somebody who says sensible things to it."""

    def next(self, random: Random) -> tuple[bytes, int]:
        """Return a good datagram, and who says it."""

    def take(self, data: bytes, who: int) -> object:
        """Take a datagram."""

    def seen(self) -> object:
        """Return all that there is to be seen from outside."""


class Talk:
    """What a publisher says: messages in order, and all else that belongs to a topic.

    Args:
        codec: its codec's number, as it is on the wire.
        body: makes a body.

    Attributes:
        several: whether it says only what is more than one message, or a part of one.
    """

    def __init__(self, number: int, address: tuple[str, int], codec: str, body: Callable[[Random], bytes]) -> None:
        self.number, self.address, self.seq, self.several = number, address, 1, False
        self._codec, self._body = codec_number(codec), body

    def next(self, random: Random) -> bytes:
        """Return the next datagram, which nothing is wrong with."""
        what = random.random()
        return self._say(random, 0.86 + what * 0.14 if self.several else what)

    def _say(self, random: Random, what: float) -> bytes:
        now, seq = random.randrange(2_000_000_000), self.seq
        if what < 0.03:  # from here on there is a gap, or something again
            self.seq = seq = max(1, seq + random.choice((-40, -2, -1, 1, 2, 70)))
        if what < 0.86:
            self.seq += 1
            return self._message(random, seq, now)
        if what < 0.9:
            bodies = [self._body(random) for _ in range(random.randrange(1, 6))]
            if random.random() < 0.5:  # of one size, and more than a few
                bodies = bodies[:1] * random.choice((2, 7, 40))
            self.seq += len(bodies)
            return pack_batch(self.number, seq, now, self._codec, bodies)
        if what < 0.93:
            return pack_frame(Kind.POLL, self.number, seq - 1, 0, POLL_BODY.pack(random.randrange(9), max(1, seq - 9)))
        if what < 0.97:
            return b"".join(self._say(random, random.random()) for _ in range(random.randrange(2, 5)))
        self.seq += 1
        return self._fragments(random, seq, now)

    def _message(self, random: Random, seq: int, now: int) -> bytes:
        body = self._body(random)
        if self.address == HERE and random.random() < 0.5:
            word = DATA_WORD | HEADER_SIZE + len(body)
            return FAST_HEADER.pack(word, self._codec | UNCHECKED, self.number, seq, now) + body
        return pack_frame(Kind.DATA, self.number, seq, now, body, codec=self._codec)

    def _fragments(self, random: Random, seq: int, now: int) -> bytes:
        data = memoryview(random.randbytes(random.randrange(1, 6_000)))
        place = Place(self.number, seq, now, self._codec, len(data), random.choice((512, 1_392, 1_428)))
        parts = [(at, data[at : at + place.size]) for at in range(0, len(data), place.size)]
        if random.random() < 0.3:
            random.shuffle(parts)
        if random.random() < 0.3:
            del parts[-1]
        return b"".join(pack_fragment(place, at, [part]) + part for at, part in parts)


Numbers = namedtuple("Numbers", "n a b c d e f g")
Arm = namedtuple("Arm", "p r flag")
Named = namedtuple("Named", "s n")
LIBRARY = MsgLibrary({1: ("<q7d", Numbers), 2: ("<3f9fB", Arm), 3: ("<10sH", Named)})


def struct_body(random: Random) -> bytes:
    """Return one of three types; seldom something that is none."""
    match random.randrange(20):
        case 0:
            return random.randbytes(random.randrange(80))
        case 1 | 2 | 3 | 4:
            return LIBRARY.encode(Arm([random.random()] * 3, [random.random()] * 9, random.randrange(256)))
        case 5 | 6 | 7 | 8:
            return LIBRARY.encode(Named(random.randbytes(random.randrange(11)), random.randrange(65_536)))
        case _:
            return LIBRARY.encode(Numbers(random.randrange(-(2**63), 2**63), *(random.random() for _ in range(7))))


class Flows:
    """A subscriber with three publishers: structs on this host, raw (reliable) and msgpack on another one."""

    def __init__(self, random: Random) -> None:
        self._side = side = Side(depth=50)
        self._talks = (
            Talk(0xA1, HERE, "struct", struct_body),
            Talk(0xB2, THERE, "raw", lambda random: random.randbytes(random.choice((0, 1, 8, 64, 700)))),
            Talk(0xC3, THERE, "msgpack", lambda random: b"\x92\x01" + random.randbytes(1)),
        )
        side.match(0xA1, address=HERE, codec="struct", schema=dict(LIBRARY.schema))
        side.match(0xB2, address=THERE, reliable=random.random() < 0.5)
        side.match(0xC3, address=THERE, codec="msgpack")

    def next(self, random: Random) -> tuple[bytes, int]:
        """Return a good datagram, and who says it."""
        who = random.choice((0, 0, 0, 1, 2))
        return self._talks[who].next(random), who

    def take(self, data: bytes, who: int) -> None:
        """Take a datagram, some time after the last one."""
        self._side.now += 1e-4
        self._side.wall_ns += 100_000
        self._side.inbound.take(data, self._talks[who].address)

    def seen(self) -> object:
        """Return messages, counters and answers."""
        side = self._side
        inbox, flows = side.inbox, side.inbound.flows.values()
        due = [(flow.receiver.next, flow.receiver.waiting, flow.fastest_ns) for flow in flows]
        return list(inbox.messages), list(inbox.sizes), side.inbound.stats(), side.intake.dropped, due, side.socket.sent


class Seals:
    """A socket with a key, to which two sockets of another node with that key send."""

    def __init__(self, random: Random) -> None:
        one, self._seal = two_lives(clock=lambda: 100.0, random=random.randbytes)
        self._sealers, self._opener = [one.sealer(9_000), one.sealer(9_000)], self._seal.opener(9_000)
        self._came = b""
        self._receive = self._opener.receiving(lambda size, flags=0: (self._came, HERE))
        self._opened: list[object] = []
        self._last = [self._sealers[0].seal(b"first")]

    def next(self, random: Random) -> tuple[bytes, int]:
        """Return a good datagram, or several that were merged; seldom one that came before."""
        if random.random() < 0.1:
            return random.choice(self._last), 0
        bodies = [random.randbytes(random.choice((0, 36, 136, 1_428))) for _ in range(random.choice((1, 1, 1, 2, 5)))]
        sealed = random.choice(self._sealers).seal_run([(body,) for body in bodies])
        self._last = [*self._last[-20:], *sealed]
        return b"".join(sealed), 0

    def take(self, data: bytes, who: int) -> None:
        """Take a datagram."""
        self._came = data
        self._opened.append(self._receive(65_536))

    def seen(self) -> object:
        """Return what was opened, and what was refused."""
        return self._opened, self._opener.refused, self._seal.refused


class Gathers:
    """A subscriber that receives large messages in place, by a pair of sockets of this process."""

    codec = 0

    def __init__(self, random: Random, socket: SealedPair | None = None) -> None:
        self._gathered = Gathered(compiled=True, socket=socket)
        self._due: list[bytes] = []
        self._seq = 0
        self._waiting: list[bytes] = []

    def next(self, random: Random) -> tuple[bytes, int]:
        """Return a good datagram, or merged ones, of a message of which some may be lost or spoiled."""
        while not self._due:
            self._seq = max(1, self._seq + random.choice((1, 1, 1, 1, 2, 0)))
            total, size = random.choice((30_000, 30_000, 30_000, 9, 70_001)), random.choice((1_428, 1_428, 512, 9_001))
            message = outgoing(random, self._seq, total, size, self.codec)
            step = random.choice((1, 7, 44))
            if random.random() < 0.4:
                self._due = spoiled(random, message, step)
            elif step * message.datagram < 65_507:
                self._due = [merged(message, at, min(at + step, message.count)) for at in range(0, message.count, step)]
            if random.random() < 0.1:
                self._due.append(pack_frame(Kind.POLL, PUBLISHER, self._seq, 0, POLL_BODY.pack(random.randrange(9), 1)))
        return self._due.pop(0), random.randrange(4)

    def take(self, data: bytes, who: int) -> None:
        """Take a datagram; some wait at the socket together."""
        self._waiting.append(data[:65_507])
        if who:
            self._gathered.take(self._waiting, hold=who - 1)
            self._gathered.side.now += 1e-3
            self._waiting.clear()

    def seen(self) -> object:
        """Return messages, counters and answers."""
        return self._gathered.seen, state_of(self._gathered.side)


class SealedGathers(Gathers):
    """The same with a key."""

    codec = UNCHECKED

    def __init__(self, random: Random) -> None:
        one, other = two_lives(clock=lambda: 100.0, random=random.randbytes)
        self._sealer, self._pair = one.sealer(PORT), SealedPair(other, compiled=fast.COMPILED)
        super().__init__(random, self._pair)

    def next(self, random: Random) -> tuple[bytes, int]:
        """Return the same, sealed datagram by datagram."""
        data, who = super().next(random)
        each = FRAGMENT_OVERHEAD + int.from_bytes(data[6:8], "little") if data[3:4] == bytes([Kind.FRAGMENT]) else 1_500
        parts = [(data[at : at + each],) for at in range(0, len(data), each)]
        return b"".join(self._sealer.seal_run(parts)), who

    def seen(self) -> object:
        """Return what was refused, too."""
        return super().seen(), self._pair.opener.refused


TARGETS: dict[str, Callable[[Random], Target]] = {
    "flow": Flows,
    "gather": Gathers,
    "gather-sealed": SealedGathers,
    "seal": Seals,
}


# -- blocks, twice -----------------------------------------------------------------------------------------------------


def run(name: str, block: int, count: int = BLOCK) -> tuple[str, bytes]:
    """Feed the first datagrams of a block; return what there is to be seen then, and the last datagram."""
    random = Random(f"{name} {block}")
    data = b""
    try:
        target = TARGETS[name](random)
        for _ in range(count):
            data, who = target.next(random)
            if random.random() < SHARE_BENT:
                data = bent(random, data)
            target.take(data, who)
        return repr(target.seen()), data
    except Exception:
        return f"raised {traceback.format_exc()}", data


def answer() -> None:
    """Do what the other process asks for, a line each."""
    for line in sys.stdin:
        name, block, count, wanted = line.split()
        seen, _ = run(name, int(block), int(count))
        print(repr(seen) if wanted == "all" else f"{crc32(seen.encode()):08x}", flush=True)


class Twin:
    """The process that does the same in pure Python."""

    def __init__(self) -> None:
        plain = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--answer"],
            env={**plain, "IPCPY_PURE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, name: str, block: int, count: int = BLOCK, wanted: str = "sum") -> None:
        assert self._process.stdin
        print(name, block, count, wanted, file=self._process.stdin, flush=True)

    def said(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait(10)


def differs(twin: Twin, name: str, block: int, count: int = BLOCK) -> str:
    """Return what there is to be seen, if it is not the same in both processes or something raised; else nothing."""
    twin.ask(name, block, count)
    seen, _ = run(name, block, count)
    same = twin.said() == f"{crc32(seen.encode()):08x}"
    return "" if same and not seen.startswith("raised") else seen


def explain(twin: Twin, name: str, block: int) -> None:
    """Find the datagram after which the two differ, and show it."""
    low, high = 0, BLOCK
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if differs(twin, name, block, middle) else (middle, high)
    twin.ask(name, block, high, "all")
    seen, data = run(name, block, high)
    other = str(eval(twin.said()))
    at = max(0, next((at for at, pair in enumerate(zip(seen, other, strict=False)) if pair[0] != pair[1]), 0) - 200)
    print(f"fuzz: {name}, block {block}, datagram {high}: {data.hex()}", file=sys.stderr)
    for which, text in (("here", seen), ("pure", other)):
        print(f"  {which}: … {text[at : at + 2_000]}", file=sys.stderr)


def main() -> int:
    """Read the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--inputs", type=int, default=0, help="datagrams to feed, however long it takes")
    parser.add_argument("--block", type=int, help="this block alone")
    parser.add_argument("--first", type=int, default=0, help="the block to begin with")
    parser.add_argument("--only", choices=sorted(TARGETS), help="this target alone")
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable()  # that datagrams are wrong is what they are for
    if options.answer:
        answer()
        return 0
    names = [options.only] if options.only else sorted(TARGETS)
    end, fed, twin = time.monotonic() + options.seconds, 0, Twin()
    blocks = [options.block] if options.block is not None else itertools.count(options.first)
    for block in blocks:
        for name in names:
            if differs(twin, name, block):
                explain(twin, name, block)
                return 1
            fed += BLOCK
        if fed >= options.inputs if options.inputs else time.monotonic() > end:
            break
    twin.close()
    same = f"{fast.implementation()}, and pure Python: the same"
    print(f"fuzz: {fed:,} datagrams ({', '.join(names)}): {same}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
