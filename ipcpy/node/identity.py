"""Who a node is: its id, its name, what it says of itself. Knows this process and this host; nothing of peers."""

from __future__ import annotations

import os
import sys

from ..errors import ArgumentError
from ..protocol.link.entries import NodeEntry
from ..transport import process
from ..transport.hostnames import host_name
from ..version import __version__

MAX_NAME = 64  # characters
MAX_HOST = 255  # characters; sethostname(2) takes 64, a DNS name has at most 253


def new_id() -> int:
    """Return a random id of 64 bits for a node, publisher or subscriber; never 0, which is nobody on the wire."""
    return int.from_bytes(os.urandom(8), "little") or 1


def check_name(name: str | None) -> str:
    """Return the name of a node: what its user chose, or for None the name of the program.

    Raises:
        ArgumentError: if it is no printable text of 1 to 64 characters.
    """
    if name is None:
        name = _program()
    if not isinstance(name, str) or not name or len(name) > MAX_NAME or not name.isprintable():
        raise ArgumentError(f"a node's name is a printable text of 1 to {MAX_NAME} characters, got {name!r}")
    return name


def _program() -> str:
    program = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else ""
    name = program.removesuffix(".py") if program not in ("", "-c", "-m") else ""
    return "".join(char for char in name if char.isprintable())[:MAX_NAME] or "python"


def describe(name: str, domain: str) -> NodeEntry:
    """Return what a node of this process says of itself to others."""
    pid = os.getpid()
    return NodeEntry(
        name=name,
        host=host_name()[:MAX_HOST] or "localhost",
        pid=pid,
        version=__version__,
        domain=domain,
        machine=process.identity(),
        started=process.start_time(pid),
    )
