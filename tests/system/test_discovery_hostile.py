"""Forged greetings and records, another responder, a port that is taken, a clock that jumps: nothing comes of it."""

from __future__ import annotations

import json
import os
import time

import pytest

import lan_avahi
from attacking import without_key
from robots import ROBOT, Robot, both_hear, measured, robot

FORGER = """
import json, os, random, socket, struct, sys, time
from ipcpy.protocol.link.entries import NodeEntry, SubscriberEntry, pack_entry
from ipcpy.protocol.link.link import Link
from ipcpy.protocol.wire import Kind, pack_frame

target, victim, domain = sys.argv[1], sys.argv[2], sys.argv[3]
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)


def forge(source, data, port=17770):
    # A datagram from an address that is not ours: the victim's.
    udp = struct.pack("!HHHH", source[1], port, 8 + len(data), 0) + data
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                     socket.inet_aton(source[0]), socket.inet_aton(target))
    raw.sendto(ip + udp, (target, 0))


link = Link(77, pack_entry(NodeEntry("forged", "x", 1, "1", domain)), domain, os.urandom(32))
link.table.put(1, pack_entry(SubscriberEntry("from/*", "any", 9999)))
hello = link._greeter.hello((target, 17770), 1)
body = struct.pack("<QQ", random.getrandbits(64), random.getrandbits(64))
sent = 0
for number in range(300):
    forge((victim, 9000), hello)
    for kind in (Kind.WELCOME, Kind.CONFIRM, Kind.TABLE, Kind.ALIVE):
        forge((victim, 9000), pack_frame(kind, 77, random.getrandbits(64), 0, body))
    for kind in (Kind.ANSWER, Kind.STARTED):  # to the publisher, as if from a subscriber
        for port in (17770, 17771, *random.sample(range(32768, 61000), 3)):
            forge((victim, 9999), pack_frame(kind, 77, 1, 0, body), port)
    sent += 1
    time.sleep(0.002)
print("forged", sent, len(hello), flush=True)
"""
SNIFFER = """
import socket, sys
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
sock.settimeout(0.2)
print("sniffing", flush=True)
seen, largest, count = 0, 0, 0
import select
while True:
    ready, _, _ = select.select([sock, sys.stdin], [], [], 0.2)
    if sys.stdin in ready:
        break
    if sock in ready:
        packet = sock.recv(65536)[14:]
        if packet[9] == 17 and packet[16:20] == socket.inet_aton(sys.argv[1]):
            data = packet[28:]
            if int.from_bytes(packet[22:24], "big") in (9000, 9999):
                count += 1
                seen += len(data)
                largest = max(largest, len(data))
print("saw", count, seen, largest, flush=True)
"""


def test_a_forged_greeting_or_subscription_gets_no_topic_data(lan):
    """Host 3 speaks in the name of host 4, which must not get more than was sent in its name, and no data at all."""
    hosts = lan(4)
    one, two = robot(hosts.spawn, "one", 1), robot(hosts.spawn, "two", 2)
    both_hear(one, two)
    sniffer = hosts.spawn(4, SNIFFER, hosts.ip(4))
    sniffer.wait_line("sniffing")
    forger = hosts.spawn(3, FORGER, hosts.ip(1), hosts.ip(4), os.environ["IPCPY_DOMAIN"])
    forged = forger.wait_line(r"forged (\d+) (\d+)", 40)
    both_hear(one, two)
    sniffer.send_line()
    saw = sniffer.wait_line(r"saw (\d+) (\d+) (\d+)")
    print(f"measured: forged {forged[1]} greetings of {forged[2]} bytes; the victim got {saw[1]} of at most {saw[3]}")
    assert int(saw[1]) <= int(forged[1])
    assert int(saw[3]) <= int(forged[2])
    assert one.nodes() == ["one", "two"]


def mdns_packets(domain, count):
    """Build mDNS responses that announce nodes at made-up addresses."""
    from zeroconf import DNSOutgoing, ServiceInfo

    for number in range(count):
        info = ServiceInfo(
            "_ipcpy._udp.local.",
            f"forged-{number:016x}._ipcpy._udp.local.",
            port=1 + number % 65_000,
            properties={"v": "1", "id": f"{number:016x}", "domain": domain, "host": "forged"},
            server=f"forged{number}.local.",
            parsed_addresses=[f"10.77.0.{100 + number % 100}"],
        )
        out = DNSOutgoing(0x8400)
        for record in (info.dns_pointer(), info.dns_service(), info.dns_text(), *info.dns_addresses()):
            out.add_answer_at_time(record, 0)
        yield from out.packets()


FLOODER = """
import base64, socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
packets = [base64.b64decode(line) for line in open(sys.argv[1])]
for number, packet in enumerate(packets):
    sock.sendto(packet, ("224.0.0.251", 5353))
    if number % 20 == 19:
        time.sleep(0.002)
print("flooded", len(packets), flush=True)
"""


def test_thousands_of_forged_mdns_records_harm_nobody(lan, tmp_path):
    import base64

    pytest.importorskip("zeroconf")
    hosts = lan(3)
    one, two = robot(hosts.spawn, "one", 1), robot(hosts.spawn, "two", 2)
    both_hear(one, two)
    path = tmp_path / "packets"
    packets = list(mdns_packets(os.environ["IPCPY_DOMAIN"], 2_500))
    garbage = [bytes((7 * at + number) % 256 for at in range(1_200)) for number in range(500)]
    path.write_text("\n".join(base64.b64encode(packet).decode() for packet in packets + garbage))
    flooder = hosts.spawn(3, FLOODER, str(path))
    flooder.wait_line("flooded", 40)
    measured("data under forged mDNS", both_hear(one, two), 0.1, 3.0)
    newcomer = robot(hosts.spawn, "newcomer", 2)
    measured("a newcomer under forged mDNS", both_hear(one, newcomer, newcomer.begun), 0.3, 3.0)
    assert one.nodes() == ["newcomer", "one", "two"]
    assert one.logged("WARNING") <= 4


@without_key
def test_avahi_on_the_same_host_sees_all_nodes(lan):
    hosts = lan(2)
    lan_avahi.start(hosts, 1)
    one, two = robot(hosts.spawn, "one", 1), robot(hosts.spawn, "two", 2)
    measured("matched beside avahi", both_hear(one, two, two.begun), 0.3, 3.0)
    deadline = time.monotonic() + 15
    shown: set[str] = set()
    while shown != {"one", "two"} and time.monotonic() < deadline:
        shown = {found.name.partition("-")[0] for found in lan_avahi.browse(hosts, 1)}
    assert shown == {"one", "two"}
    assert one.logged("mDNS does not work") == 0


TAKEN = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 5353))
print("taken", flush=True)
input()
"""


def test_without_port_5353_the_link_is_enough_and_it_is_said_once(lan):
    hosts = lan(2)
    for host in (1, 2):
        hosts.spawn(host, TAKEN).wait_line("taken")
    one, two = robot(hosts.spawn, "one", 1), robot(hosts.spawn, "two", 2)
    measured("matched without port 5353", both_hear(one, two, two.begun), 0.3, 3.0)
    near = robot(hosts.spawn, "near", 1)
    both_hear(near, two)
    one.process.wait_line("mDNS does not work", timeout=30)
    hosts.address(1, "10.77.0.77/24")  # it is tried again, and not said again
    both_hear(one, two)
    assert one.logged("mDNS does not work") == 1


JUMP = """
import time as _time
_real, _real_ns, _ahead = _time.time, _time.time_ns, [0.0]
_time.time = lambda: _real() + _ahead[0]
_time.time_ns = lambda: _real_ns() + int(_ahead[0] * 1e9)
import threading as _threading
def _jump():
    for _ahead[0] in (3600.0, -3600.0, 0.0, 86400.0 * 365, -86400.0 * 365):
        _time.sleep(0.8)
    print("jumped", flush=True)
"""


def test_the_wall_clock_jumps_and_nothing_expires(lan):
    hosts = lan(2)
    one = robot(hosts.spawn, "one", 1)
    program = JUMP + ROBOT.replace("begun = ", "_threading.Thread(target=_jump, daemon=True).start()\nbegun = ")
    two = Robot(hosts.spawn(2, program, "two", json.dumps({})), "two")
    both_hear(one, two)
    two.process.wait_line("jumped", timeout=40)
    measured("data after the clock jumped", both_hear(one, two), 0.1, 3.0)
    assert "lost" not in one.process.stdout + two.process.stdout
    assert "stalled" not in one.process.stdout + two.process.stdout
