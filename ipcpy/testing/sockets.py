"""The sockets of a node on a bad network: what they send passes through a Weather. Know nothing of what it does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from functools import partial

from ..addresses import Address, Way
from ..transport.connected import ConnectedSocket
from ..transport.data import DataSocket
from ..transport.group import FanoutSocket
from ..transport.link import LinkSocket
from ..transport.sockets import Sockets
from .weather import Weather


def sockets_in(weather: Weather) -> Sockets:
    """Return the kinds of sockets that send through a weather; a node of them shows nothing by mDNS."""
    return Sockets(
        partial(WeatherDataSocket, weather),
        partial(WeatherConnectedSocket, weather),
        partial(WeatherFanoutSocket, weather),
        link=partial(WeatherLinkSocket, weather),
        mdns=False,
        memory=False,
    )


class WeatherDataSocket(DataSocket):
    """A subscriber's, whose answers pass."""

    def __init__(self, weather: Weather, host: str) -> None:
        super().__init__(host)
        self._weather = weather

    def sendto(self, data: bytes, address: Address, way: Way | None = None) -> None:
        """Send an answer."""
        send = super().sendto
        self._weather.pass_on(lambda data: send(data, address, way), data)


class WeatherConnectedSocket(ConnectedSocket):
    """A publisher's to one subscriber, whose messages pass."""

    def __init__(self, weather: Weather, address: Address, datagram: int, way: Way | None = None) -> None:
        super().__init__(address, datagram, way)
        self.lossy = True
        plain = self.send

        def send(data: bytes) -> int:
            weather.pass_on(plain, bytes(data))
            return len(data)

        self.send = send  # type: ignore[assignment]

    def send_many(self, datagrams: Iterable[Sequence[bytes | memoryview]], segment: int) -> None:
        """Send datagrams, one by one: each has a fate of its own."""
        for datagram in datagrams:
            self.send(b"".join(datagram))

    def send_joined(self, data: bytes, segment: int) -> None:
        """Send datagrams that lie end to end, one by one."""
        self.send_many([(data[at : at + segment],) for at in range(0, len(data), segment)], segment)


class WeatherFanoutSocket(FanoutSocket):
    """A publisher's to a group: a multicast that is lost is lost for all."""

    def __init__(self, weather: Weather, group: Address, interface: int, address: str) -> None:
        super().__init__(group, interface, address)
        self._weather = weather
        self.send = partial(weather.pass_on, self.send)  # type: ignore[assignment]

    def try_send(self, data: bytes, address: Address | None = None) -> None:
        """Send to the group or to one address."""
        send = super().try_send
        with contextlib.suppress(OSError):
            self._weather.pass_on(lambda data: send(data, address), data)


class WeatherLinkSocket(LinkSocket):
    """A node's, whose greetings and heartbeats pass."""

    def __init__(self, weather: Weather, host: str, ports: Iterable[int]) -> None:
        super().__init__(host, ports)
        self._weather = weather

    def sendto(self, data: bytes, address: Address, way: Way | None = None) -> bool:
        """Send by unicast."""
        send = super().sendto
        self._weather.pass_on(lambda data: send(data, address, way), data)
        return True

    def multicast(self, data: bytes, interface: int, address: str) -> bool:
        """Greet by multicast."""
        send = super().multicast
        self._weather.pass_on(lambda data: send(data, interface, address), data)
        return True
