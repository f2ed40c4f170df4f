"""``ipcpy bridge mqtt`` between hosts: a partition, a slow uplink. The broker is a host of its own."""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from broker import Broker

pytest.importorskip("aiomqtt", reason="needs ipcpy[mqtt]")

ROBOT, BROKER, DESK = 1, 2, 3
PATIENCE = 60.0
LONG = os.environ.get("LONG_TESTS") == "1"
BRIDGE = [sys.executable, "-m", "ipcpy.cli", "bridge", "mqtt", "--json", "--every", "0.5s"]

PUBLISH = """
    import sys, time
    import ipcpy as ipc

    plan = ipc.Publisher("plan", reliable=True)
    imu = ipc.Publisher("imu")
    plan.wait_for_subscribers(timeout=60)
    imu.wait_for_subscribers(timeout=60)
    print("ready", flush=True)
    number = 0
    for line in sys.stdin:
        for _ in range(int(line)):
            number += 1
            plan.publish(number)
            imu.publish(number)
        print("published", number, flush=True)
"""
LISTEN = """
    import sys, threading
    import ipcpy as ipc

    def show(message):
        sys.stdout.write(f"{message.topic} {message.data}\\n")

    subs = [ipc.Subscriber(topic, callback=show) for topic in ("r7/plan", "r7/imu")]
    for sub in subs:
        sub.wait_for_publishers(timeout=60)
    print("ready", flush=True)
    threading.Event().wait()
"""
CAMERA = """
    import time
    import ipcpy as ipc

    with ipc.Publisher("camera", ipc.Raw()) as camera:
        camera.wait_for_subscribers(timeout=60)
        print("ready", flush=True)
        number = 0
        while True:
            number += 1
            camera.publish(number.to_bytes(4, "big") + bytes(20_000))
            time.sleep(0.033)
"""
WATCH = """
    import time
    import ipcpy as ipc

    with ipc.Subscriber("r7/camera") as sub:
        for message in sub:
            age = (time.time_ns() - message.sent_ns) / 1e9
            print("frame", int.from_bytes(bytes(message.data[:4]), "big"), f"{age:.3f}", flush=True)
"""


def site(name: str) -> dict[str, str]:
    return {"IPCPY_DOMAIN": f"site-{name}"}


def hear(process, topic: str, number: int) -> None:
    process.wait_line(f"^{topic} {number}$", PATIENCE)


@pytest.mark.timeout(300)
def test_a_partition_ends_and_reliable_messages_of_before_and_after_arrive(lan, tmp_path: Path) -> None:
    net = lan(hosts=3)
    broker = Broker(partial(net.spawn, BROKER), tmp_path, address=net.ip(BROKER), port=1883)
    (tmp_path / "fast.toml").write_text(f'[mqtt]\nconnect = "{broker.address}"\nkeepalive = 2\n')
    command = [*BRIDGE, "-c", str(tmp_path / "fast.toml")]
    there = net.spawn(ROBOT, [*command, "--prefix", "r7"], env=site("robot"))
    here = net.spawn(DESK, command, env=site("desk"))
    listener = net.spawn(DESK, LISTEN, env=site("desk"))
    robot = net.spawn(ROBOT, PUBLISH, env=site("robot"))
    robot.wait_line("ready", PATIENCE)
    listener.wait_line("ready", PATIENCE)
    here.wait_line(r'"state": "linked"', PATIENCE)
    robot.send_line("5")
    hear(listener, "r7/plan", 5)
    net.partition({ROBOT, BROKER}, {DESK})
    here.wait_line(r'"state": "away"', PATIENCE)
    robot.send_line("5")
    robot.wait_line("published 10", PATIENCE)
    if LONG:
        time.sleep(60)
    net.heal()
    here.wait_line(r'"state": "linked"', PATIENCE)
    listener.wait_line("r7/plan 10", PATIENCE)  # the broker kept them
    there.wait_line(r'"state": "linked"', PATIENCE)
    robot.send_line("1")
    hear(listener, "r7/imu", 11)
    whole = r'\{.*"topic": "r7/plan", [^{}]*"received": 11, .*'
    status = json.loads(here.wait_line(whole, PATIENCE).group())
    assert status["outages"] == 1
    plan = next(each for each in status["imports"] if each["topic"] == "r7/plan")
    assert (plan["received"], plan["missing"]) == (11, {})
    heard = [line for line in listener.stdout.splitlines() if line.startswith("r7/plan")]
    assert heard == [f"r7/plan {number}" for number in range(1, 12)]


@pytest.mark.timeout(180)
def test_over_a_slow_uplink_the_newest_frames_arrive_young(lan, tmp_path: Path) -> None:
    net = lan(hosts=3, switch="user")
    broker = Broker(partial(net.spawn, BROKER), tmp_path, address=net.ip(BROKER), port=1883)
    where = ["--connect", broker.address]
    there = net.spawn(ROBOT, [*BRIDGE, *where, "--prefix", "r7", "--format", "raw"], env=site("robot"))
    net.spawn(DESK, [*BRIDGE, *where], env=site("desk"))
    watcher = net.spawn(DESK, WATCH, env=site("desk"))
    camera = net.spawn(ROBOT, CAMERA, env=site("robot"))
    camera.wait_line("ready", PATIENCE)
    watcher.wait_line("frame", PATIENCE)
    net.impair(src=ROBOT, dst=BROKER, rate=1e6)
    for _ in range(15):  # what was under way
        watcher.wait_line("frame", PATIENCE)
    found = [watcher.wait_line(r"frame (\d+) ([\d.]+)", PATIENCE) for _ in range(20)]
    ages = sorted(float(each[2]) for each in found)
    assert ages[len(ages) // 2] < 1.0, ages
    numbers = [int(each[1]) for each in found]
    assert numbers == sorted(numbers) and numbers[-1] - numbers[0] > 20
    status = json.loads(there.wait_line(r'\{.*"uplink".*', PATIENCE).group())
    assert status["exports"][0]["left_out"]["uplink"] > 0
