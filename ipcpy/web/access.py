"""Who may ask: by address, name, origin and token. Pure; knows texts of headers, no server.

A browser that shows somebody's page sends requests to any address that the page names, this server's included. So a
request must come for a name that is this server's (else a page whose name was turned to this address afterwards could
read everything: DNS rebinding), and from a page that this server delivered. What is bound to other than loopback wants
a token besides.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

__all__ = ["Asked", "Guard", "is_loopback"]

_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\]/@?#\s]+)(?::(\d{1,5}))?")


@dataclass(frozen=True)
class Asked:
    """What of a request says who asks.

    Attributes:
        host: the header Host.
        origin: the header Origin; None where there is none.
        site: the header Sec-Fetch-Site; None where there is none.
        token: what it has for a token; empty for nothing.
        local: the address that the connection came to.
        reads: whether it only reads (GET, HEAD), and no WebSocket.
        page: whether it asks for the page itself, to which others may link.
    """

    host: str
    origin: str | None = None
    site: str | None = None
    token: str = ""
    local: str = "127.0.0.1"
    reads: bool = True
    page: bool = False


@dataclass(frozen=True)
class Guard:
    """Says whether a request is answered.

    Attributes:
        token: what has to be told; empty for nothing.
        names: names that this server has, besides the address that was connected to, and on loopback ``localhost``.
    """

    token: str = field(default="", repr=False)
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, token: str, names: Iterable[str]) -> Guard:
        """Make one; names are compared without regard to case."""
        return cls(token, frozenset(name.lower().rstrip(".") for name in names if name))

    def refusal(self, asked: Asked, *, free: bool = False) -> str:
        """Say why a request is not answered; empty where it is.

        Args:
            asked: the request.
            free: whether it asks for what holds no data and needs no token.
        """
        name = self._name_in(asked.host)
        if not self._is_mine(name, asked.local):
            return (
                f"this server is not {name or asked.host!r:.80}; ask it by its address, or start it with "
                "--allow-host NAME"
            )
        if asked.origin is not None and not self._same(asked.origin, asked.host):
            return f"a page of {asked.origin:.80} may not ask this server"
        if asked.site in ("cross-site", "same-site") and not (asked.reads and asked.page):
            return "a page of another site may not ask this server"
        if (
            self.token
            and not free
            and not hmac.compare_digest(self.token.encode(), asked.token.encode("utf-8", "replace"))
        ):
            return "the token is missing or wrong: open the address that ipcpy web printed, with ?token= at its end"
        return ""

    @staticmethod
    def _name_in(host: str) -> str:
        found = _HOST.fullmatch(host)
        return found.group(1).strip("[]").lower().rstrip(".") if found else ""

    def _is_mine(self, name: str, local: str) -> bool:
        if not name:
            return False
        if name in self.names or name == local.lower():
            return True
        return is_loopback(local) and (name == "localhost" or is_loopback(name))

    @staticmethod
    def _same(origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def is_loopback(address: str) -> bool:
    """Tell whether an address is one of this host's loopback.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("192.168.1.2"), is_loopback("localhost")
    (True, True, False, True)
    """
    if address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
