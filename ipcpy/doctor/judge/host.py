"""What the state of this host means: ports, buffers, limits, zeroconf. Knows facts; nothing of where they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...facts import Finding, HostFacts

__all__ = ["judge_host"]

GOOD_BUFFER = 4 << 20  # bytes: what ipcpy asks for
POOR_BUFFER = 100_000  # bytes: about 40 datagrams of 1,500 bytes with what each costs the kernel
FEW_FILES = 256
ZEROCONF = (0, 150)


def judge_host(facts: HostFacts) -> Iterator[Finding]:
    """Say what of this host works, and what is wrong."""
    yield from _ports(facts)
    yield from _mdns(facts)
    yield from _buffer(facts)
    yield from _kernel(facts)
    yield from _files(facts)


def _ports(facts: HostFacts) -> Iterator[Finding]:
    group = facts.group_port
    if group.result == "works":
        yield Finding("ok", "group-port", "port 17769", "UDP port 17769, by which programs greet, can be had.")
    elif group.result is not None:
        who = "another program has it and does not share it" if group.result == "taken" else group.reason
        text = f"UDP port 17769, by which programs greet, cannot be had: {who}. We hear nobody's greeting."
        advice = (
            "sudo ss -ulpn sport = 17769   (shows who)",
            "Meanwhile:  export IPCPY_PEERS=...   (addresses)",
        )
        yield Finding("problem", "group-port-taken", "port 17769", text, advice)
    if facts.links_taken is None:
        yield Finding("note", "link-ports", "ports 17770 to 17779", "Whether the link ports are free cannot be told.")
    elif facts.links_taken >= facts.links:
        text = f"All {facts.links} link ports (17770 to 17779) are in use: more programs take any port."
        name_port = ("Static peers (IPCPY_PEERS) then need it: host:port, as `ipcpy nodes` shows it.",)
        yield Finding("warning", "link-ports-taken", "ports 17770 to 17779", text, name_port)
    else:
        text = f"{facts.links - facts.links_taken} of {facts.links} link ports (17770 to 17779) are free."
        yield Finding("ok", "link-ports", "ports 17770 to 17779", text)


def _mdns(facts: HostFacts) -> Iterator[Finding]:
    without = "Programs find each other without it; browsers such as avahi-browse do not show them."
    port = facts.mdns_port
    if port.result in ("taken", "refused"):
        who = "another program has it and does not share it" if port.result == "taken" else port.reason
        text = f"mDNS does not work: UDP port 5353 cannot be had, {who}. {without}"
        advice = ("sudo ss -ulpn sport = 5353   (shows who)",)
        yield Finding("warning", "mdns-port-taken", "port 5353", text, advice)
    elif port.result == "works":
        others = ", shared with others (avahi, systemd-resolved or another ipcpy)" if port.shared else ""
        yield Finding("ok", "mdns-port", "port 5353", f"UDP port 5353 (mDNS) can be had{others}.")
    update = ("python -m pip install --upgrade 'zeroconf>=0.150'",)
    if facts.zeroconf_error:
        text = f"mDNS does not work: python-zeroconf cannot be imported ({facts.zeroconf_error}). {without}"
        yield Finding("warning", "zeroconf", "zeroconf", text, update)
    elif facts.zeroconf is not None and _version(facts.zeroconf) < ZEROCONF:
        text = f"python-zeroconf {facts.zeroconf} is older than 0.150, and has known weaknesses."
        yield Finding("warning", "zeroconf", "zeroconf", text, update)
    elif facts.zeroconf is not None:
        yield Finding("ok", "zeroconf", "zeroconf", f"python-zeroconf {facts.zeroconf} is there.")


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])


def _buffer(facts: HostFacts) -> Iterator[Finding]:
    if facts.buffer is None:
        yield Finding("note", "buffer", "receive buffer", "How much a socket can hold cannot be told here.")
        return
    data = {"buffer": facts.buffer, "rmem_max": facts.rmem_max}
    limit = f" (net.core.rmem_max is {facts.rmem_max:,})" if facts.rmem_max is not None else ""
    text = f"A subscriber's socket holds {facts.buffer:,} bytes of kernel memory{limit}."
    advice = ("sudo sysctl -w net.core.rmem_max=4194304",) if facts.system == "Linux" else ()
    if facts.buffer < POOR_BUFFER:
        text += " That is little: bursts of messages will be lost, and large messages come slowly."
        yield Finding("warning", "buffer", "receive buffer", text, advice, data)
    elif facts.buffer < GOOD_BUFFER:
        text += " Large messages (images) arrive all the same, in portions; with more they come faster, and bursts of "
        text += "small ones are not lost while a program is busy."
        yield Finding("note", "buffer", "receive buffer", text, advice, data)
    else:
        yield Finding("ok", "buffer", "receive buffer", text, (), data)


def _kernel(facts: HostFacts) -> Iterator[Finding]:
    known = {"GSO": facts.gso, "GRO": facts.gro}
    lacking = " and ".join(name for name, there in known.items() if there is False)
    if None in known.values():
        text = f"{facts.system} cannot send or receive many datagrams in one call; large messages cost more CPU."
        yield Finding("note", "offload", "kernel", text)
    elif lacking:
        text = f"This kernel has no UDP {lacking}: large messages cost more CPU. Linux 5.0 or later has both."
        yield Finding("note", "offload", "kernel", text)
    else:
        yield Finding("ok", "offload", "kernel", "The kernel sends and receives many datagrams in one call (GSO, GRO).")


def _files(facts: HostFacts) -> Iterator[Finding]:
    if facts.files is None:
        return
    hard = facts.files[1]
    if 0 <= hard < FEW_FILES:
        text = f"A process may open {hard} files; each subscriber, and each peer on this host, takes one."
        yield Finding("warning", "file-limit", "limits", text, ("ulimit -Hn 4096   (as root, or limits.conf)",))
