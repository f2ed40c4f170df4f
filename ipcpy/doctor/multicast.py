"""Greets every interface by multicast and listens: whether it comes back, who answers, who else greets.

Joins protocol/greeting.py with sockets; what the results mean is said in diagnosis/.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Iterable
from typing import NamedTuple

from ..addresses import Address
from ..discovery.check import question
from ..facts import Trial
from ..protocol.link.greeting import GREETING_BODY, Greeter, domain_number
from ..protocol.wire import Kind, Malformed, frames
from ..transport.interfaces import Interface
from ..transport.probes import Multicast
from ..transport.udp import GROUP, GROUP_PORT

__all__ = ["MDNS_GROUP", "MDNS_PORT", "Greeted", "Hearing"]

MDNS_GROUP, MDNS_PORT = "224.0.0.251", 5_353
AGAIN = (0.0, 0.1, 0.3, 0.7)  # seconds at which is sent what has not come back; a greeting at all of them
MAX_HEARD = 4_096


class Greeted(NamedTuple):
    """A node that was heard: where its link is, its id, the number of its domain."""

    address: Address
    id: int
    domain: int


class _Ear(NamedTuple):
    interface: Interface
    greeter: Greeter
    group: Multicast
    mdns: Multicast
    hello: bytes
    question: bytes


class Hearing:
    """What is heard on some interfaces, from now on.

    Attributes:
        heard: nodes whose greetings came by multicast.
        answered: nodes that answered ours.
    """

    def __init__(self, interfaces: Iterable[Interface], domain: str) -> None:
        self.heard: set[Greeted] = set()
        self.answered: set[Greeted] = set()
        self._own: set[int] = set()
        self._domain = domain_number(domain)
        self._start = time.monotonic()
        self._due = list(AGAIN)
        self._selector = selectors.DefaultSelector()
        self._ears = [self._ear(each, domain) for each in interfaces if each.up and each.addresses]

    def _ear(self, interface: Interface, domain: str) -> _Ear:
        address = interface.addresses[0]
        id = int.from_bytes(os.urandom(8), "little") or 1
        self._own.add(id)
        greeter = Greeter(id, domain, os.urandom(32))
        group = Multicast((GROUP, GROUP_PORT), interface.index, address)
        mdns = Multicast((MDNS_GROUP, MDNS_PORT), interface.index, address)
        ear = _Ear(interface, greeter, group, mdns, greeter.hello(None), question(id & 0xFFFF))
        for file in (*group.files, *mdns.files):
            self._selector.register(file, selectors.EVENT_READ, ear)
        return ear

    def run(self, until: float) -> None:
        """Greet and listen until a time (``time.monotonic``)."""
        while (now := time.monotonic()) < until:
            if self._due and now >= self._start + self._due[0]:
                del self._due[0]
                self._send()
            limit = min(until, self._start + self._due[0]) if self._due else until
            ready = self._selector.select(max(0.0, limit - time.monotonic()))
            for ear in {id(key.data): key.data for key, _ in ready}.values():
                self._read(ear)

    def _send(self) -> None:
        for ear in self._ears:
            ear.group.send(ear.hello)
            if ear.mdns.trial.result != "works":
                ear.mdns.send(ear.question)

    def _read(self, ear: _Ear) -> None:
        heard, answers = ear.group.read()
        for data, address in heard:
            self._take(data, address, self.heard, Kind.HELLO, None)
        for data, address in answers:
            self._take(data, address, self.answered, Kind.WELCOME, ear.greeter.token(None))
        ear.mdns.read()

    def _take(self, data: bytes, address: Address, found: set[Greeted], kind: Kind, echo: int | None) -> None:
        try:
            for frame in frames(data):
                known = frame.source in self._own or len(found) >= MAX_HEARD
                if frame.kind == kind and len(frame.body) == GREETING_BODY.size and not known:
                    if echo is None or frame.seq == echo:
                        found.add(Greeted(address, frame.source, GREETING_BODY.unpack(frame.body)[0]))
        except Malformed:
            pass

    def strangers(self) -> list[Greeted]:
        """Give those heard that are in another domain."""
        return [one for one in self.heard if one.domain != self._domain]

    def fellows(self) -> set[Greeted]:
        """Give those of our domain that were heard, or answered."""
        return {one for one in self.heard | self.answered if one.domain == self._domain}

    def trials(self) -> dict[int, tuple[Trial, Trial]]:
        """Give how multicast by the greeting's group, and by that of mDNS, went on each interface index."""
        return {ear.interface.index: (ear.group.trial, ear.mdns.trial) for ear in self._ears}

    def close(self) -> None:
        """Listen no more."""
        self._selector.close()
        for ear in self._ears:
            ear.group.close()
            ear.mdns.close()
