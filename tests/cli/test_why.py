"""``ipcpy why``, against other processes: types that differ, a process that is stopped, a topic that is not there."""

from __future__ import annotations

import json
import sys

import pytest

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
    process = spawn([*IPCPY, "why", "imuu", "--timeout", "0.3"])
    assert process.wait(timeout=20) == 3
    assert "No publisher of 'imuu' is known" in process.stderr
    assert "Topics with publishers: imu." in process.stderr
