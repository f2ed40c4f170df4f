"""Finds out what passes between this host and others: questions by ECHO, from fresh ports, and their answers.

Joins protocol/echo.py and greeting.py with sockets; what the results mean is said in diagnosis/peers.py.
"""

from __future__ import annotations

import errno
import os
import selectors
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ..addresses import LOOPBACK, Address
from ..facts import PeerFacts
from ..protocol.link.echo import ECHO_SIZE, Echo, pack_echo, unpack_echoed
from ..protocol.link.greeting import KNOCK, Greeter, domain_number
from ..protocol.wire import Frame, Kind, Malformed, frames
from ..transport.udp import GROUP_PORT, IP_UDP_HEADERS, LOOPBACK_DATAGRAM, LinkSocket

__all__ = ["Target", "probe"]

ROUNDS = (0.0, 0.1, 0.25, 0.45, 0.7)  # seconds at which what has not been answered is asked again
LAST = 0.95  # seconds until which answers are waited for
SAMPLES = 4  # round trips to measure
SIZES = (1_472, 1_252)  # datagrams of 1,500 and 1,280 bytes of IP, besides that of our MTU

What = Literal["near", "in", "out", "there", "back"]


@dataclass
class Target:
    """A host to be asked.

    Attributes:
        ports: where its node may be; cut down to the one that answered.
        mtu: of our interface on the way there.
        ours: our address there.
        second: the port that it names for questions of its firewall.
        best: (round trip in ns, s that its clock is ahead) of the shortest round trip.
    """

    name: str
    address: str
    ports: tuple[int, ...]
    asked_for: bool = False
    local: bool = False
    mtu: int = 1_500
    ours: str = ""
    version: str = ""
    state: str = "alive"
    second: int | None = None
    tries: int = 0
    answered: bool = False
    greeted: bool = False
    alive: bool = False
    unreachable: bool = False
    forbidden: bool = False
    refused: set[int] = field(default_factory=set)
    passed: set[tuple[What, int]] = field(default_factory=set)
    rtts: list[float] = field(default_factory=list)
    best: tuple[int, float] = (1 << 62, 0.0)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of datagrams that are tried."""
        most = min(self.mtu - IP_UDP_HEADERS, LOOPBACK_DATAGRAM)
        return () if self.local else tuple(sorted({most, *(size for size in SIZES if size < most)}))

    def open(self) -> list[tuple[What, int]]:
        """Give what is still to be asked, and with which size."""
        wanted: list[tuple[What, int]] = [("near", ECHO_SIZE)] if len(self.rtts) < SAMPLES else []
        if self.answered:
            tries: list[tuple[What, int]] = [("in", ECHO_SIZE)]
            tries += [("out", ECHO_SIZE)] if self.second else []
            tries += [(what, size) for size in self.sizes for what in ("there", "back")]
            wanted += [one for one in tries if one not in self.passed]
        return wanted

    def facts(self) -> PeerFacts:
        """Give what was found out."""
        rtt, clock = self.best
        return PeerFacts(
            self.name,
            self.address,
            self.ports[0] if len(self.ports) == 1 else None,
            self.asked_for,
            self.local,
            self.answered,
            self.greeted,
            refused=frozenset(self.refused),
            asked=self.ports,
            alive=self.alive,
            unreachable=self.unreachable,
            forbidden=self.forbidden,
            rtt=tuple(self.rtts),
            clock=clock if self.rtts else None,
            clock_error=rtt / 2e9,
            out=("out", ECHO_SIZE) in self.passed if self.second else None,
            in_=("in", ECHO_SIZE) in self.passed if self.second else None,
            mtu=self.mtu,
            sizes={
                size: (bool({("there", size), ("back", size)} & self.passed), ("back", size) in self.passed)
                for size in self.sizes
                if self.answered
            },  # fmt: skip
            version=self.version,
            state=self.state,
            ours=self.ours,
        )


class _Asked(NamedTuple):
    target: Target
    what: What
    size: int
    port: int
    sent: float
    sent_ns: int


class _Prober:
    """Asks targets, from two ports.

    To the first nothing but answers from the port of the link ever comes, to the second nothing but those from a port
    that it never sent to; and nothing was ever sent from a target's second port to the first. So no firewall takes for
    an answer what is none, and none drops an answer on the way of a question.
    """

    def __init__(self, targets: Sequence[Target], domain: str, host: str) -> None:
        self._targets = targets
        self._domain = domain_number(domain)
        self._id = int.from_bytes(os.urandom(8), "little") or 1
        self._greeter = Greeter(self._id, domain, os.urandom(32))
        self._asked: dict[int, _Asked] = {}
        self._near = LinkSocket(host, ())
        try:
            self._far = LinkSocket(host, ())
        except OSError:
            self._near.close()
            raise

    def close(self) -> None:
        """Close both sockets."""
        self._near.close()
        self._far.close()

    def run(self) -> None:
        """Ask until all is answered, or for LAST seconds."""
        start = time.monotonic()
        rounds = [start + at for at in ROUNDS]
        with selectors.DefaultSelector() as selector:
            for file in (self._near, self._far):
                selector.register(file, selectors.EVENT_READ)
            while (now := time.monotonic()) < start + LAST and any(target.open() for target in self._targets):
                if rounds and now >= rounds[0]:
                    del rounds[0]
                    for target in self._targets:
                        self._ask(target)
                until = rounds[0] if rounds else start + LAST
                selector.select(max(0.0, until - time.monotonic()))
                self._read()

    def _ask(self, target: Target) -> None:
        """Ask what is open.

        A host says only six times in a row, and then once a second, that nobody listens (icmp_ratelimit): so no port is
        asked twice at once, and the most telling come first.
        """
        if not target.answered:
            if not target.alive:  # nobody listens there: a host that lives says so
                self._greet(target, GROUP_PORT)
            for port in target.ports if target.tries else ():  # perhaps it is too old to know ECHO
                self._greet(target, port)
        target.tries += 1
        for what, size in target.open():
            for port in target.ports if what != "out" else (target.second or 0,):
                if port not in target.refused:
                    self._question(target, what, size, port)

    def _greet(self, target: Target, port: int) -> None:
        if port not in target.refused:
            address = target.address, port
            self._send(self._near, self._greeter.hello(address, KNOCK), address, target)

    def _question(self, target: Target, what: What, size: int, port: int) -> None:
        nonce = int.from_bytes(os.urandom(8), "little")
        answer = size if what == "back" else ECHO_SIZE
        packet = pack_echo(self._id, nonce, self._domain, size=size, answer=answer, aside=what == "in")
        self._asked[nonce] = _Asked(target, what, size, port, time.monotonic(), time.time_ns())
        self._send(self._far if what == "in" else self._near, packet, (target.address, port), target)

    def _send(self, source: LinkSocket, data: bytes, address: Address, target: Target) -> None:
        error = source.send_error(data, address)
        if error is not None:
            target.forbidden = target.forbidden or error.errno in (errno.EPERM, errno.EACCES)
            target.unreachable = target.unreachable or error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)

    def _read(self) -> None:
        for address, refused in (*self._near.failures(), *self._far.failures()):
            self._fail(address, refused)
        for source in (self._near, self._far):
            for _ in range(1_000):
                received = source.poll()
                if received is None:
                    break
                self._receive(*received, time.monotonic(), time.time_ns())

    def _fail(self, address: Address, refused: bool) -> None:
        for target in self._targets:
            if target.address != address[0]:
                continue
            if not refused:
                target.unreachable = True
            elif address[1] == GROUP_PORT:
                target.alive = True
            else:
                target.refused.add(address[1])

    def _receive(self, data: bytes, address: Address, now: float, now_ns: int) -> None:
        try:
            if len(data) > 3 and data[3] == Kind.ECHOED:
                self._receive_echoed(unpack_echoed(data), address, now, now_ns)
            else:
                for frame in frames(data):
                    self._receive_greeting(frame, address)
        except Malformed:
            pass

    def _receive_greeting(self, frame: Frame, address: Address) -> None:
        if frame.kind == Kind.WELCOME and frame.seq == self._greeter.token(address):
            for target in self._targets:
                if target.address == address[0] and address[1] in target.ports and not target.greeted:
                    target.greeted, target.ports = True, (address[1],)

    def _receive_echoed(self, echo: Echo, address: Address, now: float, now_ns: int) -> None:
        asked = self._asked.pop(echo.nonce, None)
        if asked is None or asked.target.address != address[0]:
            return
        target, new = asked.target, not asked.target.answered
        target.passed.add((asked.what, asked.size))
        target.second = echo.port or target.second
        if asked.what != "near":
            return
        if new:
            target.answered, target.ports = True, (asked.port,)
        target.rtts.append(now - asked.sent)
        trip = max(0, now_ns - asked.sent_ns)
        target.best = min(target.best, (trip, (echo.clock_ns - (asked.sent_ns + now_ns) // 2) / 1e9))
        if new:
            self._ask(target)
        elif len(target.rtts) < SAMPLES:
            self._question(target, "near", ECHO_SIZE, asked.port)


def probe(targets: Iterable[Target], domain: str, *, only_loopback: bool) -> list[PeerFacts]:
    """Ask hosts, all at the same time, for at most a second.

    Raises:
        TransportError: if there is no UDP socket to be had.
    """
    asked = list(targets)
    prober = _Prober(asked, domain, LOOPBACK if only_loopback else "")
    try:
        prober.run()
    finally:
        prober.close()
    return [target.facts() for target in asked]
