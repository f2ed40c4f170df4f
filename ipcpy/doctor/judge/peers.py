"""Says what passes between this host and another one, and what does not.

Knows facts and sentences; nothing of where the facts come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ...facts import Finding, Level, PeerFacts, Places

__all__ = ["judge_peer"]

CLOCK = 0.1  # s that clocks may differ before latencies mean nothing
HEADERS = 28  # bytes: 20 (IPv4) + 8 (UDP)
SAFE_MTU = 1_280  # what tunnels take, and IPv6 asks of every link (RFC 8200, section 5)
NFT = "sudo nft list ruleset"
ECHO_SINCE = (2026, 11, 23)  # the version of ipcpy whose nodes answer questions first
LOSS = 0.02  # share of questions without an answer that is worth a warning
FEW = 3  # questions without an answer that may be chance


def judge_peer(facts: PeerFacts, places: Places) -> Iterator[Finding]:
    """Say what passes between this host and another one, which way, and what does not.

    Args:
        facts: what was found out about the other host.
        places: the ports that its firewall should let pass.
    """
    allow = _allow(places)
    if not facts.answered:
        yield _silent(facts, allow)
        return
    wrong = [*_ways(facts, places), *_multicast(facts, allow), *_sizes(facts), *_loss(facts)]
    wrong += [*_clock(facts), *_state(facts)]
    if not any(each.level in ("problem", "warning") for each in wrong):
        yield _finding(facts, "ok", "peer", _well(facts))
    else:
        text = f"{_who(facts)} answers, round trip {_ms(min(facts.rtt))}, but not all is well."
        yield _finding(facts, "ok", "peer", text)
    yield from wrong


def _who(facts: PeerFacts) -> str:
    where = facts.address if facts.port is None else f"{facts.address}:{facts.port}"
    return where if facts.name in (facts.address, where) else f"{facts.name} ({where})"


def _allow(places: Places) -> str:
    """Return the command that lets greetings and links through a firewall: their ports are one range."""
    ports = (places.group[1], *places.links)
    return f"sudo ufw allow {min(ports)}:{max(ports)}/udp"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 0.001 else f"{seconds * 1e6:.0f} µs"


def _well(facts: PeerFacts) -> str:
    parts = [f"{_who(facts)} answers, round trip {_ms(min(facts.rtt))}"]
    if facts.in_ and facts.out:
        parts.append("data passes both ways")
    if facts.sizes and not facts.local:
        parts.append(f"datagrams of {max(facts.sizes):,} bytes pass")
    if facts.asked:
        parts.append(f"{facts.lost or 'none'} of {facts.asked} questions got lost")
    if facts.clock is not None and not facts.local:
        parts.append(f"its clock differs by {_ms(abs(facts.clock))} (± {_ms(facts.clock_error)})")
    return ", ".join(parts) + "."


def _finding(facts: PeerFacts, level: Level, code: str, text: str, *advice: str) -> Finding:
    return Finding(level, code, facts.name, text, advice, data=_data(facts))


def _data(facts: PeerFacts) -> dict[str, Any]:
    return {
        "address": facts.address,
        "port": facts.port,
        "version": facts.version or None,
        "rtt": min(facts.rtt, default=None),
        "clock_offset": facts.clock,
        "clock_error": facts.clock_error if facts.clock is not None else None,
        "in": facts.in_,
        "out": facts.out,
        "loss": facts.lost / facts.asked if facts.asked else None,
        "multicast_in": facts.heard,
        "multicast_out": facts.hears,
        "largest": max((size for size, (there, back) in facts.sizes.items() if there and back), default=None),
    }


# -- no answer ---------------------------------------------------------------------------------------------------------


def _silent(facts: PeerFacts, allow: str) -> Finding:
    """Say why a host may not answer, by the most telling of its facts."""
    who = _who(facts)
    if facts.greeted:
        return _without_echo(facts)
    if facts.forbidden:
        text = f"This host does not let UDP out to {who}: a firewall here forbids it."
        return _no(facts, "blocked-here", text, "sudo ufw allow out proto udp", NFT)
    if facts.unreachable:
        text = (
            f"There is no way to {who}, says the network: it is off, in another network, or a firewall on the way "
            "refuses it."
        )
        return _no(facts, "unreachable", text, _ping(facts), f"ip route get {facts.address}")
    if facts.ports and facts.ports[0] in facts.refused:  # the one that a program takes first
        text = f"{who} is there, but says that no ipcpy program listens at {_port(facts)}."
        start = "Start the program there. If it runs, `ipcpy nodes` there shows its port: ipcpy doctor HOST:PORT"
        see = "See that it has no IPCPY_INTERFACES=lo, and that no firewall answers in its place."
        return _no(facts, "not-running", text, start, see)
    if facts.heard:
        text = (
            f"{who} is heard by multicast, but does not answer what is sent to it: a firewall drops UDP to its link "
            "port there, or its answers here."
        )
        return _no(facts, "one-way", text, f"{allow}   (on both)", _ping(facts))
    return _unheard(facts, allow)


def _without_echo(facts: PeerFacts) -> Finding:
    """Say that a node greets and answers no question. Only its version tells whether it is an older ipcpy."""
    text = f"{_who(facts)} greets, but does not answer our questions (ECHO). So what passes there cannot be told."
    if _is_older(facts.version):
        text += f" Its ipcpy {facts.version} is older than {'.'.join(map(str, ECHO_SINCE))}, which answers them."
        update = "pip install .   (there, in a clone as new as this one; PyPI's ipcpy is another)"
        return _finding(facts, "note", "peer-no-echo", text, update)
    text += " A program with another implementation of the protocol need not answer them."
    return _finding(facts, "note", "peer-no-echo", text)


def _is_older(version: str) -> bool:
    """Tell whether a version is one of ipcpy, whose first number is a year, from before nodes answered questions."""
    numbers = re.fullmatch(r"(20\d\d)\.(\d+)\.(\d+).*", version)
    return numbers is not None and tuple(map(int, numbers.groups())) < ECHO_SINCE


def _unheard(facts: PeerFacts, allow: str) -> Finding:
    """Say why nothing at all comes from the node of a host, though its host may live."""
    who, lives = _who(facts), facts.alive or bool(facts.refused)
    if facts.deaf:
        what = f"{who} is there, but {_port(facts)} does not answer" if lives else f"{who} does not answer at all"
        text = (
            f"{what}. Our interface there hears not even its own multicast: most likely the firewall of this host "
            "drops what comes in."
        )
        return _no(facts, "unheard-here", text, f"{allow}   (here)", NFT, _ping(facts))
    if lives:
        text = (
            f"{who} is there, but {_port(facts)} does not answer: "
            "a firewall drops it, or the program there is in another domain."
        )
        same = "echo $IPCPY_DOMAIN   (on both: it must be the same)"
        return _no(facts, "blocked-there", text, f"{allow}   (there)", same)
    text = f"{who} does not answer at all: it is off, not in this network, or a firewall drops all UDP, there or here."
    wifi = "On Wi-Fi: client isolation of the access point does this too."
    return _no(facts, "silent", text, _ping(facts), f"{allow}   (on both)", wifi)


def _no(facts: PeerFacts, code: str, text: str, *advice: str) -> Finding:
    return _finding(facts, "problem", f"peer-{code}", text, *advice)


def _ping(facts: PeerFacts) -> str:
    return f"ping -c 3 {facts.address}"


def _port(facts: PeerFacts) -> str:
    first = f"UDP port {facts.ports[0]}" if facts.ports else "its UDP port"
    return first if len(facts.ports) < 2 else f"{first} (the one that is taken first)"


# -- an answer, but ----------------------------------------------------------------------------------------------------


def _ways(facts: PeerFacts, places: Places) -> Iterator[Finding]:
    """Say which way data is dropped. Data goes from any port to any port: what nobody asked for must pass too."""
    ephemeral = "cat /proc/sys/net/ipv4/ip_local_port_range   (the ports that subscribers may have)"
    if facts.out is False:
        text = (
            f"{_who(facts)} answers at its link port, but UDP from here to its other ports is dropped, by a firewall "
            "there. Subscribers there get nothing from this host."
        )
        advice = f"sudo ufw allow proto udp from {facts.ours or 'OUR-ADDRESS'}   (there)"
        yield _finding(facts, "problem", "peer-blocks-data", text, advice, ephemeral)
    if facts.in_ is False or facts.usual_only:
        what = f"UDP from {_who(facts)} to ports here that it was not asked at is dropped: a firewall here."
        if facts.usual_only:
            span = f"{places.links[0]} to {places.links[-1]}"
            what = (
                f"UDP from {_who(facts)} comes to the link ports here ({span}), but to other ports it is dropped, even "
                "an answer to what was asked from there: a firewall here that does not remember what was asked."
            )
        advice = f"sudo ufw allow proto udp from {facts.address}"
        text = f"{what} Subscribers here get nothing from there."
        yield _finding(facts, "problem", "host-blocks-data", text, advice, ephemeral, NFT)


def _loss(facts: PeerFacts) -> Iterator[Finding]:
    if facts.lost < FEW or facts.lost / facts.asked < LOSS:
        return
    text = (
        f"Of {facts.asked} questions to {_who(facts)}, {facts.lost} or their answers got lost "
        f"({facts.lost / facts.asked:.0%} there and back). Messages get lost too, and large ones, which take many "
        "datagrams each, come late."
    )
    yield _finding(
        facts,
        "warning",
        "peer-loss",
        text,
        f"ping -c 100 -i 0.2 {facts.address}   (shows the loss too)",
        "On Wi-Fi: nearer to the access point, the 5 GHz band, or a cable.",
        "Publisher(..., reliable=True) sends again what got lost.",
    )


def _multicast(facts: PeerFacts, allow: str) -> Iterator[Finding]:
    hears = None if facts.in_ is False else facts.hears  # a firewall here drops its answer too
    if facts.local or (facts.heard is not False and hears is not False):
        return
    if facts.heard is False and hears is False:
        text = f"{_who(facts)} answers, but multicast passes neither way: programs are not found without help."
    elif facts.heard is False:
        text = f"Multicast from {_who(facts)} does not come here{', the other way it does' if hears else ''}."
    else:
        text = f"Multicast from here does not come to {_who(facts)}, or its answer not back; the other way it does."
    if facts.static:
        yield _finding(facts, "note", "peer-multicast", f"{text} IPCPY_PEERS makes up for it.")
        return
    snooping = "Switch IGMP snooping or client isolation off, on switch or access point."
    peers = f"export IPCPY_PEERS={facts.address}   (one side is enough)"
    yield _finding(facts, "warning", "peer-multicast", text, f"{allow}   (on both)", snooping, peers)


def _sizes(facts: PeerFacts) -> Iterator[Finding]:
    lost = sorted(size for size, (there, back) in facts.sizes.items() if not (there and back))
    if not lost:
        return
    passing = [size for size, (there, back) in facts.sizes.items() if there and back]
    most = max(passing, default=0)
    there = any(facts.sizes[size][0] for size in lost)
    way = "back from" if there else "to"
    text = (
        f"Datagrams of {lost[0]:,} bytes do not pass {way} {_who(facts)}"
        f"{f', of {most:,} they do' if most else ''}: something on the way takes less than our MTU of {facts.mtu}. "
        "Best-effort messages of one datagram so large get lost; larger ones arrive late, in smaller datagrams."
    )
    mtu = most + HEADERS if most else SAFE_MTU
    advice = f"sudo ip link set DEVICE mtu {mtu}   (here and there; or raise it where it is less)"
    yield _finding(facts, "problem", "peer-mtu", text, advice)


def _clock(facts: PeerFacts) -> Iterator[Finding]:
    if facts.clock is None or facts.local or abs(facts.clock) < CLOCK + facts.clock_error:
        return
    way = "ahead of" if facts.clock > 0 else "behind"
    text = (
        f"The clock of {_who(facts)} is {abs(facts.clock):,.3g} s {way} ours (± {_ms(facts.clock_error)}): "
        "times of messages (sent_ns) and `ipcpy delay` are wrong by that."
    )
    yield _finding(facts, "warning", "clock", text, "sudo timedatectl set-ntp true   (on both)")


def _state(facts: PeerFacts) -> Iterator[Finding]:
    if facts.state != "alive":
        text = f"{_who(facts)} was silent for a while: its process was stopped or is overloaded."
        yield _finding(facts, "warning", "peer-unresponsive", text, "top   (there)")
