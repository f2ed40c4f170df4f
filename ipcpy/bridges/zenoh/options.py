"""What a user says of Zenoh, checked, and Zenoh's configuration made of it. Imports no Zenoh."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from ...errors import ArgumentError

__all__ = ["PROTOCOLS", "ZenohOptions"]

PROTOCOLS = ("tcp", "tls", "quic", "udp", "ws", "unixsock-stream")
SECURE = ("tls", "quic")
LEASE = 4_000  # ms without a sign of life after which a link is given up; Zenoh's own is 10,000
WAIT, WAIT_FRAGMENTS = 500_000, 5_000_000  # µs that a message waits for room on the first way, before Zenoh drops it
PATIENCE = 3_600_000_000  # µs that a large reliable message may take to go out; Zenoh's own 5 s end a slow link for it
SHARED_PATIENCE = 60_000_000  # the same where others wait behind it, who are routed by us
_MODES = ("client", "peer", "router")


class ZenohOptions:
    """How Zenoh is reached.

    Args:
        connect: endpoints to connect to: ``tcp/router:7447``, ``tls/...``, ``quic/...``.
        listen: endpoints to listen at: ``tcp/0.0.0.0:7447``. Who listens routes between those who connect.
        mode: ``client``, ``peer`` or ``router``; by default a client, and a router where it listens.
        ca: a file with the certificates of those who may sign others'.
        cert: a file with our own certificate.
        key: a file with its private key.
        space: what all keys begin with; bridges of different spaces do not meet.
        config: a file of Zenoh's own configuration (JSON5), for all that is not said here.

    Raises:
        ArgumentError: (a ValueError) which of them is wrong, and what was expected.
    """

    def __init__(
        self,
        connect: str | Iterable[str] = (),
        listen: str | Iterable[str] = (),
        *,
        mode: Literal["client", "peer", "router", ""] = "",
        ca: str | os.PathLike[str] | None = None,
        cert: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        space: str = "ipcpy",
        config: str | os.PathLike[str] | None = None,
    ) -> None:
        self.connect, self.listen = (tuple(map(_endpoint, _several(each))) for each in (connect, listen))
        if not self.connect and not self.listen and config is None:
            raise ArgumentError("say where Zenoh is: connect=['tcp/router:7447'], or listen=['tcp/0.0.0.0:7447']")
        if mode and mode not in _MODES:
            raise ArgumentError(f"mode is one of {', '.join(_MODES)}, got {mode!r:.40}")
        self.mode = mode or ("router" if self.listen else "client")
        if self.mode == "client" and self.listen:
            raise ArgumentError("a client does not listen: leave out mode, or choose peer or router")
        self.ca, self.cert, self.key, self.config = map(_file, ("ca", "cert", "key", "config"), (ca, cert, key, config))
        if bool(self.cert) != bool(self.key):
            raise ArgumentError("cert and key belong together: a certificate and its private key")
        secure = [each for each in self.listen if each.split("/")[0] in SECURE]
        if secure and not self.cert and config is None:
            raise ArgumentError(f"to listen at {secure[0]!r} takes cert and key")
        if not isinstance(space, str) or not space or not all(part.isalnum() for part in space.split("/")):
            raise ArgumentError(f"space is a name such as 'ipcpy' of letters and digits, got {space!r:.40}")
        self.space = space

    @staticmethod
    def of(table: Mapping[str, Any]) -> ZenohOptions:
        """Return the options of a table ``[zenoh]``.

        Raises:
            ArgumentError: (a ValueError) a key that there is not, or a wrong value.
        """
        known = ("connect", "listen", "mode", "ca", "cert", "key", "space", "config")
        for name in table:
            if name not in known:
                raise ArgumentError(f"[zenoh] has {', '.join(known)}; got {name!r:.40}")
        return ZenohOptions(**table)

    def settings(self) -> dict[str, Any]:
        """Return what is set in Zenoh's configuration, by its path; nothing is searched for, nor told by others."""
        patient = self.mode != "client"  # a client is opened anew by us, which says why it fails
        patience = SHARED_PATIENCE if patient else PATIENCE
        found: dict[str, Any] = {
            "mode": self.mode,
            "connect/endpoints": list(self.connect),
            "listen/endpoints": list(self.listen),
            "connect/timeout_ms": -1 if patient else 0,
            "connect/exit_on_failure": not patient,
            "scouting/multicast/enabled": False,
            "scouting/gossip/enabled": False,
            "transport/link/tx/lease": LEASE,
            "transport/link/tx/queue/congestion_control/drop/wait_before_drop": WAIT,
            "transport/link/tx/queue/congestion_control/drop/max_wait_before_drop_fragments": WAIT_FRAGMENTS,
            "transport/link/tx/queue/congestion_control/block/wait_before_close": patience,
            "transport/shared_memory/enabled": False,
        }
        if self.ca:
            found["transport/link/tls/root_ca_certificate"] = self.ca
        if self.cert:
            found["transport/link/tls/enable_mtls"] = bool(self.ca)
            for side, said in (("connect", self.connect), ("listen", self.listen)):
                if said:
                    found[f"transport/link/tls/{side}_certificate"] = self.cert
                    found[f"transport/link/tls/{side}_private_key"] = self.key
        return found


def _several(given: object) -> tuple[Any, ...]:
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, Iterable):
        raise ArgumentError(f"endpoints are a list such as ['tcp/router:7447'], got {given!r:.80}")
    return tuple(given)


def _endpoint(given: object) -> str:
    """Return an endpoint if it looks like one."""
    example = "an endpoint is a text such as 'tcp/router:7447' or 'tls/router.example:7447'"
    if not isinstance(given, str):
        raise ArgumentError(f"{example}, got {given!r:.80}")
    protocol, slash, address = given.partition("/")
    if not slash or not address:
        raise ArgumentError(f"{example}, got {given!r:.80}")
    if protocol not in PROTOCOLS:
        raise ArgumentError(f"{example}: it begins with one of {', '.join(PROTOCOLS)}, got {given!r:.80}")
    if protocol != "unixsock-stream":
        host, colon, port = address.split("#")[0].split("?")[0].rpartition(":")
        if not colon or not host or not port.isdigit() or not 0 <= int(port) < 65_536:
            raise ArgumentError(f"{example}, with a port from 0 to 65535, got {given!r:.80}")
    return given


def _file(what: str, given: object) -> str:
    if given is None or given == "":
        return ""
    if not isinstance(given, str | os.PathLike):
        raise ArgumentError(f"{what} is the path of a file, got {given!r:.80}")
    path = Path(given)
    if not path.is_file():
        raise ArgumentError(f"{what} is the path of a file: there is none at {str(path)!r}")
    if not os.access(path, os.R_OK):
        raise ArgumentError(f"{what}: {str(path)!r} may not be read")
    return str(path)
