"""Lives of nodes that share a key, without sockets: what a hostile test seals with, opens with and compares."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from ipcpy.addresses import Address
from ipcpy.protocol.wire import Kind, pack_frame
from ipcpy.sealing.keys import Key, Keyring
from ipcpy.sealing.linkseal import LinkOpener, LinkSeal
from ipcpy.sealing.seal import Seal

CHACHA, GCM = "chacha20-poly1305", "aes-256-gcm"
LINK_PORT = 17_770


def key(seed: int, algorithm: str = CHACHA) -> Key:
    """Return a key; the same seed, the same key."""
    return Key(algorithm, Random(seed).randbytes(32))


def keyring(*seeds: int, algorithm: str = CHACHA) -> Keyring:
    """Return a keyring of such keys."""
    return Keyring(tuple(key(seed, algorithm) for seed in seeds))


def greeting(kind: Kind = Kind.HELLO, node: int = 7, seq: int = 0, cookie: int = 9) -> bytes:
    """Return a greeting as the link makes it."""
    return pack_frame(kind, node, seq, 0, (5).to_bytes(8, "little") + cookie.to_bytes(8, "little"))


def alive(node: int = 7) -> bytes:
    """Return a frame of the link that is no greeting."""
    return pack_frame(Kind.ALIVE, node, 1, 0, bytes(17))


def data(number: int, size: int = 40) -> bytes:
    """Return a DATA frame with a body of its own."""
    return pack_frame(Kind.DATA, 77, number, 5, Random(number).randbytes(size))


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Life:
    """One life of a node: its seal, and the seals of its link's socket and of the group's.

    Attributes:
        address: where its link's socket is.
    """

    def __init__(self, number: int, keys: Keyring | None = None, clock: Clock | None = None) -> None:
        self.address: Address = (f"10.0.0.{number}", LINK_PORT)
        self.clock = clock or Clock()
        self.seal = Seal(keys or keyring(1), self.clock)
        self.link: LinkSeal = self.seal.link()
        self.group: LinkOpener = self.seal.greetings()
        self.said: list[bytes] = []  # all that its link said, as an eavesdropper has it

    def say(self, frames: bytes, to: Address | None) -> bytes:
        """Seal what its link says, to an address or to the group."""
        self.said.append(self.link.seal(frames, to))
        return self.said[-1]

    def hears(self, sealed: bytes, source: Address) -> bytes:
        """Open what came to its link."""
        return self.link.open(sealed, source)

    def believes(self, other: Life) -> bool:
        """Tell whether it believes the session of another."""
        name = other.seal.keyring.first.id + other.seal.session
        return name in self.seal.sessions.known


def meet(newcomer: Life, other: Life) -> None:
    """Greet as two nodes do; each believes the other then."""
    assert other.hears(newcomer.say(greeting(cookie=11), other.address), newcomer.address)
    assert newcomer.hears(other.say(greeting(Kind.WELCOME, seq=11, cookie=12), newcomer.address), other.address)
    assert other.hears(newcomer.say(greeting(Kind.CONFIRM, seq=12), other.address), newcomer.address)
    assert newcomer.believes(other) and other.believes(newcomer)


def accepted(openers: Sequence[object], sealed: bytes, source: Address = ("10.0.0.99", 4_000)) -> list[bytes]:
    """Return what openers of the data path and of links make of a datagram, where that is anything."""
    found = []
    for opener in openers:
        plain = opener.open(sealed, source) if isinstance(opener, LinkOpener) else opener.open(sealed)  # type: ignore[attr-defined]
        if plain:
            found.append(plain)
    return found
