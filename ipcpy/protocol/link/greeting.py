"""The handshake that shows that an address is real. Knows frames and a secret; remembers nobody.

    newcomer                      node already here
    HELLO (multicast or unicast, cookie) ->
                                <- WELCOME (echoes the cookie, has one of its own)
    CONFIRM (echoes that) ->                          from here on the newcomer's address is known to be real
                                <- CONFIRM            and from here on the other's

A cookie is the token of the address it is sent to: a keyed hash, so a greeting costs no memory, and nobody who cannot
read what is sent to an address can speak from it (RFC 6013; RFC 9000, section 8). The WELCOME to a unicast HELLO echoes
the token of its own address, so the last CONFIRM says nothing new then. No answer is longer than its question, and
there is one for each datagram. See docs/protocol.md.
"""

from __future__ import annotations

from struct import Struct

from ...addresses import Address
from ...checksum import blake2b
from ...records import NamedTuple
from ..wire import OVERHEAD, Frame, Kind, Malformed, pack_frame

GREETING_BODY = Struct("<QQ")  # domain, cookie
GREETING_SIZE = OVERHEAD + GREETING_BODY.size  # 52
GREETINGS = frozenset((Kind.HELLO, Kind.WELCOME, Kind.CONFIRM))
KNOCK = 1  # in ``extra`` of a greeting: sent to this address, not to all; to be answered even if we know each other
STATIC = 2  # the same for a static peer: multicast may not pass, so the two must tell each other of their peers
PARTS = (
    4  # in WELCOME and CONFIRM: the sender takes large entries in parts (table.py); who does not say so may be older
)
CLOCKS = 8  # in WELCOME and CONFIRM: the sender takes CLOCK frames (clocks.py)
BOOKS = 16  # in WELCOME and CONFIRM: the sender answers INQUIRY frames (inquiry.py)
TOKENS = 256  # that are kept: each is asked for several times while two nodes greet


def domain_number(domain: str) -> int:
    """Return what stands for a domain on the wire."""
    return int.from_bytes(blake2b(domain.encode(), digest_size=8).digest(), "little")


class Answer(NamedTuple):
    """What a greeting calls for.

    Attributes:
        reply: to send to where it came from; None for nothing.
        token: what every frame to that address has to carry, if the address has shown that it is real; else None.
    """

    reply: bytes | None = None
    token: int | None = None


class Greeter:
    """Makes and answers the greetings of one node.

    Args:
        secret: 16 to 64 random bytes.
    """

    def __init__(self, id: int, domain: str, secret: bytes) -> None:
        self._id = id
        self._domain = domain_number(domain)
        self._secret = secret
        self._tokens: dict[Address | None, int] = {}

    def token(self, address: Address | None) -> int:
        """Return the token that only a node that reads what is sent to an address can know; None: to the group."""
        token = self._tokens.get(address)
        if token is None:
            if len(self._tokens) >= TOKENS:
                self._tokens.clear()
            token = self._tokens[address] = self._token(address)
        return token

    def _token(self, address: Address | None) -> int:
        where = f"{address[0]} {address[1]}" if address else "multicast"
        return int.from_bytes(blake2b(where.encode(), key=self._secret, digest_size=8).digest(), "little")

    def hello(self, address: Address | None, extra: int = 0) -> bytes:
        """Build the HELLO to an address, or to the group."""
        return self._pack(Kind.HELLO, address, 0, extra)

    def answer(self, frame: Frame, address: Address, *, known: bool) -> Answer:
        """Take a greeting that came from an address.

        Args:
            known: whether its sender is a peer at that address.

        Raises:
            Malformed: with the cause ``domain`` for another domain's, ``unknown`` for an echo of what we never sent.
        """
        if len(frame.body) != GREETING_BODY.size:
            raise Malformed("malformed")
        domain, cookie = GREETING_BODY.unpack(frame.body)
        if domain != self._domain:
            raise Malformed("domain")
        extra = frame.extra & (KNOCK | STATIC)
        if frame.kind == Kind.HELLO:
            return Answer() if known and not extra else Answer(self._pack(Kind.WELCOME, address, cookie, extra))
        proven = frame.seq == self.token(address)
        if frame.kind == Kind.WELCOME and (proven or frame.seq == self.token(None)):
            return Answer(self._pack(Kind.CONFIRM, address, cookie, extra), cookie if proven else None)
        if frame.kind == Kind.CONFIRM and proven:
            return Answer(None if known else self._pack(Kind.CONFIRM, address, cookie, extra), cookie)
        raise Malformed("unknown")

    def _pack(self, kind: Kind, address: Address | None, echo: int, extra: int) -> bytes:
        if kind != Kind.HELLO:
            extra |= PARTS | CLOCKS | BOOKS
        body = GREETING_BODY.pack(self._domain, self.token(address))
        return pack_frame(kind, self._id, echo, 0, body, extra=extra)
