"""mDNS on loopback as tests need it: packets made up byte by byte, sent and heard without zeroconf."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

from ipcpy.discovery.advert import SERVICE_TYPE, Advert, instance_name, pack_txt, to_txt

GROUP = ("224.0.0.251", 5353)
PTR, A, TXT, SRV = 12, 1, 16, 33


def name(text: str) -> bytes:
    """Return a name as labels, without compression."""
    return b"".join(bytes((len(label),)) + label for label in text.rstrip(".").encode().split(b".")) + b"\0"


def record(owner: str, kind: int, data: bytes, ttl: int = 4500) -> bytes:
    """Return one record."""
    return name(owner) + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def packet(*records: bytes) -> bytes:
    """Return a response that holds records."""
    return struct.pack(">6H", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)


def instance(node_id: str, address: str, port: int = 6000) -> list[bytes]:
    """Return PTR, SRV, TXT and A of a forged node of the domain ``test``."""
    owner, server = instance_name("forged", node_id), f"forged-{node_id}.local."
    txt = pack_txt(to_txt(Advert(node_id, "forged", "h", "test", port, "1")))
    return [
        record(SERVICE_TYPE, PTR, name(owner)),
        record(owner, SRV, struct.pack(">3H", 0, 0, port) + name(server)),
        record(owner, TXT, txt),
        record(server, A, socket.inet_aton(address)),
    ]


def speaker() -> socket.socket:
    """Return a socket that sends to groups over loopback, from a port of its own."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
    return sock


def send(*packets: bytes) -> None:
    """Send packets to the mDNS group over loopback."""
    with speaker() as sock:
        for each in packets:
            sock.sendto(each, GROUP)


def listening() -> socket.socket:
    """Return a socket that hears the mDNS group on loopback, beside others on the port."""
    ear = speaker()
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    ear.bind(("", GROUP[1]))
    membership = socket.inet_aton(GROUP[0]) + socket.inet_aton("127.0.0.1")
    ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    return ear


def heard(ear: socket.socket, is_it: Callable[[bytes], object], seconds: float = 20.0) -> list[bytes]:
    """Return all packets up to the first that is it.

    Raises:
        AssertionError: if it did not come in time.
    """
    end, packets = time.monotonic() + seconds, []
    while (left := end - time.monotonic()) > 0:
        ear.settimeout(left)
        try:
            packets.append(ear.recv(9000))
        except TimeoutError:
            break
        if is_it(packets[-1]):
            return packets
    raise AssertionError(f"not among the {len(packets)} packets of {seconds} s")


def is_query(data: bytes) -> bool:
    """Tell whether a packet is a question."""
    return not data[2] & 0x80
