"""Lives of nodes that seal, and believe one another, without nodes."""

from __future__ import annotations

from typing import Any

from ipcpy.protocol.wire import Kind, pack_frame
from ipcpy.sealing.keys import ALGORITHMS, Key, Keyring
from ipcpy.sealing.seal import Seal

SECRET = bytes(range(32))


def keyring(*secrets: bytes, algorithm: str = ALGORITHMS[0]) -> Keyring:
    """Return keys; one that all tests share if none is given."""
    return Keyring(tuple(Key(algorithm, secret) for secret in secrets or (SECRET,)))


def meet(one: Seal, other: Seal) -> None:
    """Have two lives believe each other, by greetings as those of links."""
    here, there = ("127.0.0.1", 1), ("127.0.0.1", 2)
    one_link, other_link = one.link(), other.link()
    for kind in (Kind.HELLO, Kind.WELCOME, Kind.CONFIRM):
        greeting = pack_frame(kind, 1, 0, 0, bytes(16))
        other_link.open(one_link.seal(greeting, there), here)
        one_link.open(other_link.seal(greeting, here), there)
    assert one_link.open(other_link.seal(pack_frame(Kind.BYE, 2, 0, 0), here), there)


def two_lives(algorithm: str = ALGORITHMS[0], **options: Any) -> tuple[Seal, Seal]:
    """Return the lives of two nodes that have met; ``options`` as of ``Seal``."""
    keys = keyring(algorithm=algorithm)
    one, other = Seal(keys, **options), Seal(keys, **options)
    meet(one, other)
    return one, other
