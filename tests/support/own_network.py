"""A network of its own for each of several pytest processes that run side by side: nothing but loopback.

Where that is not allowed they share the host's loopback, as one pytest process does.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP: netdevice(7)


def enter() -> None:
    """Move this thread, and all that it starts from now on, into a new network with loopback up."""
    unshare = getattr(ctypes.CDLL(None, use_errno=True), "unshare", None)
    if unshare is None or unshare(NEW_NETWORK):
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        request = struct.pack("16sh14x", b"lo", 0)
        name, flags = struct.unpack("16sh14x", fcntl.ioctl(sock, GET_FLAGS, request))
        fcntl.ioctl(sock, SET_FLAGS, struct.pack("16sh14x", name, flags | UP))


def enter_if_beside_others() -> None:
    """Do so in a worker of pytest-xdist."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        enter()
