"""Layout of a sealed datagram. Knows bytes; nothing of keys, sessions or sockets. See docs/protocol.md, section 9.

One sealed frame stands around all frames of a datagram. Its head, little-endian, begins as every frame's does:

    offset  size  field
    0       2     length    of all of it, tag included
    2       1     version   1
    3       1     kind      32
    4       1     codec     0
    5       1     flags     1: sealed
    6       2     port      that it is for: of a subscriber or publisher, or of the group; 0: of a link
    8       8     number    stream << 40 | count
    16      4     key       id of the key
    20      12    session   of the sender
    32      4     age       of the session, in ticks of 4 s

Then come the ciphertext and the tag of 16 bytes. The head is authenticated, and its bytes 8 to 20 are the nonce.
"""

from __future__ import annotations

from struct import Struct

from ..protocol.wire import FLAG_SEALED, VERSION, Kind

KIND = int(Kind.SEALED)
HEAD = Struct("<H6sQ16sI")  # length; version, kind, codec, flags, port; number; name: key and session; age
PACKED = Struct("<H6sQ20s")  # the same with name and age as one, as a sender has them
HEAD_SIZE = HEAD.size  # 36
TAG_SIZE = 16
OVERHEAD = HEAD_SIZE + TAG_SIZE  # 52
SESSION_SIZE = 12
NAMED = 4 + SESSION_SIZE + 4  # bytes of key id, session and age
TICK = 4.0  # seconds
NONCE = slice(8, 20)
WAY = slice(13, 32)  # stream, key and session: what all datagrams of one socket to another have in common

COUNT_BITS = 40
STREAM_BITS = 23
LAST_COUNT = (1 << COUNT_BITS) - 1
STREAMS = 1 << STREAM_BITS

PROOF = Struct("<QQ")  # at the head of what a link's datagram seals: the sender's challenge, and the receiver's

_FIXED = bytes((VERSION, KIND, 0, FLAG_SEALED))  # version, kind, codec, flags


def mark(port: int) -> bytes:
    """Return bytes 2 to 8 of the head of a datagram for a port; 0 for that of a link."""
    return _FIXED + port.to_bytes(2, "little")


def what_is(data: bytes) -> str:
    """Return what is to be said of a datagram whose head is none of ours, or for another port."""
    if len(data) < 4 or data[2] != VERSION:
        return "malformed"
    if data[3] != KIND:
        return "unsealed"
    return "misdirected" if len(data) >= OVERHEAD and data[2:6] == _FIXED else "malformed"
