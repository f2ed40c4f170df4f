"""UDP as the kernel has it: sizes, option numbers and values, and its refusals turned into one error.

Knows udp(7), ip(7) and socket(7); nothing of what a socket is for, and nothing of frames or peers.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
from collections.abc import Iterator

from ..errors import TransportError

if sys.platform != "win32":
    import resource  # here and not where it is used: there no descriptor is left to read its file with

LINUX = sys.platform == "linux"
DONTWAIT = getattr(socket, "MSG_DONTWAIT", 0)
CAN_WAIT = bool(DONTWAIT)  # else sockets never block, and whoever waits has to poll

BUFFER = 4 << 20  # bytes that a socket asks for; the system gives what it allows (net.core.rmem_max, wmem_max)
IP_UDP_HEADERS = 28  # 20 (IPv4) + 8 (UDP)
MAX_PAYLOAD = 65_507  # 65,535 - 28: what one call may send, in however many datagrams
RECEIVE_SIZE = 65_536  # more than any datagram has
MAX_MERGED = 64  # datagrams that one call sends or receives (UDP_MAX_SEGMENTS, UDP_GRO_CNT_MAX in the kernel)
LOOPBACK_DATAGRAM = 65_000  # loopback's MTU is 65,536: one packet each

# Python's socket module has no names for these numbers of Linux (include/uapi/linux/in.h, udp.h, socket.h).
IP_PKTINFO = 8
IP_RECVERR = 11
IP_MULTICAST_ALL = 49
MSG_ERRQUEUE = 0x2000
SO_MEMINFO = 55
SOL_UDP = 17
UDP_SEGMENT = 103
UDP_GRO = 104

SEND_TIMEOUT = struct.pack("ll", 0, 50_000)  # 50 ms: a device whose queue is stuck must not hold a publisher

_MEMINFO_SIZE = 36  # 9 numbers of 32 bits (SK_MEMINFO_VARS)
_MEMINFO_DROPS = 4 * 8  # the last of them (SK_MEMINFO_DROPS)


@contextlib.contextmanager
def refusals_as(sentence: str, sock: socket.socket | None = None) -> Iterator[None]:
    """Turn what the system refuses in a ``with`` block into a TransportError that begins with a sentence.

    Args:
        sentence: what cannot be done, such as ``no way to 10.0.0.1``.
        sock: a socket that the block sets up; it is closed if the block fails, for whatever reason.

    Raises:
        TransportError: with the errno and the words of the system's refusal.
    """
    try:
        yield
    except BaseException as error:
        if sock is not None:
            sock.close()
        if isinstance(error, OSError):
            raise TransportError(error.errno, f"{sentence}: {error.strerror or error}") from error
        raise


def udp_socket(*, blocking: bool = True) -> socket.socket:
    """Open a UDP socket for IPv4.

    Where the process has too many open files, its soft limit is raised to the hard one, and the system is asked once
    more.

    Args:
        blocking: whether calls wait unless they say DONTWAIT; where the platform has no DONTWAIT, they never wait.

    Raises:
        TransportError: the system has no socket for us.
    """
    with refusals_as("no UDP socket to be had"):
        sock = _open()
    if not (blocking and CAN_WAIT):
        sock.setblocking(False)
    return sock


def _open() -> socket.socket:
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
    _raise_file_limit()
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # also after no raise: another thread's may have come first


def _raise_file_limit() -> None:
    """Raise the soft limit of open files to the hard one, where the platform has such limits and allows it."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def try_option(sock: socket.socket, level: int, option: int, value: int | bytes) -> bool:
    """Set an option of a socket, and tell whether the system took it."""
    try:
        sock.setsockopt(level, option, value)
    except OSError:
        return False
    return True


def enlarge(sock: socket.socket, *buffers: int) -> None:
    """Ask for BUFFER bytes for each of a socket's buffers, named by ``SO_RCVBUF`` and ``SO_SNDBUF``."""
    for buffer in buffers:
        try_option(sock, socket.SOL_SOCKET, buffer, BUFFER)


def drops(sock: socket.socket) -> int:
    """Count the datagrams the kernel dropped since the buffer was full; 0 where it does not tell."""
    if not LINUX:
        return 0
    try:
        info = sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO_SIZE)
    except OSError:
        return 0
    return int(struct.unpack_from("=I", info, _MEMINFO_DROPS)[0]) if len(info) >= _MEMINFO_SIZE else 0


def ip_mreqn(interface: int, *, group: str = "0.0.0.0", address: str = "0.0.0.0") -> bytes:
    """Return the value (ip_mreqn of ip(7)) of the options of multicast: to join, to leave, to send from an interface.

    Args:
        interface: its index.
        group: the group to join or leave.
        address: of this host, on that interface; the kernel chooses by the index if there is none.

    Raises:
        OSError: a text is no IPv4 address.
    """
    return struct.pack("=4s4sI", socket.inet_aton(group), socket.inet_aton(address), interface)


def in_pktinfo(interface: int, source: str) -> bytes:
    """Return the value (in_pktinfo of ip(7)) that has one datagram leave by an interface, from one of its addresses.

    Raises:
        OSError: the source is no IPv4 address.
    """
    return struct.pack("=I4s4s", interface, socket.inet_aton(source), b"")
