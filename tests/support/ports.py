"""The UDP ports that a process has open, as the kernel tells (proc(5)). Linux only."""

from __future__ import annotations

import os
from pathlib import Path


def udp_ports(pid: int | str) -> set[int]:
    """Return the local ports of all UDP sockets (IPv4) of a process in this network namespace."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(link)
        except FileNotFoundError:  # closed meanwhile, as the one that lists them is
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return {int(row[1].partition(":")[2], 16) for row in rows if row[9] in inodes}


def own_udp_ports() -> set[int]:
    """Return those of this process."""
    return udp_ports("self")
