"""Large best-effort messages between processes: none is lost where somebody reads, whoever else sends or starts."""

from __future__ import annotations

import json

import pytest

from ipcpy.protocol.data.sender import AHEAD, MAX_WAIT

PUBLISHER = """
import sys, time
import ipcpy as ipc

name, size, count, pause = sys.argv[1], *map(float, sys.argv[2:])
with ipc.Publisher(name, ipc.Raw()) as publisher:
    publisher.wait_for_subscribers(timeout=30)
    print("matched", flush=True)
    sys.stdin.readline()
    for number in range(int(count)):
        publisher.publish(bytearray(int(size)))
        time.sleep(pause)
    print("published", flush=True)
    sys.stdin.readline()
    print("stats", publisher.stats, flush=True)
"""

SUBSCRIBER = """
import json, sys, threading, time
import ipcpy as ipc

pattern, count = sys.argv[1], int(sys.argv[2])
held = 0.0


def watch():
    global held
    while True:
        before = time.monotonic()
        time.sleep(0.01)
        held = max(held, time.monotonic() - before - 0.01)


threading.Thread(target=watch, daemon=True).start()
sub = ipc.Subscriber(pattern)
print("ready", flush=True)
late = {}
for _ in range(count):
    try:
        message = sub.recv(timeout=10)
    except ipc.RecvTimeout as error:
        print(error, sub.why(), flush=True)
        break
    late.setdefault(message.topic, []).append((message.received_ns - message.sent_ns) / 1e6)
print("late", {topic: round(max(each), 1) for topic, each in late.items()}, flush=True)
print("held", held, flush=True)
print("books", json.dumps([sub.stats.received, dict(sub.stats.lost)]), flush=True)
"""


def books(subscriber):
    return json.loads(subscriber.wait_line("books (.*)", timeout=60)[1])


@pytest.mark.parametrize("size", [200_000, 2_500_000])
def test_four_publishers_of_images_to_one_subscriber_on_one_host(spawn, way, size):
    subscriber = spawn(SUBSCRIBER, "big/*", 4 * AHEAD)
    subscriber.wait_line("ready")
    publishers = [
        spawn(PUBLISHER, f"big/{number}", size, AHEAD, 0.0) for number in range(4)
    ]  # as many wait at any rate
    for publisher in publishers:
        publisher.wait_line("matched", timeout=30)
    for publisher in publishers:
        publisher.send_line()
    assert books(subscriber) == [4 * AHEAD, {}]


def test_ten_programs_that_start_at_once_on_two_hosts_lose_no_image(lan):
    hosts = lan(2)
    images = [hosts.spawn(2, SUBSCRIBER, f"camera/{number}", 40) for number in range(2)]
    samples = [hosts.spawn(2, SUBSCRIBER, f"imu/{number}", 400) for number in range(3)]
    publishers = [hosts.spawn(1, PUBLISHER, f"camera/{number}", 921_600, 40, 1 / 20) for number in range(2)]
    publishers += [hosts.spawn(1, PUBLISHER, f"imu/{number}", 64, 400, 1 / 200) for number in range(3)]
    for publisher in publishers:
        publisher.send_line()
    for subscriber, count in [*((each, 40) for each in images), *((each, 400) for each in samples)]:
        held = float(subscriber.wait_line("held (.*)", timeout=60)[1])
        # a machine on which a program does not run for as long as an image waits shows nothing
        assert books(subscriber) == [count, {}] or held > MAX_WAIT / 2, held


@pytest.mark.parametrize("reliable", [False, True])
def test_a_path_that_drops_what_our_own_interface_takes_without_a_word(lan, reliable):
    hosts = lan(2)
    hosts.run(1, ["ip", "link", "set", "eth0", "mtu", "9000"])  # what it is plugged into has 1,500
    subscriber = hosts.spawn(2, SUBSCRIBER, "camera", 20)
    subscriber.wait_line("ready")
    program = PUBLISHER.replace("ipc.Raw())", f"ipc.Raw(), reliable={reliable})")
    publisher = hosts.spawn(1, program, "camera", 5_000, 10, 0.1, env={"IPCPY_LOG": "warning"})
    publisher.wait_line("matched", timeout=30)
    publisher.send_line()
    publisher.wait_line("published", timeout=30)
    publisher.send_line()
    publisher.wait_line("stats")
    publisher.succeed()
    assert publisher.stderr.count("datagrams of 8972 bytes do not reach") == 1
    large = hosts.spawn(1, program, "camera", 300_000, 10, 0.1)
    large.wait_line("matched", timeout=30)
    large.send_line()
    assert books(subscriber) == [20, {}]


def test_a_reliable_topic_of_small_messages_learns_that_the_path_takes_less(lan):
    # 1,360 bytes: one datagram and one fragment, with a key too (1,472 - 52 for the seal - 44 of a fragment)
    hosts = lan(2, mtu=1_300)
    hosts.run(1, ["ip", "link", "set", "eth0", "mtu", "1500"])  # what it is plugged into has 1,300
    subscriber = hosts.spawn(2, SUBSCRIBER, "arm", 20)
    subscriber.wait_line("ready")
    program = PUBLISHER.replace("ipc.Raw())", "ipc.Raw(), reliable=True)")
    publisher = hosts.spawn(1, program, "arm", 1_360, 20, 0.02, env={"IPCPY_LOG": "warning"})
    publisher.wait_line("matched", timeout=30)
    publisher.send_line()
    publisher.wait_line("published", timeout=30)
    assert books(subscriber) == [20, {}]
    publisher.send_line()
    publisher.wait_line("stats")
    publisher.succeed()
    assert publisher.stderr.count("datagrams of 1472 bytes do not reach") == 1
