"""Tries out what this system allows, and how it is set. Knows system calls; nothing of what their results mean.

Nothing here raises, whatever the system lacks: what could not be found out is None, or a refused Trial.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from ..addresses import LOOPBACK, Address
from ..errors import TransportError
from ..facts import Trial
from .data import DataSocket
from .group import FanoutSocket, GroupSocket
from .kernel import SOL_UDP, UDP_GRO, UDP_SEGMENT, try_option

__all__ = ["Multicast", "buffer_got", "file_limits", "has_gro", "has_gso", "ports_taken", "rmem_max", "try_port"]

RMEM_MAX = Path("/proc/sys/net/core/rmem_max")

_MAX_READ = 1_000  # datagrams of a socket at a time


def rmem_max() -> int | None:
    """Return the bytes of receive buffer that the system allows a socket."""
    try:
        return int(RMEM_MAX.read_text())
    except (OSError, ValueError):
        return None


def buffer_got() -> int | None:
    """Return the bytes of kernel memory that a subscriber's socket gets."""
    try:
        probe = DataSocket(LOOPBACK)
    except OSError:
        return None
    with contextlib.closing(probe):
        return probe.capacity


def _has(option: int, value: int) -> bool | None:
    if sys.platform != "linux":
        return None
    try:
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    except OSError:
        return None
    with probe:
        return try_option(probe, SOL_UDP, option, value)


def has_gso() -> bool | None:
    """Tell whether the kernel cuts large sends into datagrams."""
    return _has(UDP_SEGMENT, 1_400)


def has_gro() -> bool | None:
    """Tell whether the kernel merges datagrams for a socket."""
    return _has(UDP_GRO, 1)


def file_limits() -> tuple[int, int] | None:
    """Return the soft and the hard limit of open descriptors; -1 for none."""
    try:
        import resource

        return resource.getrlimit(resource.RLIMIT_NOFILE)
    except (ImportError, OSError, ValueError):
        return None


def ports_taken(host: str, ports: Iterable[int]) -> int | None:
    """Count the UDP ports that cannot be bound now; None if no socket is to be had."""
    taken = 0
    for port in ports:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind((host, port))
                except OSError:
                    taken += 1
        except OSError:
            return None
    return taken


def try_port(group: str, port: int) -> Trial:
    """Find out whether a port for multicast can be had, and whether others have it too."""
    alone = ports_taken("", (port,)) == 0
    try:
        GroupSocket(group, port).close()
    except TransportError as error:
        reason = error.strerror or str(error)
        return Trial("taken" if error.errno == errno.EADDRINUSE else "refused", reason)
    except OSError as error:
        return Trial("refused", str(error))
    return Trial("works", shared=not alone)


class Multicast:
    """One group on one interface: what is sent there, and what of it comes back.

    Args:
        group: its address and port.
        interface: the index of the interface.
        address: one of the interface's addresses.

    Attributes:
        trial: how far it went until now: what the system refused, or empty before the first ``send``.
    """

    def __init__(self, group: Address, interface: int, address: str) -> None:
        self.trial = Trial()
        self._out: FanoutSocket | None = None
        self._in: GroupSocket | None = None
        self._sent: set[bytes] = set()
        try:
            self._in = GroupSocket(*group)
            if not self._in.join((interface,)):
                self.trial = Trial("not joined", "the interface takes no membership")
                return
            self._out = FanoutSocket(group, interface, address)
        except OSError as error:
            taken = self._in is None and error.errno == errno.EADDRINUSE
            self.trial = Trial("taken" if taken else "refused", error.strerror or str(error))

    @property
    def files(self) -> list[GroupSocket | FanoutSocket]:
        """What can be waited for."""
        return [file for file in (self._in, self._out) if file is not None]

    def send(self, data: bytes) -> None:
        """Send to the group."""
        if self._out is None:
            return
        try:
            self._out.send(data)
        except OSError as error:
            if self.trial.result is None:
                self.trial = Trial("not sent", error.strerror or str(error))
            return
        self._sent.add(data)
        if self.trial.result in (None, "not sent"):
            self.trial = Trial("not heard")

    def read(self) -> tuple[list[tuple[bytes, Address]], list[tuple[bytes, Address]]]:
        """Take what others sent to the group, and what came in answer; our own proves that the interface works."""
        heard = [one for one in _all_of(self._in) if not self._own(one[0])]
        return heard, _all_of(self._out)

    def _own(self, data: bytes) -> bool:
        if data not in self._sent:
            return False
        self.trial = Trial("works")
        return True

    def close(self) -> None:
        """Close both sockets. Once more does nothing."""
        for file in self.files:
            file.close()


def _all_of(source: GroupSocket | FanoutSocket | None) -> list[tuple[bytes, Address]]:
    return source.poll_all(_MAX_READ) if source is not None else []
