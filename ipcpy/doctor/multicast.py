"""Finds out what multicast does on each interface: greets, and listens for what comes back, who answers, who greets.

Joins the greetings of protocol/link/greeting.py with sockets. Does not know what the results mean: judge/interfaces.py
and judge/peers.py say that.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from ..addresses import Address
from ..discovery.check import question
from ..facts import Trial
from ..node.identity import new_id
from ..protocol.link.greeting import GREETING_BODY, Greeter, domain_number
from ..protocol.wire import Kind, Malformed, frames
from ..transport.group import GROUP, GROUP_PORT
from ..transport.interfaces import Interface
from ..transport.probes import Multicast

if TYPE_CHECKING:
    from ..sealing.keys import Keyring

__all__ = ["GREETING_GROUP", "MDNS_GROUP", "Greeted", "MulticastCheck"]

GREETING_GROUP: Address = (GROUP, GROUP_PORT)
MDNS_GROUP: Address = ("224.0.0.251", 5_353)  # RFC 6762, section 3
AGAIN = (0.0, 0.1, 0.3, 0.7)  # seconds at which is sent what has not come back; a greeting at all of them
MAX_GREETED = 4_096  # nodes that are remembered, of those that greeted and of those that answered


class Greeted(NamedTuple):
    """A node that greeted or answered: the address of its link, its id, the number of its domain."""

    address: Address
    id: int
    domain: int


class _Voice(NamedTuple):
    """What is put around greetings, and taken off; nothing for a node without a key."""

    sealed: Callable[[bytes], bytes] = lambda data: data
    heard: Callable[[bytes, Address], bytes] = lambda data, _: data
    answer: Callable[[bytes, Address], bytes] = lambda data, _: data


def _sealed_voice(keyring: Keyring) -> _Voice:
    """Return what seals with the first key, in a session of its own: each interface hears each greeting."""
    from ..sealing.seal import Seal

    seal = Seal(keyring)
    link = seal.link()
    return _Voice(lambda data: link.seal(data, None), seal.greetings().open, link.open)


class _Membership(NamedTuple):
    """What one interface takes part with: its two groups, and what is sent to them."""

    interface: Interface
    greeter: Greeter
    voice: _Voice
    group: Multicast
    mdns: Multicast
    hello: bytes
    question: bytes


class MulticastCheck:
    """Greets by multicast on some interfaces, and listens.

    Args:
        interfaces: those to be checked; one that is down or has no address is left out.
        domain: the domain that greets.
        keyring: the keys to greet with, and by which others are understood; None for none.

    Attributes:
        heard: nodes whose greetings came by multicast, of all domains.
        answered: nodes that answered our greetings.
    """

    def __init__(self, interfaces: Iterable[Interface], domain: str, keyring: Keyring | None = None) -> None:
        self._keyring = keyring
        self.heard: set[Greeted] = set()
        self.answered: set[Greeted] = set()
        self._own: set[int] = set()  # the ids by which we greet, one an interface
        self._domain = domain_number(domain)
        self._start = time.monotonic()
        self._due = list(AGAIN)
        self._selector = selectors.DefaultSelector()
        self._memberships = [self._join(each, domain) for each in interfaces if each.up and each.addresses]

    def _join(self, interface: Interface, domain: str) -> _Membership:
        address = interface.addresses[0]
        id = new_id()
        self._own.add(id)
        greeter = Greeter(id, domain, os.urandom(32))
        group = Multicast(GREETING_GROUP, interface.index, address)
        mdns = Multicast(MDNS_GROUP, interface.index, address)
        voice = _Voice() if self._keyring is None else _sealed_voice(self._keyring)
        made = _Membership(interface, greeter, voice, group, mdns, greeter.hello(None), question(id & 0xFFFF))
        for file in (*group.files, *mdns.files):
            self._selector.register(file, selectors.EVENT_READ, made)
        return made

    def run(self, until: float) -> None:
        """Greet and listen until a time (``time.monotonic``)."""
        while (now := time.monotonic()) < until:
            if self._due and now >= self._start + self._due[0]:
                del self._due[0]
                self._send()
            limit = min(until, self._start + self._due[0]) if self._due else until
            ready = self._selector.select(max(0.0, limit - time.monotonic()))
            for membership in {id(key.data): key.data for key, _ in ready}.values():
                self._read(membership)

    def _send(self) -> None:
        for each in self._memberships:
            each.group.send(each.voice.sealed(each.hello))
            if each.mdns.trial.result != "works":
                each.mdns.send(each.question)

    def _read(self, membership: _Membership) -> None:
        heard, answers = membership.group.read()
        for data, address in heard:
            self._take(membership.voice.heard(data, address), address, Kind.HELLO)
        for data, address in answers:
            answer = membership.voice.answer(data, address)
            self._take(answer, address, Kind.WELCOME, membership.greeter.token(None))
        membership.mdns.read()

    def _take(self, data: bytes, address: Address, kind: Kind, echo: int | None = None) -> None:
        """Take down who greeted, or who answered: an answer counts if it echoes what we sent."""
        found = self.heard if kind == Kind.HELLO else self.answered
        try:
            for frame in frames(data):
                is_own, is_full = frame.source in self._own, len(found) >= MAX_GREETED
                if frame.kind != kind or len(frame.body) != GREETING_BODY.size or is_own or is_full:
                    continue
                if echo is None or frame.seq == echo:
                    found.add(Greeted(address, frame.source, GREETING_BODY.unpack(frame.body)[0]))
        except Malformed:
            pass

    def strangers(self) -> list[Greeted]:
        """Return those heard that are in another domain."""
        return [one for one in self.heard if one.domain != self._domain]

    def fellows(self) -> set[Greeted]:
        """Return those of our domain that were heard, or answered."""
        return {one for one in self.heard | self.answered if one.domain == self._domain}

    def trials(self) -> dict[int, tuple[Trial, Trial]]:
        """Return how it went on each interface, by index: with the group of the greetings, and with that of mDNS."""
        return {each.interface.index: (each.group.trial, each.mdns.trial) for each in self._memberships}

    def close(self) -> None:
        """Listen no more."""
        self._selector.close()
        for each in self._memberships:
            each.group.close()
            each.mdns.close()
