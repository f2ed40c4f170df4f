"""A man on the LAN without a key: he records what passes, and sends it again, changed or as it was, from any address.

Both programs need CAP_NET_RAW: they run on a host of ``lan``.
"""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from random import Random

import pytest

ALGORITHM = "chacha20-poly1305"

without_key = pytest.mark.skipif(
    os.environ["IPCPY_KEY_FILE"] != "", reason="a peer written by hand, or mDNS, which has no names with a key"
)
"""Marks what cannot be run with TEST_KEY."""


def key_line(seed: int, algorithm: str = ALGORITHM) -> str:
    """Return a line of a key file; the same seed, the same key."""
    return f"ipcpy-key-1 {algorithm} {b64encode(Random(seed).randbytes(32)).decode()}\n"


def write_key(path: Path, *seeds: int, algorithm: str = ALGORITHM) -> Path:
    """Write a key file at once, as a careful administrator does: nobody sees half of it."""
    new = path.with_name(path.name + ".new")
    new.touch(0o600)
    new.write_text("".join(key_line(seed, algorithm) for seed in seeds))
    new.replace(path)
    return path


RECORDER = """if True:
    import pickle, select, socket, sys
    # Arguments: where to write. Until a line comes: all UDP datagrams that come to or leave this host, once each.
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE, or as much as is allowed
    print("recording", flush=True)
    found, told = {}, False
    while True:
        ready = select.select([sock, sys.stdin], [], [])[0]
        if sock in ready:
            packet, (_, kind, direction, *_) = sock.recvfrom(1 << 17)
            if kind != 0x0800 or packet[9] != 17 or int.from_bytes(packet[6:8], "big") & 0x3FFF:
                continue  # not IPv4, not UDP, or a fragment
            head = 4 * (packet[0] & 15)
            size = int.from_bytes(packet[head + 4 : head + 6], "big") - 8
            if not 0 < size <= len(packet) - head - 8:
                continue
            source, to = ((socket.inet_ntoa(packet[at : at + 4]), int.from_bytes(packet[port : port + 2], "big"))
                          for at, port in ((12, head), (16, head + 2)))
            data = packet[head + 8 : head + 8 + size]
            found[source, to, data] = None
            if to[1] == 5353 and b"_ipcpy" in data and not told:
                told = True
                print("mDNS", flush=True)
        elif sys.stdin in ready:
            break
    with open(sys.argv[1], "wb") as file:
        pickle.dump(list(found), file)
    print("recorded", len(found), sum(len(data) for _, _, data in found), flush=True)
"""
"""Prints ``recording``, ``mDNS`` once that came, and after a line on standard input ``recorded``; the file
is a pickle of (source, to, data)."""

SENDER = """
import json, pickle, random, socket, struct, sys, time

raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)


def packet(source, to, data):
    udp = struct.pack("!HHHH", source[1], to[1], 8 + len(data), 0) + data
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                       socket.inet_aton(source[0]), socket.inet_aton(to[0])) + udp


def forge(source, to, data):
    "Send a datagram from an address that is not ours."
    try:
        raw.sendto(packet(source, to, data), (to[0], 0))
    except OSError:
        return 0
    return 1
"""
"""What programs begin with that send datagrams from any address: ``forge(source, to, data)``."""

ATTACKER = (
    SENDER
    + """
# Arguments: a recording, what to do, how many, how many a second, [[ip, port], ...] of the targets, a seed.
path, what, count, rate, targets, seed = sys.argv[1], sys.argv[2], *map(json.loads, sys.argv[3:7])
dice = random.Random(seed)
targets = [tuple(target) for target in targets]
known = {port for _, port in targets}
with open(path, "rb") as file:
    recorded = [each for each in pickle.load(file) if each[1][1] in known and len(each[2]) <= 1472]
assert recorded
sources = sorted({source for source, _, _ in recorded})
by_port = {port: [each for each in recorded if each[1][1] == port] or recorded for port in known}


def replayed(to):
    source, _, data = dice.choice(by_port[to[1]] if dice.random() < 0.8 else recorded)
    return source, data


def flipped(to):
    source, data = replayed(to)
    data = bytearray(data)
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return source, data


def mutated(to):
    source, data = replayed(to)
    choice = dice.randrange(6)
    if choice == 0:
        data = dice.randbytes(dice.randrange(1, 300))
    elif choice == 1:
        data = data[: dice.randrange(len(data))] or b"x"
    elif choice == 2:
        data = data + dice.randbytes(dice.randrange(1, 40))
    elif choice == 3:  # the head of one, the rest of another
        data = data[:32] + dice.choice(recorded)[2][32:]
    elif choice == 4:  # several, as if merged, one of them wrong
        data = (flipped(to)[1] + data + dice.choice(recorded)[2])[:1472]
    else:  # a session that never was, or another number
        data = bytearray(data)
        at, size = dice.choice(((20, 12), (8, 8), (16, 4), (8, 24), (32, 8)))
        data[at : at + size] = dice.randbytes(size)
    if dice.random() < 0.1:
        source = (source[0], dice.randrange(1024, 65536))
    return source, data


make = {"replay": replayed, "flip": flipped, "mutate": mutated}[what]
print("ready", flush=True)
sys.stdin.readline()
sent, begun, lost = 0, time.monotonic(), 0
for sent in range(1, count + 1):  # no two rounds alike: each is made as it is sent
    to = targets[sent % len(targets)]
    source, data = make(to)
    lost += not forge(source, to, bytes(data))
    if not sent % 50:
        time.sleep(max(0.0, begun + sent / rate - time.monotonic()))
print("sent", sent - lost, f"{time.monotonic() - begun:.1f}", flush=True)
"""
)
"""Prints ``ready``, and after a line on standard input ``sent COUNT SECONDS``."""
