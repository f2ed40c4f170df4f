"""Says what the settings mean. Knows facts and sentences; nothing of where the facts come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...facts import Finding, NameFacts, SettingsFacts
from ...graph import Stranger

__all__ = ["judge_keys", "judge_name", "judge_settings", "judge_strangers"]

VARIABLES = (
    "IPCPY_DOMAIN",
    "IPCPY_INTERFACES",
    "IPCPY_PEERS",
    "IPCPY_KEY_FILE",
    "IPCPY_LOG",
    "IPCPY_SHM",
    "IPCPY_NAMESPACE",
    "IPCPY_REMAP",
    "IPCPY_PURE",
)


def judge_settings(facts: SettingsFacts) -> Iterator[Finding]:
    """Say how the settings are understood, and what is wrong with them."""
    if facts.error:
        text = f"No node can be made: {facts.error}."
        yield Finding("problem", "no-node", "settings", text, ("Correct the setting (see README.md, Settings).",))
    else:
        yield Finding("ok", "settings", "settings", _understood(facts))
    for name in facts.unknown:
        text = f"{name} is set, but no such setting exists: perhaps it is misspelt."
        yield Finding("warning", "unknown-variable", name, text, (f"Known are {', '.join(VARIABLES)}.",))
    for name in facts.missing:
        text = f"The settings name the interface {name}, which this host does not have now. It is used when it comes."
        yield Finding("warning", "no-such-interface", name, text, ("ip -brief address   (shows what there is)",))
    for peer in facts.peers:
        yield from judge_name(peer, "IPCPY_PEERS")


def _understood(facts: SettingsFacts) -> str:
    interfaces = ", ".join(facts.interfaces) or "all interfaces"
    peers = ", ".join(_place(peer) for peer in facts.peers) or "no static peers"
    under = f", topics under {facts.namespace!r}" if facts.namespace else ""
    renamed = f", remapped {facts.remap}" if facts.remap else ""
    log = f", log from {facts.log}" if facts.log else ""
    keys = ", no key"
    if facts.keys:
        more = len(facts.keys) - 1
        keys = f", sealed with the key {facts.keys[0]!r}{f' and {more} more accepted' if more else ''}"
    return f"Domain {facts.domain!r}, {interfaces}, {peers}{under}{renamed}{log}{keys}."


def _place(peer: NameFacts) -> str:
    return peer.host if peer.port is None else f"{peer.host}:{peer.port}"


def judge_name(peer: NameFacts, source: str) -> Iterator[Finding]:
    """Say what is wrong with the name of a host.

    Args:
        peer: the name, and what it stands for.
        source: where the name stands: a variable, or the command.
    """
    advice = (f"getent hosts {peer.host}   (asks the same)", f"Or write its address, such as 10.0.0.7, in {source}.")
    if peer.addresses is None:
        text = f"The name {peer.host} takes long to look up: the name server does not answer."
        yield Finding("warning", "slow-name", peer.host, text, advice)
    elif not peer.addresses:
        text = f"The name {peer.host} has no IPv4 address."
        yield Finding("problem", "no-such-name", peer.host, text, advice)


def judge_strangers(strangers: Sequence[tuple[str, str]], domain: str) -> Iterator[Finding]:
    """Say which programs of other domains were heard.

    Args:
        strangers: address and domain of each; the domain is empty where it is not known.
        domain: our own domain.
    """
    for name in sorted({name for _, name in strangers}):
        hosts = sorted({address for address, other in strangers if other == name})
        where = f"domain {name!r}" if name else "another domain"
        text = (
            f"{_count(hosts)} {where}, heard at {', '.join(hosts[:5])}{', ...' if len(hosts) > 5 else ''}, "
            f"but this program is in {domain!r}: the two neither see nor hear each other."
        )
        here = f"export IPCPY_DOMAIN={name}" if name else "echo $IPCPY_DOMAIN   (there), and export the same here"
        advice = (f"If they should meet:  {here}",)
        data = {"addresses": hosts, "domain": name or None}
        yield Finding("note", "other-domain", where, text, advice, data=data)


def judge_keys(strangers: Sequence[Stranger]) -> Iterator[Finding]:
    """Say who is here and shares no key with our node."""
    for each in strangers:
        data = {"nodes": each.nodes, "fingerprint": each.fingerprint or None}
        text = f"{each.text}: neither side hears the other."
        if each.fingerprint:
            advice = "If they should meet: copy their key file to here.  ipcpy key show   (there, shows these words)"
            yield Finding("note", "other-key", "keys", text, (advice,), data=data)
        else:
            advice = "If they should meet: copy the key file there, and start them anew.  ipcpy key show   (shows it)"
            yield Finding("note", "no-key", "keys", text, (advice,), data=data)


def _count(hosts: Sequence[str]) -> str:
    return "There is a host in" if len(hosts) == 1 else f"There are {len(hosts)} hosts in"
