"""The mDNS group, joined on some interfaces by an instance of zeroconf. Knows zeroconf's engine, and options of sockets
on Linux; nothing of when something is said, or of what is heard.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from ..addresses import is_loopback
from ..importing import importing
from .hearing import listener
from .saying import records_of

if TYPE_CHECKING:
    from asyncio import Future

    from zeroconf import DNSOutgoing, DNSRecord, ServiceInfo, Zeroconf  # type: ignore[attr-defined]  # exported, though not in __all__

__all__ = ["Channel"]

GOODBYE_GAP = 0.01  # seconds between the two goodbyes, so that a burst of loss does not take both
_SOL_SOCKET, _SO_BINDTODEVICE, _IPPROTO_IP, _IP_MULTICAST_ALL, _IP_UNICAST_IF = 1, 25, 0, 49, 50  # of Linux


class Channel:
    """One instance of zeroconf at a time. Every method but ``abandon`` is for the event loop.

    Args:
        hear: called with the records of each packet.
    """

    def __init__(self, hear: Callable[[list[DNSRecord]], None]) -> None:
        self._hear = hear
        self._zeroconf: Zeroconf | None = None
        self._saying: dict[str, Future[None]] = {}  # by the name of the service: what is said several times in a row
        self._records: dict[str, frozenset[DNSRecord]] = {}  # of the services that are announced
        self._own: frozenset[DNSRecord] = frozenset()  # all of them
        self._descriptors: tuple[int, ...] = ()

    async def join(self, addresses: Sequence[str]) -> list[str]:
        """Open sockets one interface after the other, so that each fails alone.

        Args:
            addresses: IPv4 addresses of the interfaces.

        Returns:
            The addresses whose interfaces work.

        Raises:
            Exception: what zeroconf raises if port 5353 cannot be had.
        """
        from zeroconf import IPVersion, Zeroconf

        self._zeroconf = instance = Zeroconf(interfaces=[], ip_version=IPVersion.V4Only, use_asyncio=True)
        _answer_by_senders(instance)
        instance.async_add_listener(listener(self._hear, self._is_own), None)
        joined: list[str] = []
        for address in addresses:
            before = len(instance.engine.senders)
            with suppress(OSError):
                await instance.async_update_interfaces([*joined, address])
            if len(instance.engine.senders) > before:
                joined.append(address)
        self._descriptors = tuple({each.fileno for each in (*instance.engine.readers, *instance.engine.senders)})
        _confine(instance, to_host=all(is_loopback(address) for address in joined))
        _bind_senders(instance)
        return joined

    async def leave(self, *, goodbye: bool) -> None:
        """Close the sockets, if there are any.

        Args:
            goodbye: whether to tell first that the service ends, so that browsers drop it at once.
        """
        import asyncio

        instance, self._zeroconf = self._zeroconf, None
        self._records.clear()
        for name in list(self._saying):
            self._hush(name)
        if instance is None:
            return
        with importing.lock:
            from zeroconf.asyncio import AsyncZeroconf

        farewell = instance.generate_unregister_all_services()  # and none are left for close() to take its time over
        if goodbye and farewell is not None:
            instance.async_send(farewell)
            await asyncio.sleep(GOODBYE_GAP)
            instance.async_send(farewell)
        self._descriptors = ()
        await AsyncZeroconf(zc=instance).async_close()

    def abandon(self) -> None:
        """Let go of the sockets in a forked child.

        The objects that hold them may be in any state and their thread is gone, so the descriptors are pointed
        elsewhere: closing them later then hits nobody.
        """
        descriptors, self._descriptors = self._descriptors, ()
        with suppress(OSError), open(os.devnull, "rb") as nothing:
            for descriptor in descriptors:
                os.dup2(nothing.fileno(), descriptor, inheritable=False)

    async def announce(self, info: ServiceInfo) -> None:
        """Announce a service and answer for it from now on; once for each after each ``join``."""
        if self._zeroconf is not None:
            self._hush(info.name)
            self._keep(info.name, records_of(info))
            self._saying[info.name] = await self._zeroconf.async_register_service(info, cooperating_responders=True)  # type: ignore[assignment]

    async def update(self, info: ServiceInfo) -> None:
        """Announce what changed of the service."""
        if self._zeroconf is not None:
            self._hush(info.name)
            self._keep(info.name, records_of(info))
            self._saying[info.name] = await self._zeroconf.async_update_service(info)  # type: ignore[assignment]

    async def withdraw(self, name: str, *, goodbye: bool) -> None:
        """Announce a service no more, and answer for it no more.

        Args:
            name: the full name of the service.
            goodbye: whether to tell that it ends, so that browsers drop it at once.
        """
        self._hush(name)
        self._keep(name, frozenset())
        info = self._zeroconf.registry.async_get_info_name(name.lower()) if self._zeroconf is not None else None
        if self._zeroconf is not None and info is not None:
            if goodbye:
                self._saying[name] = await self._zeroconf.async_unregister_service(info)  # type: ignore[assignment]
            else:
                self._zeroconf.registry.async_remove(info)

    def _hush(self, name: str) -> None:
        if (saying := self._saying.pop(name, None)) is not None:
            saying.cancel()

    def _keep(self, name: str, records: frozenset[DNSRecord]) -> None:
        self._records.pop(name, None)
        if records:
            self._records[name] = records
        self._own = frozenset().union(*self._records.values())

    def send(self, query: DNSOutgoing) -> None:
        """Send a question to the group, on every interface."""
        if self._zeroconf is not None:
            self._zeroconf.async_send(query)

    def _is_own(self, record: DNSRecord) -> bool:
        """Tell whether zeroconf should remember a record: ours, so as not to repeat it within a second."""
        return record in self._own


def _confine(instance: Zeroconf, *, to_host: bool) -> None:
    """Hear only groups that this socket joined itself, and with loopback alone only what came over loopback.

    A socket on port 5353 otherwise also gets what came for another program of this host over another interface.
    """
    if sys.platform != "linux":
        return
    for reader in instance.engine.readers:
        with suppress(OSError):
            reader.sock.setsockopt(_IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        if to_host:
            with suppress(OSError):
                reader.sock.setsockopt(_SOL_SOCKET, _SO_BINDTODEVICE, b"lo\0")


def _answer_by_senders(instance: Zeroconf) -> None:
    """Have whoever is answered alone (RFC 6762, 6.7) answered by the socket of the interface that is nearest to him.

    zeroconf answers by the socket that heard the question, which is bound to no interface: the answer would leave by
    whatever card the routes say, also by one that is not to be used.
    """
    send = instance.async_send

    def nearest(out: DNSOutgoing, addr: str | None = None, *arguments: Any, **named: Any) -> None:
        senders = instance.engine.senders
        if addr is not None and senders:
            by = max(senders, key=lambda each: _common(each.sock_name[0], addr))
            named["transport"] = by
            arguments = arguments[:2]
        send(out, addr, *arguments, **named)

    instance.async_send = nearest  # type: ignore[method-assign]


def _common(one: str, other: str) -> int:
    """Return how many bits two IPv4 addresses begin with alike."""
    return 32 - (int(IPv4Address(one)) ^ int(IPv4Address(other))).bit_length()


def _bind_senders(instance: Zeroconf) -> None:
    """Have what is sent by the socket of an interface leave there, whatever the routes say."""
    if sys.platform != "linux":
        return
    with importing.lock:
        import ifaddr

    indexes = {each.ip: card.index for card in ifaddr.get_adapters() for each in card.ips}
    for sender in instance.engine.senders:
        index = indexes.get(sender.sock_name[0])
        if index is not None:
            with suppress(OSError):
                sender.sock.setsockopt(_IPPROTO_IP, _IP_UNICAST_IF, index.to_bytes(4, "big"))
