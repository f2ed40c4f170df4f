"""No number is used twice: not by threads, forked children, retransmissions, multicast, batches nor large messages.

Two different datagrams with one number would give away what is in them, and a way to forge more. So all that two hosts
send is recorded, while they do whatever may repeat a number, and every datagram is compared with all others.
"""

from __future__ import annotations

import pickle
from collections import Counter

import pytest

from attacking import RECORDER, write_key

pytest.importorskip("cryptography")

BUSY = """
import os, sys, threading, time
import ipcpy as ipc

# Four threads publish by one node on topics of all kinds, while it forks children that publish on the same ones.
node = ipc.Node("busy")
topics = [
    ipc.Publisher("sure", ipc.Raw(), reliable=True, node=node),
    ipc.Publisher("latched", ipc.Raw(), keep=5, node=node),
    ipc.Publisher("quick", ipc.Raw(), multicast=True, node=node),
    ipc.Publisher("large", ipc.Raw(), node=node),
]
inner = ipc.Subscriber("quick", ipc.Raw(), node=node, callback=lambda message: None)
print("ready", flush=True)
for each in topics:
    each.wait_for_subscribers(2, timeout=20)
running = True


def publish(number):
    while running:
        for topic in topics[:3]:
            topic.publish(b"%d" % number * 20)
            topic.publish_many([b"x"] * 5)
        topics[3].publish(bytes([number]) * 60_000)
        time.sleep(0.01)


def child():
    # The same objects, used again: they begin anew. And what belongs to the parent, used by mistake.
    for topic in topics:
        topic.publish(b"child")
    topics[0].wait_for_subscribers(2, timeout=10)
    for _ in range(20):
        for topic in topics[:3]:
            topic.publish(b"from a child")
    os._exit(0)


threads = [threading.Thread(target=publish, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for _ in range(3):
    time.sleep(0.3)
    pid = os.fork()
    if pid == 0:
        try:
            child()
        finally:
            os._exit(1)
    print("child", os.waitpid(pid, 0)[1], flush=True)
running = False
for thread in threads:
    thread.join()
print("done", flush=True)
sys.stdin.readline()
"""

LISTENER = """
import sys, time
import ipcpy as ipc
subscribers = [ipc.Subscriber(topic, ipc.Raw(), callback=lambda message: None)
               for topic in ("sure", "latched", "quick", "large")]
print("ready", flush=True)
sys.stdin.readline()
print("received", *(each.stats.received for each in subscribers), flush=True)
"""


def sealed_of(data: bytes) -> list[bytes]:
    """Return the sealed datagrams of what the card was handed, several perhaps in one buffer."""
    found, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "little")
        assert data[at + 2 : at + 4] == b"\x01\x20" and length > 48, data[at : at + 40].hex()
        found.append(data[at : at + length])
        at += length
    return found


def test_no_number_is_used_twice(lan, tmp_path):
    hosts = lan(2, switch="user", offload=False)
    env = {"IPCPY_KEY_FILE": str(write_key(tmp_path / "key", 1))}
    recorders = [hosts.spawn(host, RECORDER, str(tmp_path / f"recorded{host}")) for host in (1, 2)]
    for recorder in recorders:
        recorder.wait_line("recording")
    hosts.impair(loss=0.03)
    listeners = [hosts.spawn(host, LISTENER, env=env) for host in (1, 2)]
    for listener in listeners:
        listener.wait_line("ready")
    busy = hosts.spawn(1, BUSY, env=env)
    for _ in range(3):
        assert busy.wait_line(r"child (\d+)", 40)[1] == "0"
    busy.wait_line("done", 40)
    for listener in listeners:
        listener.send_line()
        counts = [int(word) for word in listener.wait_line("received (.*)", 30)[1].split()]
        assert min(counts) > 2, counts  # of the large ones, 42 datagrams each, two thirds are lost
    datagrams: set[bytes] = set()
    for host, recorder in zip((1, 2), recorders, strict=True):
        recorder.send_line()
        recorder.wait_line("recorded", 30)
        for _, (_, port), data in pickle.loads((tmp_path / f"recorded{host}").read_bytes()):
            if port != 5_353:
                datagrams.update(sealed_of(data))
    numbers = Counter(sealed[8:32] for sealed in datagrams)  # number, key and session
    sessions = {sealed[20:32] for sealed in datagrams}
    print(f"measured: {len(datagrams)} different datagrams of {len(sessions)} sessions")
    assert len(sessions) >= 6
    assert [number for number, count in numbers.items() if count > 1] == []
    secrets = (b"latched", b"from a child", b"\x01" * 64)
    assert not any(secret in sealed for sealed in datagrams for secret in secrets)
    short = (b"sure", b"busy", b"x" * 5)  # 200 MB of ciphertext have one of four bytes by chance each tenth time
    few = [sealed for sealed in datagrams if len(sealed) < 1_000][:10_000]
    assert few and not any(word in sealed for sealed in few for word in short)


NAMED = """
import sys
import ipcpy as ipc
node = ipc.Node("secretname", domain="secretdomain")
outgoing = ipc.Publisher("secret/topic", ipc.Raw(), reliable=True, node=node)
incoming = ipc.Subscriber("secret/*", ipc.Raw(), node=node)
service = ipc.Service("secretservice", lambda request: request, node=node)
print("ready", flush=True)
for _ in range(20):
    incoming.recv(timeout=20)
    outgoing.publish(b"secret body" * 300)
print("heard", flush=True)
sys.stdin.readline()
"""
FEEDER = """
import sys, time
import ipcpy as ipc
node = ipc.Node("secretname", domain="secretdomain")
outgoing = ipc.Publisher("secret/feed", ipc.Raw(), node=node)
print("ready", flush=True)
while True:
    outgoing.publish(b"secret body")
    time.sleep(0.02)
"""


def test_nothing_that_has_a_name_is_sent_in_clear(lan, tmp_path):
    """Topics, nodes, hosts, domains, services, bodies: neither by the link or data, nor by mDNS."""
    hosts = lan(2, names=("secrethost1", "secrethost2"))
    env = {"IPCPY_KEY_FILE": str(write_key(tmp_path / "key", 1))}
    recorders = [hosts.spawn(host, RECORDER, str(tmp_path / f"recorded{host}")) for host in (1, 2)]
    for recorder in recorders:
        recorder.wait_line("recording")
    node = hosts.spawn(1, NAMED, env=env)
    hosts.spawn(2, FEEDER, env=env)
    node.wait_line("heard", 30)
    recorders[0].wait_line("mDNS", 30)
    seen: list[tuple[int, bytes]] = []
    for host, recorder in zip((1, 2), recorders, strict=True):
        recorder.send_line()
        recorder.wait_line("recorded", 30)
        recorded = pickle.loads((tmp_path / f"recorded{host}").read_bytes())
        seen += [(to[1], data) for _, to, data in recorded]
    assert len(seen) > 100
    assert [port for port, data in seen if b"secret" in data.lower()] == []
    assert any(port == 5_353 and b"_ipcpy" in data for port, data in seen), "mDNS was heard"
