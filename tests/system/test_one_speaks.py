"""One node of a host speaks mDNS for all: what others see of them, and what becomes of them when it goes."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import pytest

import tools
from lan_process import wait_until

pytest.importorskip("zeroconf")

NODE = """
import json, os, sys
import ipcpy as ipc
node = ipc.Node(sys.argv[1])
publisher = ipc.Publisher(f"from/{sys.argv[1]}", ipc.Raw(), node=node)
print("ready", node.id, flush=True)
for line in sys.stdin:
    speaks = node._core.rendezvous._speaking
    told = {
        "nodes": sorted(other.name for other in node.nodes()),
        "loaded": "zeroconf" in sys.modules,
        "speaker": f"{speaks._entry.speaker:016x}",
        "for": sorted(f"{id:016x}" for id in speaks._proxy._spoken_for),
    }
    print("told", json.dumps(told), flush=True)
"""

# Asks by mDNS who is there, from a port of its own, until it ends; prints the names of services with each answer.
BROWSER = """
import socket, sys, time
from zeroconf import DNSIncoming, DNSOutgoing, DNSQuestion
out = DNSOutgoing(0)
out.add_question(DNSQuestion("_ipcpy._udp.local.", 12, 1))
(question,) = out.packets()
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
end = time.monotonic() + float(sys.argv[2])
names = set()
while time.monotonic() < end:
    sock.sendto(question, ("224.0.0.251", 5353))
    sock.settimeout(0.2)
    try:
        while True:
            data = sock.recv(9000)
            names |= {each.alias.partition("-")[0] for each in DNSIncoming(data).answers() if each.type == 12}
    except TimeoutError:
        print("seen", *sorted(names), flush=True)
"""
ONLY_MDNS = """table ip t {
chain c {
type filter hook output priority 0;
oifname != "lo" ip daddr 239.255.77.70 drop
}
}
"""


class Node:
    """A running NODE."""

    def __init__(self, process, name):
        self.process, self.name = process, name
        self.id = process.wait_line(r"ready (\w+)")[1]

    def told(self):
        self.process.send_line("tell")
        return json.loads(self.process.wait_line(r"told (.*)")[1])


def nodes(hosts, host, *names):
    return [Node(hosts.spawn(host, NODE, name), name) for name in names]


def one_speaker(of):
    """Return the node that speaks for itself and all the others, once that is so."""

    def found():
        told = {node.id: node.told() for node in of}
        speakers = [node for node in of if told[node.id]["speaker"] == node.id]
        if len(speakers) != 1 or {each["speaker"] for each in told.values()} != {speakers[0].id}:
            return None
        others = sorted(node.id for node in of if node is not speakers[0])
        return speakers[0] if told[speakers[0].id]["for"] == others else None

    return wait_until(found, timeout=40, interval=0.1)


def seen(hosts, host, names, *, timeout=20.0):
    """Wait until a browser on a host is told of services with just these names."""
    end = time.monotonic() + timeout
    browser, last = None, None
    while time.monotonic() < end:
        browser = hosts.run(host, [sys.executable, "-c", BROWSER, hosts.ip(host), "0.5"], timeout=30)
        last = browser.stdout.splitlines()[-1].split()[1:] if browser.stdout else []
        if last == sorted(names):
            return
    raise AssertionError(f"seen {last}, not {sorted(names)}: {browser.stderr}")


def test_one_of_a_host_speaks_and_when_it_is_killed_another_does(lan):
    hosts = lan(2)
    here = nodes(hosts, 1, "one")
    one_speaker(here)
    here += nodes(hosts, 1, "two", "three", "four")
    assert one_speaker(here) is here[0]
    assert [node.told()["loaded"] for node in here] == [True, False, False, False]
    seen(hosts, 2, ["one", "two", "three", "four"])
    here[0].process.kill()
    killed = time.monotonic()
    left = here[1:]
    second = one_speaker(left)
    print(f"measured: another speaks {time.monotonic() - killed:.2f} s after the kill")
    assert [node.told()["loaded"] for node in left].count(True) == 1
    seen(hosts, 2, [node.name for node in left])
    os.kill(second.process.pid, signal.SIGSTOP)
    rest = [node for node in left if node is not second]
    one_speaker(rest)
    os.kill(second.process.pid, signal.SIGCONT)
    wait_until(lambda: second.told()["for"] == [], timeout=20, interval=0.1)
    seen(hosts, 2, [node.name for node in left])


def test_where_only_mdns_passes_those_who_do_not_speak_it_find_others_too(lan):
    tools.need("nft")
    hosts = lan(3)
    for host in (1, 2, 3):
        done = hosts.run(host, ["nft", "-f", "-"], input=ONLY_MDNS)
        assert done.returncode == 0, done.stderr
    here, there = nodes(hosts, 1, "a1", "a2", "a3"), nodes(hosts, 2, "b1", "b2")
    names = [node.name for node in here + there]
    for node in here + there:
        wait_until(lambda node=node: node.told()["nodes"] == names, timeout=40, interval=0.1)
    one_speaker(here)
    one_speaker(there)
    (late,) = nodes(hosts, 3, "c")
    (later,) = nodes(hosts, 2, "b3")  # it is told by who speaks for it
    for node in (*here, *there, late, later):
        wait_until(lambda node=node: node.told()["nodes"] == sorted([*names, "b3", "c"]), timeout=40, interval=0.1)
    assert [node.told()["loaded"] for node in (*here, *there, later)].count(True) == 2


def test_many_that_start_together_have_few_speak(lan):
    """Who decides at the same moment may decide the same; nobody is left out, or shown twice."""
    hosts = lan(2)
    here = [
        Node(process, f"n{number}") for number, process in enumerate(hosts.spawn(1, NODE, f"n{n}") for n in range(12))
    ]
    wait_until(lambda: all(int(node.told()["speaker"], 16) for node in here), timeout=60, interval=0.2)
    loaded = [node.told()["loaded"] for node in here].count(True)
    print(f"measured: {loaded} of {len(here)} speak")
    assert loaded <= 4
    seen(hosts, 2, [node.name for node in here])


def test_an_end_of_the_one_that_speaks_is_a_goodbye_and_the_others_stay(lan):
    hosts = lan(2)
    here = nodes(hosts, 1, "one")
    one_speaker(here)
    here += nodes(hosts, 1, "two")
    assert one_speaker(here) is here[0]
    here[0].process.close_stdin()
    here[0].process.succeed()
    one_speaker(here[1:])
    seen(hosts, 2, ["two"])
