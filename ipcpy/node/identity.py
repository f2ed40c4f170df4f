"""Who a node is: its id, its name, what it says of itself. Knows this process and this host; nothing of peers."""

from __future__ import annotations

import os
import sys

from ..errors import ArgumentError
from ..protocol.link.entries import NodeEntry
from ..transport import process
from ..transport.hostnames import host_name, plain
from ..version import __version__

MAX_NAME = 64  # characters
MAX_HOST = 255  # characters; sethostname(2) takes 64, a DNS name has at most 253
SUFFIXES = (".py", ".pyc", ".pyz", ".pyzw", ".zip", ".exe")  # of programs, not of their names


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
    """Return the name of the program: of a package that runs by ``-m`` or as an archive that of the package.

    What has none, as Python that is talked to, is ``python``; a notebook's kernel has the notebook's where it is told.
    """
    program = sys.argv[0] if sys.argv else ""
    if program in ("", "-", "-c", "-m"):
        return "python"
    path = os.path.abspath(program)
    if os.path.basename(path) in ("__main__.py", "__main__.pyc", "__init__.py"):
        path = os.path.dirname(path)
    name = os.path.basename(path)
    if name in ("ipykernel_launcher.py", "ipykernel"):
        notebook = os.path.basename(os.environ.get("JPY_SESSION_NAME", ""))
        name = notebook.removesuffix(".ipynb") or "notebook"
    return plain(name.removesuffix(_suffix(name))[:MAX_NAME]) or "python"


def _suffix(name: str) -> str:
    return next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix) and len(name) > len(suffix)), "")


def describe(name: str, domain: str) -> NodeEntry:
    """Return what a node of this process says of itself to others."""
    pid = os.getpid()
    return NodeEntry(
        name=name,
        host=plain(host_name()[:MAX_HOST]) or "localhost",
        pid=pid,
        version=__version__,
        domain=domain,
        machine=process.identity(),
        started=process.start_time(pid),
    )
