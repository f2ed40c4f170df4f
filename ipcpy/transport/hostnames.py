"""Names of hosts. Knows the system's resolver; nothing of how often to ask it, of nodes or of mDNS."""

from __future__ import annotations

import socket


def resolve(host: str) -> list[str]:
    """Return the IPv4 addresses of a name; none if it cannot be resolved now. May take seconds."""
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_DGRAM)
    except OSError:
        return []
    return [str(info[4][0]) for info in found]


def host_name() -> str:
    """Return this host's own name."""
    return socket.gethostname()
