"""Names that the system gives, and addresses of hosts by name.

Knows the system's resolver; nothing of how often to ask it, of nodes or of mDNS.
"""

from __future__ import annotations

import socket


def resolve(host: str) -> list[str]:
    """Return the IPv4 addresses of a name; none if it cannot be resolved now. May take seconds."""
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_DGRAM)
    except (OSError, ValueError):  # UnicodeError, for one, is a ValueError: a..b, or a label of more than 63 bytes
        return []
    return [str(info[4][0]) for info in found]


def host_name() -> str:
    """Return this host's own name as it can be shown; ``localhost`` if it has none."""
    try:
        return plain(socket.gethostname()) or "localhost"
    except (OSError, ValueError):
        return "localhost"


def plain(name: str) -> str:
    """Return a name that the system gave with ``?`` for what cannot be printed: it may be made of any bytes."""
    return "".join(char if char.isprintable() else "?" for char in name)
