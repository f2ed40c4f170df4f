"""UDP sockets as ipcpy uses them. Knows system calls and their errors; nothing of frames or peers.

Sockets that receive are in blocking mode, and whoever must not wait says so call by call (MSG_DONTWAIT): so a thread
that waits needs one system call for a datagram, and another may look meanwhile. See udp(7), ip(7), socket(7).
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from ..addresses import LOOPBACK, Address, is_loopback
from ..errors import TransportError

GROUP = "239.255.77.70"  # administratively scoped (RFC 2365): where nodes greet
GROUP_PORT = 17_769
BUFFER = 4 << 20  # bytes of receive buffer asked for; the system gives what it allows (net.core.rmem_max)
RECEIVE_SIZE = 65_536
MAX_PAYLOAD = 65_507  # 65,535 - 20 (IPv4) - 8 (UDP): what one call may send, in however many datagrams
MAX_MERGED = 64  # datagrams that one call sends or receives (UDP_MAX_SEGMENTS, UDP_GRO_CNT_MAX in the kernel)
LOOPBACK_DATAGRAM = 65_000  # loopback's MTU is 65,536: one packet each
IP_UDP_HEADERS = 28

_LINUX = sys.platform == "linux"
_DONTWAIT = getattr(socket, "MSG_DONTWAIT", 0)
CAN_WAIT = bool(_DONTWAIT)  # else sockets never block, and whoever waits has to poll
_IP_PKTINFO = 8
_IP_RECVERR = 11
_IP_MULTICAST_ALL = 49
_MSG_ERRQUEUE = 0x2000
_SO_MEMINFO = 55
_MEMINFO_DROPS = 8
_SOL_UDP = 17
_UDP_SEGMENT = 103
_UDP_GRO = 104
_SEND_TIMEOUT = struct.pack("ll", 0, 50_000)  # 50 ms: a device whose queue is stuck must not hold a publisher
_GONE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.EPERM}


def _udp() -> socket.socket:
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as error:
        if error.errno == errno.EMFILE and _raise_limit():
            return _udp()
        raise TransportError(error.errno, f"no UDP socket to be had: {error.strerror}") from error


def _raise_limit() -> bool:
    """Raise the soft limit of open files to the hard one; False if it is there already."""
    try:
        import resource
    except ImportError:
        return False
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= hard:
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return True


def _try(sock: socket.socket, level: int, option: int, value: int | bytes) -> bool:
    try:
        sock.setsockopt(level, option, value)
    except OSError:
        return False
    return True


def _drops(sock: socket.socket) -> int:
    if not _LINUX:
        return 0
    try:
        info = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
    except OSError:
        return 0
    return int(struct.unpack_from("=I", info, 4 * _MEMINFO_DROPS)[0]) if len(info) >= 36 else 0


class DataSocket:
    """A subscriber's socket.

    Args:
        host: the address to bind, ``127.0.0.1`` to be reached from this host only, or ``""``.
    """

    def __init__(self, host: str) -> None:
        self._sock = _udp()
        _try(self._sock, socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        if _LINUX:
            _try(self._sock, _SOL_UDP, _UDP_GRO, 1)
        try:
            self._sock.bind((host, 0))
        except OSError as error:
            self._sock.close()
            raise TransportError(error.errno, f"cannot bind a UDP socket to {host!r}: {error.strerror}") from error
        if not _DONTWAIT:
            self._sock.setblocking(False)
        self.port: int = self._sock.getsockname()[1]
        self.fileno = self._sock.fileno
        self.recvfrom = self._sock.recvfrom  # of RECEIVE_SIZE; BlockingIOError if none came within the timeout
        self.timeout: float | None = None

    def set_timeout(self, timeout: float | None) -> None:
        """Set the seconds that recvfrom waits, None for ever: the kernel keeps the time (SO_RCVTIMEO, socket(7)).

        Only where CAN_WAIT. So a wait is one system call; ``settimeout`` would poll first.
        """
        microseconds = 0 if timeout is None else max(1, int(timeout * 1e6))
        value = struct.pack("ll", *divmod(microseconds, 1_000_000))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self.timeout = timeout

    def receive_into(self, buffers: Sequence[bytearray | memoryview]) -> tuple[int, Address]:
        """Receive a datagram into buffers, one after the other; give its size and where it came from.

        Raises:
            BlockingIOError: if none came within the timeout.
        """
        size, _, _, address = self._sock.recvmsg_into(buffers)
        return size, address

    @property
    def capacity(self) -> int:
        """Bytes of kernel memory its buffer may take."""
        return self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def drops(self) -> int:
        """Count the datagrams the kernel dropped since the buffer was full; 0 where it does not tell."""
        return _drops(self._sock)

    def poll(self) -> tuple[bytes, Address] | None:
        """Receive a datagram if one is there."""
        try:
            return self.recvfrom(RECEIVE_SIZE, _DONTWAIT)
        except OSError:
            return None

    def poll_all(self, count: int, size: float) -> list[tuple[bytes, Address]]:
        """Receive the datagrams that are there, up to a count, and until they have so many bytes."""
        return _poll_all(self.recvfrom, count, size)

    def sendto(self, data: bytes, address: Address) -> None:
        """Send an answer; what the system refuses is lost like any datagram."""
        with contextlib.suppress(OSError):
            self._sock.sendto(data, _DONTWAIT, address)

    def wake(self) -> None:
        """Wake a thread that waits in recvfrom with an empty datagram from this host."""
        with contextlib.suppress(OSError):
            self._sock.sendto(b"", _DONTWAIT, (LOOPBACK, self.port))

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


def _segments(size: int) -> list[tuple[int, int, bytes]]:
    """Give the option to have a buffer sent as datagrams of a size (udp(7))."""
    return [(_SOL_UDP, _UDP_SEGMENT, struct.pack("=H", size))]


class ConnectedSocket:
    """A publisher's socket, connected to one subscriber's: so the kernel tells when nobody listens there any more.

    Attributes:
        lossy: whether datagrams may get lost on the way, as on any network; on loopback only a full buffer loses some.
    """

    def __init__(self, address: Address, datagram: int) -> None:
        self._sock = _udp()
        self.address = address
        self.lossy = address[0] != LOOPBACK
        self.datagram = datagram
        if _LINUX:
            _try(self._sock, socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_TIMEOUT)
        _try(self._sock, socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        try:
            self._sock.connect(address)
        except OSError as error:
            self._sock.close()
            raise TransportError(error.errno, f"no way to {address[0]}: {error.strerror}") from error
        if not _DONTWAIT:
            self._sock.setblocking(False)
        self.source: str = self._sock.getsockname()[0]
        self._gso = _LINUX
        self.fileno = self._sock.fileno
        self.send = self._sock.send

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self.fileno() == -1

    def poll(self) -> bytes | None:
        """Receive an answer if one is there.

        Raises:
            ConnectionRefusedError: if the other host said that nobody listens; a hint, for it can be forged.
        """
        try:
            return self._sock.recv(RECEIVE_SIZE, _DONTWAIT)
        except ConnectionRefusedError:
            raise
        except OSError:
            return None

    def send_many(self, datagrams: Sequence[Sequence[bytes | memoryview]], segment: int) -> None:
        """Send datagrams of equal size (the last may be shorter), each given as buffers, in as few calls as possible.

        Raises:
            OSError: the first refusal; what comes after it was not sent.
        """
        per_call = min(MAX_MERGED, MAX_PAYLOAD // segment) if self._gso and segment < 8_192 else 1
        at = 0
        while per_call > 1 and at < len(datagrams):
            try:
                self._sock.sendmsg(list(chain.from_iterable(datagrams[at : at + per_call])), _segments(segment))
                at += per_call
            except OSError as error:
                if error.errno not in (errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP):
                    raise
                self._gso = False  # a device without checksum offload, or an old kernel: one by one, then
                per_call = 1
        for datagram in datagrams[at:]:
            self._sock.sendmsg(datagram)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


class FanoutSocket:
    """A publisher's socket for one multicast group on one interface; answers come back to it by unicast."""

    def __init__(self, group: Address, interface: int, address: str) -> None:
        self._sock = _udp()
        self._group = group
        try:
            self._sock.bind((address, 0))
            option = struct.pack("=4s4sI", b"", socket.inet_aton(address), interface)
            self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, option)
            self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0 if is_loopback(address) else 1)
            self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        except OSError as error:
            self._sock.close()
            raise TransportError(error.errno, f"no multicast from {address}: {error.strerror}") from error
        if _LINUX:
            _try(self._sock, socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_TIMEOUT)
        if not _DONTWAIT:
            self._sock.setblocking(False)
        self.fileno = self._sock.fileno

    def send(self, data: bytes) -> None:
        """Send to the group.

        Raises:
            OSError: if the system would not take it.
        """
        self._sock.sendto(data, self._group)

    def try_send(self, data: bytes, address: Address | None = None) -> None:
        """Send to the group or to one address; what the system refuses is lost like any datagram."""
        with contextlib.suppress(OSError):
            self._sock.sendto(data, address or self._group)

    def poll(self) -> tuple[bytes, Address] | None:
        """Receive an answer if one is there."""
        try:
            return self._sock.recvfrom(RECEIVE_SIZE, _DONTWAIT)
        except OSError:
            return None

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


class LinkSocket:
    """The socket of a node's link: unicast both ways, and multicast out, by interface index.

    Args:
        host: the address to bind, ``127.0.0.1`` or ``""``.
        ports: the ports to try first; then any.
    """

    def __init__(self, host: str, ports: Iterable[int]) -> None:
        self._sock = _udp()
        self._sock.setblocking(False)
        _try(self._sock, socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        _try(self._sock, socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        _try(self._sock, socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        _try(self._sock, socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        if _LINUX:
            _try(self._sock, socket.IPPROTO_IP, _IP_RECVERR, 1)
        self._bind(host, ports)
        self.port: int = self._sock.getsockname()[1]
        self.fileno = self._sock.fileno

    def _bind(self, host: str, ports: Iterable[int]) -> None:
        for port in (*ports, 0):
            try:
                self._sock.bind((host, port))
                return
            except OSError as error:
                reason = error
        self._sock.close()
        raise TransportError(reason.errno, f"cannot bind a UDP socket to {host!r}: {reason.strerror}") from reason

    def poll(self) -> tuple[bytes, Address] | None:
        """Receive a datagram if one is there."""
        for _ in range(16):  # each refusal that is pending costs a call
            try:
                return self._sock.recvfrom(RECEIVE_SIZE)
            except BlockingIOError:
                return None
            except OSError:
                continue
        return None

    def failures(self) -> list[tuple[Address, bool]]:
        """Give the addresses at which nobody listens, as their hosts said (ICMP), with True; and those to which there
        is no way, as the network says, with False. Linux only.
        """
        found: list[tuple[Address, bool]] = []
        while _LINUX and len(found) < 256:
            try:
                _, options, _, address = self._sock.recvmsg(0, 512, _MSG_ERRQUEUE)
            except OSError:
                break
            for level, kind, data in options:
                code = int.from_bytes(data[:4], sys.byteorder) if (level, kind) == (0, _IP_RECVERR) else 0
                if code in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN):
                    found.append((address, code == errno.ECONNREFUSED))
        return found

    def sendto(self, data: bytes, address: Address) -> bool:
        """Send by unicast; False if the system would not take it."""
        return self.send_error(data, address) is None

    def send_error(self, data: bytes, address: Address) -> OSError | None:
        """Send by unicast, and give what the system said if it would not take it."""
        found: OSError | None = None
        for _ in range(2):  # the first call may only report an earlier refusal
            try:
                self._sock.sendto(data, address)
                return None
            except OSError as error:
                found = error
                if not isinstance(error, ConnectionRefusedError):
                    break
        return found

    def multicast(self, data: bytes, interface: int, address: str) -> bool:
        """Send to GROUP on the interface of an index, from one of its addresses; False if that is not possible now."""
        try:
            if _LINUX:
                info = struct.pack("=I4s4s", interface, socket.inet_aton(address), b"")
                self._sock.sendmsg([data], [(socket.IPPROTO_IP, _IP_PKTINFO, info)], 0, (GROUP, GROUP_PORT))
            else:
                option = struct.pack("=4s4sI", b"", b"", interface)
                self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, option)
                self._sock.sendto(data, (GROUP, GROUP_PORT))
        except ConnectionRefusedError:
            return self.multicast(data, interface, address)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


class GroupSocket:
    """Receives what is sent to GROUP, shared with every other node of the host.

    Only this port is bound with SO_REUSEADDR: a unicast port bound so can be taken over by any user of the host.
    """

    def __init__(self, group: str = GROUP, port: int = GROUP_PORT) -> None:
        self._group = group
        self._sock = _udp()
        self._sock.setblocking(False)
        self._joined: set[int] = set()
        _try(self._sock, socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        shared = socket.SO_REUSEADDR if _LINUX or sys.platform == "win32" else socket.SO_REUSEPORT
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, shared, 1)
            if _LINUX:
                _try(self._sock, socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
            self._sock.bind((group if sys.platform != "win32" else "", port))
        except OSError as error:
            self._sock.close()
            raise TransportError(error.errno, f"cannot share UDP port {port}: {error.strerror}") from error
        self.fileno = self._sock.fileno

    def join(self, interfaces: Iterable[int]) -> set[int]:
        """Be a member on exactly these interface indexes; give those on which it is."""
        wanted = set(interfaces)
        for index in self._joined - wanted:
            self._membership(socket.IP_DROP_MEMBERSHIP, index)
        self._joined = {index for index in wanted if index in self._joined or self._joins(index)}
        return self._joined

    def rejoin(self, interfaces: Iterable[int]) -> set[int]:
        """The same, with memberships that may have been lost with their addresses made anew."""
        for index in self._joined:
            self._membership(socket.IP_DROP_MEMBERSHIP, index)
        self._joined = set()
        return self.join(interfaces)

    def _joins(self, index: int) -> bool:
        return self._membership(socket.IP_ADD_MEMBERSHIP, index)

    def _membership(self, option: int, index: int) -> bool:
        return _try(
            self._sock,
            socket.IPPROTO_IP,
            option,
            struct.pack("=4s4sI", socket.inet_aton(self._group), b"", index),
        )

    def poll(self) -> tuple[bytes, Address] | None:
        """Receive a datagram if one is there."""
        try:
            return self._sock.recvfrom(RECEIVE_SIZE)
        except OSError:
            return None

    def poll_all(self, count: int) -> list[tuple[bytes, Address]]:
        """Receive the datagrams that are there, up to a count."""
        return _poll_all(self._sock.recvfrom, count, float("inf"))

    def drops(self) -> int:
        """Count the datagrams the kernel dropped since the buffer was full; 0 where it does not tell."""
        return _drops(self._sock)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


def _poll_all(
    receive: Callable[[int, int], tuple[bytes, Address]], count: int, size: float
) -> list[tuple[bytes, Address]]:
    found: list[tuple[bytes, Address]] = []
    try:
        while len(found) < count and size > 0:
            received = receive(RECEIVE_SIZE, _DONTWAIT)
            found.append(received)
            size -= len(received[0])
    except OSError:
        pass
    return found


def is_gone(error: OSError) -> bool:
    """Tell whether an error says that there is no way at the moment, rather than that a buffer is full."""
    return error.errno in _GONE


def resolve(host: str) -> list[str]:
    """Give the IPv4 addresses of a name; none if it cannot be resolved now. May take seconds."""
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_DGRAM)
    except OSError:
        return []
    return [str(info[4][0]) for info in found]


def host_name() -> str:
    """Give this host's own name."""
    return socket.gethostname()
