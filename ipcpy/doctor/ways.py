"""Finds out what passes between this host and others: asks the nodes there by ECHO, and takes their answers.

Joins the questions of protocol/link/echo.py and the greetings of protocol/link/greeting.py with sockets. Does not know
what the results mean: judge/peers.py says that.
"""

from __future__ import annotations

import errno
import os
import selectors
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from ..addresses import LOOPBACK, Address, Way
from ..facts import PeerFacts
from ..node.identity import new_id
from ..protocol.link.echo import ECHO_SIZE, Echo, pack_echo, unpack_echoed
from ..protocol.link.greeting import KNOCK, Greeter, domain_number
from ..protocol.wire import Frame, Kind, Malformed, frames
from ..settings import LINK_PORTS
from ..transport.group import GROUP_PORT
from ..transport.kernel import IP_UDP_HEADERS, LOOPBACK_DATAGRAM
from ..transport.link import LinkSocket

__all__ = ["probe", "sizes_to_try"]

ROUNDS = (0.0, 0.1, 0.25, 0.45, 0.7, 1.0, 1.3)  # seconds at which what has not been answered is asked again
LAST = 1.6  # seconds until which answers are waited for
USUAL_FROM = 2  # rounds without an answer after which is asked from a usual link port too
SERIES = 100  # questions to a host that show how many datagrams get lost
SERIES_OF_ALL = 1_000  # questions of all series: of many hosts each is asked less
SERIES_PAUSE = 0.005  # seconds between two of them: no burst, which may get lost on a network that is well
SAMPLES = 4  # round trips to measure
SIZES = (1_472, 1_252)  # datagrams of 1,500 and 1,280 bytes of IP, besides that of our MTU
AT_ONCE = 1_000  # datagrams that are read from a socket before the other has its turn

What = Literal["near", "in", "out", "there", "back", "series"]
_LARGE: tuple[What, What] = ("there", "back")


class _Question(NamedTuple):
    """What a question is to find out, and its size in bytes.

    ``near`` goes to the port of the link and is answered from there: it takes the round trip. ``in`` is answered from
    the second port of the node, and ``out`` is sent to that port. ``there`` is a large question with a small answer,
    ``back`` a large one with an answer as large. ``series`` is one of many that are only counted.
    """

    what: What
    size: int = ECHO_SIZE


class _Asked(NamedTuple):
    """A question that was sent: to whom, from where, to which port, and when (by ``time.monotonic`` and in ns)."""

    way: _Way
    question: _Question
    source: LinkSocket
    port: int
    sent: float
    sent_ns: int


class _Way:
    """The way to one host: what is known of it so far, and what is still to be asked.

    Attributes:
        facts: what is known so far.
        tries: how often it was asked.
        second: the second port, which the node there names in its answers; 0 while none is known.
        source: our socket to which the node's answers come; None while no answer came.
        passed: the questions that were answered.
    """

    def __init__(self, facts: PeerFacts, series: int) -> None:
        self.facts = facts
        self.tries = 0
        self.source: LinkSocket | None = None
        self._series = 0 if facts.local else series
        self.second = 0
        self.passed: set[_Question] = set()
        self._shortest_ns = 1 << 62  # of the round trips; the clocks are compared by that one

    def learn(self, **changes: Any) -> None:
        """Take down facts."""
        self.facts = replace(self.facts, **changes)

    def open(self) -> list[_Question]:
        """Return what is still to be asked."""
        wanted = [_Question("near")] if len(self.facts.rtt) < SAMPLES else []
        if self.facts.answered:
            tries = [_Question("in"), *([_Question("out")] if self.second else [])]
            tries += [_Question(what, size) for size in sizes_to_try(self.facts) for what in _LARGE]
            wanted += [question for question in tries if question not in self.passed]
        return wanted

    def series_open(self) -> bool:
        """Tell whether the series has more questions to ask."""
        return self.facts.answered and self.facts.asked < self._series

    def waiting(self) -> bool:
        """Tell whether something is still to be asked, or to be answered."""
        return bool(self.open()) or self.series_open() or self.facts.lost > 0

    def take_trip(self, asked: _Asked, clock_ns: int, now: float, now_ns: int) -> None:
        """Take down a round trip, in the middle of which the clock there showed ``clock_ns``."""
        self.learn(rtt=(*self.facts.rtt, now - asked.sent))
        trip = max(0, now_ns - asked.sent_ns)
        if trip < self._shortest_ns:
            self._shortest_ns = trip
            self.learn(clock=(clock_ns - (asked.sent_ns + now_ns) // 2) / 1e9, clock_error=trip / 2e9)

    def result(self) -> PeerFacts:
        """Return all that was found out."""
        if _Question("in") in self.passed:
            self.learn(usual_only=False)
        if self.second:
            self.learn(out=_Question("out") in self.passed, in_=_Question("in") in self.passed)
        if self.facts.answered:
            self.learn(sizes={size: self._passed(size) for size in sizes_to_try(self.facts)})
        return self.facts

    def _passed(self, size: int) -> tuple[bool, bool]:
        """Tell whether a datagram of a size arrived there, and whether one came back."""
        there, back = (_Question(what, size) in self.passed for what in _LARGE)
        return there or back, back


def sizes_to_try(facts: PeerFacts) -> tuple[int, ...]:
    """Return the sizes of the datagrams that are to be tried on the way to a host; none on this host."""
    most = min(facts.mtu - IP_UDP_HEADERS, LOOPBACK_DATAGRAM)
    return () if facts.local else tuple(sorted({most, *(size for size in SIZES if size < most)}))


class _Prober:
    """Asks several hosts at the same time, from three ports.

    The first port sends to link ports and hears link ports. The second port hears second ports, to which it never sent
    anything. So no firewall takes a datagram that nobody asked for as an answer, and none drops an answer because of
    an earlier datagram. The third is one of the usual link ports: a firewall here that does not remember what was asked
    lets answers come to those alone.
    """

    def __init__(
        self,
        ways: Sequence[_Way],
        domain: str,
        host: str,
        way_to: Callable[[str], Way | None],
        link: Callable[[str, Iterable[int]], LinkSocket],
    ) -> None:
        self._ways = ways
        self._way_to = way_to
        self._domain = domain_number(domain)
        self._id = new_id()
        self._greeter = Greeter(self._id, domain, os.urandom(32))
        self._asked: dict[int, _Asked] = {}  # by nonce
        with ExitStack() as stack:
            self._near = stack.enter_context(closing(link(host, ())))
            self._far = stack.enter_context(closing(link(host, ())))
            self._usual = stack.enter_context(closing(link(host, LINK_PORTS)))
            self._sockets = (self._near, self._far, self._usual)
            self._open = stack.pop_all()

    def close(self) -> None:
        """Close the sockets."""
        self._open.close()

    def run(self) -> None:
        """Ask until all is answered, or for LAST seconds."""
        start = time.monotonic()
        rounds, series = [start + at for at in ROUNDS], start
        with selectors.DefaultSelector() as selector:
            for file in self._sockets:
                selector.register(file, selectors.EVENT_READ)
            while (now := time.monotonic()) < start + LAST and any(way.waiting() for way in self._ways):
                if rounds and now >= rounds[0]:
                    del rounds[0]
                    for way in self._ways:
                        self._ask(way)
                if now >= series:
                    series = now + SERIES_PAUSE
                    self._go_on_with_series()
                until = rounds[0] if rounds else start + LAST
                if any(way.series_open() for way in self._ways):
                    until = min(until, series)
                selector.select(max(0.0, until - time.monotonic()))
                self._read()

    # -- asking --------------------------------------------------------------------------------------------------------

    def _ask(self, way: _Way) -> None:
        """Ask what is open.

        A host says only six times in a row, and then once a second, that nobody listens (icmp_ratelimit): so no port is
        asked twice at once, and the most telling ones come first.
        """
        facts = way.facts
        if not facts.answered:
            if not facts.alive:  # nobody listens at that port: a host that lives says so
                self._greet(way, GROUP_PORT)
            for port in facts.ports if way.tries else ():  # perhaps the node there is too old to know ECHO
                self._greet(way, port)
        way.tries += 1
        sources = [way.source or self._near]
        if way.source is None and way.tries > USUAL_FROM:
            sources.append(self._usual)
        if facts.usual_only:  # or did those before get lost?
            self._question(way, _Question("near"), facts.ports[0], self._near)
        for question in way.open():
            for port in facts.ports if question.what != "out" else (way.second,):
                for source in sources:
                    self._question(way, question, port, source)

    def _go_on_with_series(self) -> None:
        for way in self._ways:
            if way.series_open() and way.source is not None:
                way.learn(asked=way.facts.asked + 1, lost=way.facts.lost + 1)  # lost until its answer comes
                self._question(way, _Question("series"), way.facts.ports[0], way.source)

    def _greet(self, way: _Way, port: int) -> None:
        if port not in way.facts.refused:
            address = way.facts.address, port
            self._send(self._near, self._greeter.hello(address, KNOCK), address, way)

    def _question(self, way: _Way, question: _Question, port: int, source: LinkSocket) -> None:
        if port in way.facts.refused:
            return
        what, size = question
        aside = what == "in"
        size = max(ECHO_SIZE, size - source.overhead)  # on its way it has the size that is tried
        answer = size if what == "back" else ECHO_SIZE
        nonce = int.from_bytes(os.urandom(8), "little")
        packet = pack_echo(self._id, nonce, self._domain, size=size, answer=answer, aside=aside)
        self._asked[nonce] = _Asked(way, question, source, port, time.monotonic(), time.time_ns())
        self._send(self._far if aside else source, packet, (way.facts.address, port), way)

    def _send(self, source: LinkSocket, data: bytes, address: Address, way: _Way) -> None:
        error = source.send_error(data, address, self._way_to(address[0]))
        if error is None:
            return
        if error.errno in (errno.EPERM, errno.EACCES):
            way.learn(forbidden=True)
        elif error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
            way.learn(unreachable=True)

    # -- answers -------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        for source in self._sockets:
            for address, refused in source.failures():
                self._fail(address, refused)
            for _ in range(AT_ONCE):
                received = source.poll()
                if received is None:
                    break
                self._receive(*received, time.monotonic(), time.time_ns())

    def _fail(self, address: Address, refused: bool) -> None:
        host, port = address
        for way in self._ways:
            if way.facts.address != host:
                continue
            if not refused:
                way.learn(unreachable=True)
            elif port == GROUP_PORT:
                way.learn(alive=True)
            else:
                way.learn(refused=way.facts.refused | {port})

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
        if frame.kind != Kind.WELCOME or frame.seq != self._greeter.token(address):
            return
        host, port = address
        for way in self._ways:
            if way.facts.address == host and port in way.facts.ports and not way.facts.greeted:
                way.learn(greeted=True, ports=(port,))

    def _receive_echoed(self, echo: Echo, address: Address, now: float, now_ns: int) -> None:
        asked = self._asked.pop(echo.nonce, None)
        if asked is None or asked.way.facts.address != address[0]:
            return
        way, is_first = asked.way, not asked.way.facts.answered
        way.second = echo.port or way.second
        if asked.question.what == "series":
            way.learn(lost=way.facts.lost - 1)
            return
        way.passed.add(asked.question)
        if asked.question.what != "near":
            return
        if is_first:
            way.source = asked.source
            way.learn(answered=True, ports=(asked.port,), usual_only=asked.source is self._usual)
        elif asked.source is self._near:
            way.learn(usual_only=False)
        way.take_trip(asked, echo.clock_ns, now, now_ns)
        if is_first:
            self._ask(way)
        elif len(way.facts.rtt) < SAMPLES:
            self._question(way, asked.question, asked.port, asked.source)


def probe(
    hosts: Iterable[PeerFacts],
    domain: str,
    *,
    only_loopback: bool,
    way_to: Callable[[str], Way | None] = lambda _: None,
    link: Callable[[str, Iterable[int]], LinkSocket] = LinkSocket,
) -> list[PeerFacts]:
    """Ask hosts, all at the same time, for at most 1.6 seconds.

    Args:
        hosts: what is known of each: its address, the ports at which its node may be, the MTU of the way there.
        domain: the domain of the nodes that are to answer.
        only_loopback: whether nothing may leave this host.
        way_to: returns how to leave for an address; None where the system may choose.
        link: makes a socket as those of a link are: sealed where our node has a key.

    Returns:
        The same facts in the same order, with what the answers told.

    Raises:
        TransportError: if there is no UDP socket to be had.
    """
    known = list(hosts)
    ways = [_Way(facts, min(SERIES, SERIES_OF_ALL // len(known))) for facts in known]
    prober = _Prober(ways, domain, LOOPBACK if only_loopback else "", way_to, link)
    try:
        prober.run()
    finally:
        prober.close()
    return [way.result() for way in ways]
