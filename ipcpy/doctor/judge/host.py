"""Says what the state of this host means: ports, buffers, limits, zeroconf, the compiled part.

Knows facts and sentences; nothing of where the facts come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...facts import Finding, HostFacts, Places, Trial

__all__ = ["judge_host"]

GOOD_BUFFER = 4 << 20  # 4,194,304 bytes: what ipcpy asks for
POOR_BUFFER = 100_000  # bytes: about 40 datagrams of 1,500 bytes with what each costs the kernel
FEW_FILES = 256
ZEROCONF = "0.150"  # older ones have known weaknesses


def judge_host(facts: HostFacts, places: Places) -> Iterator[Finding]:
    """Say what works on this host, and what is wrong."""
    yield from _group_port(facts.group_port, places.group[1])
    yield from _link_ports(facts.links_taken, places)
    yield from _mdns_port(facts.mdns_port, places.mdns[1])
    yield from _zeroconf(facts)
    yield from _buffer(facts)
    yield from _kernel(facts)
    yield from _files(facts)
    yield from _speed(facts)


def _group_port(trial: Trial, port: int) -> Iterator[Finding]:
    about = f"port {port}"
    if trial.result == "works":
        yield Finding("ok", "group-port", about, f"UDP port {port}, by which programs greet, can be had.")
    elif trial.result is not None:
        text = f"UDP port {port}, by which programs greet, cannot be had: {_why(trial)}. We hear nobody's greeting. "
        text += "Programs of this host find each other all the same, by UDP."
        advice = (_who_has(port), "For other hosts, meanwhile:  export IPCPY_PEERS=...   (addresses)")
        yield Finding("problem", "group-port-taken", about, text, advice)


def _why(trial: Trial) -> str:
    return "another program has it and does not share it" if trial.result == "taken" else trial.reason


def _who_has(port: int) -> str:
    return f"sudo ss -ulpn sport = {port}   (shows who)"


def _link_ports(taken: int | None, places: Places) -> Iterator[Finding]:
    count, span = len(places.links), f"{places.links[0]} to {places.links[-1]}"
    about = f"ports {span}"
    if taken is None:
        yield Finding("note", "link-ports", about, "Whether the link ports are free cannot be told.")
    elif taken >= count:
        text = f"All {count} link ports ({span}) are in use: more programs take any port."
        name_port = ("Static peers (IPCPY_PEERS) then need it: host:port, as `ipcpy nodes` shows it.",)
        yield Finding("warning", "link-ports-taken", about, text, name_port)
    else:
        yield Finding("ok", "link-ports", about, f"{count - taken} of {count} link ports ({span}) are free.")


_WITHOUT_MDNS = "Programs find each other without it; browsers such as avahi-browse do not show them."


def _mdns_port(trial: Trial, port: int) -> Iterator[Finding]:
    about = f"port {port}"
    if trial.result in ("taken", "refused"):
        text = f"mDNS does not work: UDP port {port} cannot be had, {_why(trial)}. {_WITHOUT_MDNS}"
        yield Finding("warning", "mdns-port-taken", about, text, (_who_has(port),))
    elif trial.result == "works":
        others = ", shared with others (avahi, systemd-resolved or another ipcpy)" if trial.shared else ""
        yield Finding("ok", "mdns-port", about, f"UDP port {port} (mDNS) can be had{others}.")


def _zeroconf(facts: HostFacts) -> Iterator[Finding]:
    update = (f"python -m pip install --upgrade 'zeroconf>={ZEROCONF}'",)
    if facts.zeroconf_error:
        text = f"mDNS does not work: python-zeroconf cannot be imported ({facts.zeroconf_error}). {_WITHOUT_MDNS}"
        yield Finding("warning", "zeroconf", "zeroconf", text, update)
    elif facts.zeroconf is not None and _version(facts.zeroconf) < _version(ZEROCONF):
        text = f"python-zeroconf {facts.zeroconf} is older than {ZEROCONF}, and has known weaknesses."
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
    advice = (f"sudo sysctl -w net.core.rmem_max={GOOD_BUFFER}",) if facts.system == "Linux" else ()
    if facts.buffer < POOR_BUFFER:
        text += " That is little: bursts of messages will be lost, and large messages come slowly."
        yield Finding("warning", "buffer", "receive buffer", text, advice, data=data)
    elif facts.buffer < GOOD_BUFFER:
        text += " Large messages (images) arrive all the same, in portions; with more they come faster, and bursts of "
        text += "small ones are not lost while a program is busy."
        yield Finding("note", "buffer", "receive buffer", text, advice, data=data)
    else:
        yield Finding("ok", "buffer", "receive buffer", text, data=data)


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


def _speed(facts: HostFacts) -> Iterator[Finding]:
    if facts.compiled is None:
        return
    crc = f"CRC-32 of {facts.crc}"
    if facts.compiled:
        yield Finding("ok", "compiled", "speed", f"The compiled part of ipcpy is used, with the {crc}.")
        return
    text = f"ipcpy runs as pure Python ({facts.why_pure}), which does the same in more time; {crc}."
    advice = () if facts.crc == "zlib-ng" else ("python -m pip install zlib-ng   (large messages over a network)",)
    yield Finding("note", "pure", "speed", text, advice)
