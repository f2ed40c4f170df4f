"""``ipcpy why``, against other processes: types that differ, a process that is stopped, a topic that is not there."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace

import pytest

import ipcpy as ipc
from ipcpy.cli.why import between_lines
from ipcpy.graph import EndpointInfo, NodeInfo

CAM = NodeInfo("0" * 15 + "a", "camera", "pi", 7, "d", "10.0.0.1:17770", "1", "alive", 0.0)
LOG = NodeInfo("0" * 15 + "b", "logger", "nuc", 8, "d", "10.0.0.2:17770", "1", "alive", 0.0)
PUB = EndpointInfo(f"{1:016x}", "publisher", "imu", "raw", {}, False, 0, CAM)
SUB = EndpointInfo(f"{2:016x}", "subscriber", "imu", "any", {}, False, 0, LOG)
IPCPY = [sys.executable, "-m", "ipcpy.cli"]
CAMERA = """
    import sys
    import ipcpy as ipc
    from collections import namedtuple
    pub = ipc.Publisher("imu", ipc.MsgLibrary({1: ("<2f", namedtuple("Imu", "gx gy"))}), node=ipc.Node("camera"))
    print("ready", flush=True)
    sys.stdin.read()
"""
CONFUSED = """
    import sys
    import ipcpy as ipc
    from collections import namedtuple
    sub = ipc.Subscriber("imu", ipc.MsgLibrary({1: ("<2d", namedtuple("Imu", "gx gy"))}), node=ipc.Node("confused"))
    print("ready", flush=True)
    sys.stdin.read()
"""
SERVER = """
    import sys
    import ipcpy as ipc
    service = ipc.Service("add", lambda request: request.data, node=ipc.Node("server"))
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def camera(spawn):
    process = spawn(CAMERA)
    process.wait_line("ready")
    return process


@pytest.fixture
def confused(camera, spawn):
    process = spawn(CONFUSED)
    process.wait_line("ready")
    return process


def test_a_subscriber_elsewhere_says_why_it_gets_nothing(confused, spawn):
    said = spawn([*IPCPY, "why", "imu"]).succeed()
    assert "The types differ: message 1 (Imu), field gx: float64 here, float32 there" in said
    assert "Subscriber 'confused' on " in said and "the types differ" in said
    assert "it takes nothing, for the types differ" in said


def test_the_same_as_json(confused, spawn):
    told = json.loads(spawn([*IPCPY, "why", "imu", "--json"]).succeed())
    assert told["topic"] == "imu"
    assert [flow["why"].startswith("The types differ") for flow in told["flows"]] == [True]
    assert any(line.startswith("Subscriber 'confused'") for line in told["said"])


def test_that_nobody_subscribes_is_said(camera, spawn):
    said = spawn([*IPCPY, "why", "imu"]).succeed()
    assert "imu  0 flows" in said
    assert "No subscriber of 'imu' is known in domain 'test" in said
    assert "Publisher 'camera' on " in said


def test_a_topic_that_is_not_there_is_exit_code_3_and_those_there_are_are_named(camera, spawn):
    process = spawn([*IPCPY, "why", "imuu", "--timeout", "2"])
    assert process.wait(timeout=40) == 3
    assert "No publisher of 'imuu' is known" in process.stderr
    assert "Topics with publishers: imu." in process.stderr


def test_who_is_in_another_domain_is_not_seen_and_that_there_is_one_is_said(camera, spawn):
    said = spawn([*IPCPY, "why", "imu", "--domain", "elsewhere"])
    assert said.wait(timeout=30) == 3
    assert "No publisher of 'imu' is known in domain 'elsewhere'" in said.stderr
    domain = os.environ["IPCPY_DOMAIN"]
    named = f"Other domains are here too: {domain}. Try: ipcpy why imu --domain {domain}\n"
    assert named in said.stderr or "Greetings of another domain came" in said.stderr  # mDNS was slower


def test_a_service_is_no_topic_and_that_it_is_one_is_said(spawn):
    spawn(SERVER).wait_line("ready")
    process = spawn([*IPCPY, "why", "add"])
    assert process.wait(timeout=30) == 3
    assert "'add' is a service. Try: ipcpy services" in process.stderr


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "what was sent is not told, nor what came"),
        ({"sent": 5, "way": "unicast", "rate": 2.0}, "by unicast, 5 sent, what came is not told\n    2 Hz, 0 B/s"),
        ({"received": 4, "rate": 2.0}, "what was sent is not told, 4 received, none lost\n    2 Hz, 0 B/s"),
        (
            {"sent": 100, "received": 90, "lost": {"network": 10}, "loss": 0.2, "way": "unicast", "rate": 2.0},
            "by unicast, 100 sent, 90 received, lost: network 10\n    2 Hz, 0 B/s, 20.0% lost",
        ),
    ],
)
def test_a_half_that_is_not_told_is_named_and_the_other_is_shown(counts, said):
    told = "\n".join(between_lines(ipc.Flow("imu", PUB, SUB, **counts)))
    assert told == f"  imu: camera (pi, 7) to logger (nuc, 8): {said}"


def test_what_a_bridge_has_from_beyond_is_said_to_be_of_whom_it_is():
    far = replace(PUB, via={"bridge": "robot7", "node": "driver"})
    (line,) = between_lines(ipc.Flow("imu", far, SUB))
    assert line.startswith("  imu: driver via bridge robot7: camera (pi, 7) to logger (nuc, 8): ")
