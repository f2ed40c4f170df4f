"""Says what the state of the network interfaces means.

Knows facts and sentences; nothing of where the facts come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_interface
from itertools import combinations

from ...addresses import Address
from ...facts import Finding, InterfaceFacts, Level, Places

__all__ = ["judge_interfaces"]

USUAL_MTU = 1_500  # Ethernet
SMALLEST_MTU = 576  # what every host takes (RFC 791)

PEERS = "Or name the hosts on the other side:  export IPCPY_PEERS=10.0.0.7"
RULES = "sudo nft list ruleset   (shows what it drops)"


def judge_interfaces(
    interfaces: Sequence[InterfaceFacts], places: Places, *, only_loopback: bool = False
) -> Iterator[Finding]:
    """Say which interfaces work, and what is wrong with the others.

    Args:
        interfaces: all interfaces of this host.
        places: the groups that were tried.
        only_loopback: whether the settings let nothing leave this host.
    """
    for each in interfaces:
        yield from _judge(each, places)
    usable = [each for each in interfaces if each.used and each.up and each.networks]
    outward = [each for each in usable if not each.loopback]
    if not outward:
        yield _no_network(only_loopback or any(each.up and each.networks for each in interfaces if not each.used))
    for one, other in combinations(outward, 2):
        yield from _judge_pair(one, other)


def _no_network(wanted: bool) -> Finding:
    if wanted:
        text = "The settings use no interface but loopback: other hosts are neither seen nor heard."
        return Finding("note", "only-loopback", "network", text)
    text = "No interface that leads to other hosts is up and has an IPv4 address: only this host can be reached."
    return Finding("warning", "no-network", "network", text, ("ip -brief address   (shows what there is)",))


def _judge(each: InterfaceFacts, places: Places) -> Iterator[Finding]:
    if not each.used:
        if each.networks and each.up:
            text = f"{_named(each)} is not used, because the settings name others."
            yield Finding("note", "not-used", each.name, text, ("unset IPCPY_INTERFACES   (uses all)",))
    elif not each.up:
        yield _down(each)
    elif not each.networks:
        text = f"{each.name} is up, but has no IPv4 address, and ipcpy uses IPv4 only."
        advice = (f"sudo ip address add 10.0.0.1/24 dev {each.name}   (an address of your network)",)
        yield Finding("note", "no-address", each.name, text, () if each.loopback else advice)
    else:
        yield from _group(each, places)
        yield from _mdns(each, places.mdns)
        yield from _mtu(each)
        yield from _twice(each)


def _named(each: InterfaceFacts) -> str:
    return f"{each.name} ({', '.join(each.networks)})" if each.networks else each.name


def _down(each: InterfaceFacts) -> Finding:
    level: Level = "problem" if each.loopback else "warning" if each.networks else "note"
    if not each.enabled:
        text, advice = f"{_named(each)} is switched off.", f"sudo ip link set {each.name} up"
    else:
        text = f"{_named(each)} is switched on, but has no link: no cable, no radio, or nobody at the other end."
        advice = f"ip link show {each.name}   (after you have looked at cable or Wi-Fi)"
    if each.loopback:
        text += " Programs on this host cannot reach each other."
    return Finding(level, "interface-down", each.name, text, (advice,))


def _allow(way: str) -> str:
    """Return the command that lets UDP through this host's firewall; way: ``5353/udp``, ``out 5353/udp``, ..."""
    return f"sudo ufw allow {way}   (or what your firewall has for it)"


def _group(each: InterfaceFacts, places: Places) -> Iterator[Finding]:
    trial, name, group = each.group, _named(each), places.group
    because = f" ({trial.reason})" if trial.reason else ""
    on = f"sudo ip link set {each.name} multicast on"
    if trial.result == "works":
        if each.multicast:
            yield Finding("ok", "multicast", each.name, f"{name}: greetings by multicast go out and come back.")
        else:
            text = f"{name} is marked as not able to multicast, so mDNS does not use it; greetings do, and work."
            yield Finding("warning", "multicast-off", each.name, text, (on,))
    elif trial.result in ("not joined", "not sent"):
        what = "does not take part in" if trial.result == "not joined" else "does not send"
        text = f"{name} {what} multicast{because}: {_without(each, places)}"
        way = "out proto udp" if trial.result == "not sent" else f"{group[1]}/udp"
        fix = (_allow(way), RULES) if each.multicast else (on,)
        yield _no_multicast(each, trial.result, text, fix)
    elif trial.result == "not heard":
        text = (
            f"{name} sends multicast, but what we sent to the greeting's group {_colon(group)} did not come back: "
            f"a firewall on this host drops it, so {_without(each, places)}"
        )
        yield _no_multicast(each, trial.result, text, (_allow(f"{group[1]}/udp"), RULES))


def _without(each: InterfaceFacts, places: Places) -> str:
    """Say what comes of it that an interface has no multicast."""
    if each.loopback:
        first, last = places.links[0], places.links[-1]
        return f"programs of this host look for each other at UDP ports {first} to {last}, which takes 0.1 s longer."
    return "programs are not found through it."


def _no_multicast(each: InterfaceFacts, result: str, text: str, fix: tuple[str, ...]) -> Finding:
    level: Level = "warning" if each.loopback else "problem"
    advice = fix if each.loopback else (*fix, PEERS)
    return Finding(level, f"multicast-{result.replace(' ', '-')}", each.name, text, advice)


def _colon(place: Address) -> str:
    return f"{place[0]}:{place[1]}"


def _mdns(each: InterfaceFacts, group: Address) -> Iterator[Finding]:
    trial = each.mdns
    if trial.result in ("not joined", "not sent", "not heard"):
        text = (
            f"{_named(each)}: mDNS ({_colon(group)}) does not pass: {trial.result}"
            f"{f' ({trial.reason})' if trial.reason else ''}. Greetings do without it; browsers will not show us there."
        )
        way = f"out {group[1]}/udp" if trial.result == "not sent" else f"{group[1]}/udp"
        yield Finding("warning", "mdns-not-heard", each.name, text, (_allow(way),))


def _mtu(each: InterfaceFacts) -> Iterator[Finding]:
    data, usual = {"mtu": each.mtu}, f"sudo ip link set {each.name} mtu {USUAL_MTU}"
    if each.loopback or each.mtu == USUAL_MTU:
        return
    if each.mtu < SMALLEST_MTU:
        text = f"{_named(each)} has an MTU of {each.mtu}, too little for ipcpy to send well (usual is {USUAL_MTU})."
        yield Finding("warning", "mtu", each.name, text, (usual,), data=data)
    elif each.mtu > USUAL_MTU:
        text = f"{_named(each)} has an MTU of {each.mtu}: every host and switch there must take packets of that size."
        advice = (f"{usual}   (if one does not; the test of each host below tells)",)
        yield Finding("note", "mtu", each.name, text, advice, data=data)
    else:
        text = f"{_named(each)} has an MTU of {each.mtu}, as VPNs and tunnels do; datagrams are made to fit."
        yield Finding("note", "mtu", each.name, text, data=data)


def _twice(each: InterfaceFacts) -> Iterator[Finding]:
    """Tell of several addresses that an interface has in one network."""
    own = [ip_interface(network) for network in each.networks]
    for network in dict.fromkeys(one.network for one in own if not each.loopback):
        addresses = [str(one.ip) for one in own if one.network == network]
        if len(addresses) > 1:
            text = (
                f"{each.name} has {len(addresses)} addresses in {network}: {', '.join(addresses)}. Programs greet from "
                "the first, and answer from the one that they were asked at."
            )
            advice = (f"export IPCPY_INTERFACES={addresses[0]}   (uses one of them for everything)",)
            yield Finding("note", "same-network", each.name, text, advice)


def _judge_pair(one: InterfaceFacts, other: InterfaceFacts) -> Iterator[Finding]:
    about = f"{one.name}, {other.name}"
    ours, theirs = ({ip_interface(n) for n in each.networks} for each in (one, other))
    twice = {n.ip for n in ours} & {n.ip for n in theirs}
    if twice:
        text = f"{about} both have the address {', '.join(map(str, sorted(twice)))}: answers take either way."
        yield Finding("warning", "same-address", about, text, (f"sudo ip address del ... dev {other.name}",))
        return
    same = sorted({n.network for n in ours if n.network.prefixlen < n.max_prefixlen} & {n.network for n in theirs})
    if same:
        text = f"{about} are both in {', '.join(map(str, same))}: the system chooses by which it sends."
        advice = (f"export IPCPY_INTERFACES={one.name}   (sends by that alone; or switch one off)",)
        yield Finding("note", "same-network", about, text, advice)
