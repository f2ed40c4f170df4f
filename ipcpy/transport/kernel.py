"""UDP as the kernel has it: sizes, option numbers and values, and its refusals turned into one error.

Knows udp(7), ip(7) and socket(7); nothing of what a socket is for, and nothing of frames or peers.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
import threading
from collections.abc import Iterator

from ..addresses import NOWHERE, Address, Way
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
IP_UNICAST_IF = 50
IP_MULTICAST_ALL = 49
MSG_ERRQUEUE = 0x2000
SO_MEMINFO = 55
SOL_UDP = 17
UDP_SEGMENT = 103
UDP_GRO = 104
_WINDOWS_UNICAST_IF = 31

SEND_TIMEOUT = 0.05  # seconds: a device whose queue is stuck must not hold a publisher
GREENLETS = frozenset(("gevent", "eventlet"))
PATCHED = (
    "{} has replaced the sockets or threads of this process, and ipcpy needs the system's. Leave them: "
    "monkey.patch_all(socket=False, thread=False, select=False); wait for messages in gevent.get_hub().threadpool"
)

TIME64 = (66, 67)  # SO_RCVTIMEO_NEW and SO_SNDTIMEO_NEW: Python's numbers on 32-bit Linux where time has 64 bits

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
    sock.setblocking(blocking and CAN_WAIT)  # always: the program may have called socket.setdefaulttimeout
    return sock


def _open() -> socket.socket:
    if patched := {str(each.__module__).partition(".")[0] for each in (socket.socket, threading.Lock)} & GREENLETS:
        raise OSError(errno.EOPNOTSUPP, PATCHED.format(patched.pop()))
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


def timeval(option: int, seconds: float) -> bytes:
    """Return seconds as SO_RCVTIMEO and SO_SNDTIMEO take them (socket(7)): a microsecond at least; 0 for ever.

    A timeval is two numbers of the size that ``long`` has. Where ``long`` has 32 bits and time has 64, the options have
    other numbers, and take two numbers of 64 bits.
    """
    microseconds = max(1, int(seconds * 1e6)) if seconds else 0
    return struct.pack("=qq" if option in TIME64 else "@ll", *divmod(microseconds, 1_000_000))


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


def membership(group: str, interface: int, platform: str = sys.platform) -> bytes:
    """Return the value of the options that join and leave a group on an interface.

    Linux takes an ip_mreqn (ip(7)), which holds the index. macOS and Windows take an ip_mreq, which holds an address,
    and read 0.0.0.7 as the interface with the index 7 (ip(4) of macOS; IPPROTO_IP socket options of Windows).

    Raises:
        OSError: the group is no IPv4 address, or the interface has no index: the system would choose another one.
    """
    packed = socket.inet_aton(group)
    if platform == "linux":
        return struct.pack("=4s4sI", packed, b"", interface)
    return packed + _as_address(interface)


def multicast_from(interface: int, address: str, platform: str = sys.platform) -> bytes:
    """Return the value of the option that has multicast leave by an interface (IP_MULTICAST_IF).

    Args:
        interface: its index.
        address: of this host, on that interface; only Linux looks at it.

    Raises:
        OSError: the address is none, or the interface has no index: the system would choose another one.
    """
    packed = socket.inet_aton(address)
    if platform == "linux":
        return struct.pack("=4s4sI", b"", packed, interface)
    return _as_address(interface)


def _as_address(interface: int) -> bytes:
    if not 0 < interface < 1 << 24:
        raise OSError(errno.EADDRNOTAVAIL, f"the interface has no index, but {interface}")
    return struct.pack("!I", interface)


def bind_to(sock: socket.socket, way: Way) -> None:
    """Have all that a socket sends leave by one way; before ``connect``, which chooses the route.

    A Linux before 6.1 has ``connect`` choose by its routes alone, and macOS always does. To bind the socket to the
    device would be no remedy: it would not hear what comes in by another card of the subnet, as answers may
    (arp_ignore).

    Raises:
        OSError: the address is not ours (any more), or there is no such interface.
    """
    if way == NOWHERE:
        raise OSError(errno.ENETUNREACH, "none of the interfaces that the settings name is up")
    sock.bind((way.source, 0))
    if not way.interface:
        return
    if LINUX:
        sock.setsockopt(socket.IPPROTO_IP, IP_UNICAST_IF, struct.pack("!I", way.interface))
    elif sys.platform == "win32":
        sock.setsockopt(socket.IPPROTO_IP, _WINDOWS_UNICAST_IF, struct.pack("!I", way.interface))


def send_by(sock: socket.socket, data: bytes, address: Address, way: Way | None, flags: int = 0) -> None:
    """Send a datagram by a way, where the system can be told so (Linux); None, and elsewhere, for the system's choice.

    Raises:
        OSError: the system would not take it, or it may not leave.
    """
    if way is None:
        sock.sendto(data, flags, address)
    elif way == NOWHERE:
        raise OSError(errno.ENETUNREACH, "none of the interfaces that the settings name is up")
    elif LINUX:
        sock.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, in_pktinfo(*way))], flags, address)
    else:
        sock.sendto(data, flags, address)


def in_pktinfo(interface: int, source: str) -> bytes:
    """Return the value (in_pktinfo of ip(7)) that has one datagram leave by an interface, from one of its addresses.

    Raises:
        OSError: the source is no IPv4 address.
    """
    return struct.pack("=I4s4s", interface, socket.inet_aton(source), b"")
