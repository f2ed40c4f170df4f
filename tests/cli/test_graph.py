"""``ipcpy list``, ``nodes`` and ``info``, against other processes."""

from __future__ import annotations

import json
import sys
import time

import pytest

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
ROBOT = """
    import sys
    import ipcpy as ipc
    from collections import namedtuple
    Imu = namedtuple("Imu", "gx gy")
    Wrong = namedtuple("Imu", "gx gy gz")
    node = ipc.Node("robot")
    pub = ipc.Publisher("robot/imu", ipc.MsgLibrary({23: ("<2f", Imu)}), reliable=True, keep=3, node=node)
    sub = ipc.Subscriber("robot/*", node=ipc.Node("listener"))
    other = ipc.Subscriber("robot/imu", ipc.MsgLibrary({23: ("<3d", Wrong)}), node=ipc.Node("confused"))
    pub.wait_for_subscribers(timeout=5)
    print("ready", flush=True)
    for number, _ in enumerate(sys.stdin):
        pub.publish(Imu(number, 0.5))
"""


@pytest.fixture
def robot(spawn):
    process = spawn(ROBOT)
    process.wait_line("ready")
    return process


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_list(robot, spawn):
    head, row, footer = spawn([*IPCPY, "list"]).succeed().splitlines()
    assert head.split() == ["TOPIC", "TYPE", "PUBLISHED", "BY", "SUBSCRIBED", "BY", "HOSTS"]
    assert row.startswith("robot/imu  struct Imu  robot")
    assert "confused, listener" in row
    assert "1 topic in domain test" in footer
    assert footer.endswith("ago")


def test_list_as_json(robot, spawn):
    (topic,) = lines(spawn([*IPCPY, "list", "--json"]).succeed())
    assert (topic["topic"], topic["codec"]) == ("robot/imu", "struct")
    assert topic["schema"]["messages"][0]["fields"] == ["gx", "gy"]
    (publisher,) = topic["publishers"]
    assert (publisher["reliable"], publisher["keep"]) == (True, 3)
    assert publisher["node"]["pid"] == robot.pid
    assert publisher["node"]["age"] < 5
    assert len(topic["subscribers"]) == 2
    assert len(topic["hosts"]) == 1


def test_nodes(robot, spawn):
    printed = spawn([*IPCPY, "nodes"]).succeed()
    assert [line.split()[0] for line in printed.splitlines()] == ["NODE", "confused", "listener", "robot", "3"]
    assert "ago" in printed
    found = lines(spawn([*IPCPY, "nodes", "--json"]).succeed())
    assert {node["pid"] for node in found} == {robot.pid}


@pytest.mark.parametrize("command", ["list", "nodes"])
def test_the_first_complete_picture_is_soon_there(robot, spawn, command):
    taken = []
    for _ in range(3):
        process = spawn([*IPCPY, command])
        process.succeed()
        taken.append(process.ended - process.started)
    assert min(taken) < 0.5


def test_info(robot, spawn):
    printed = spawn([*IPCPY, "info", "robot/imu"]).succeed()
    assert "message 23 Imu  <2f\n  gx  float32\n  gy  float32\n" in printed
    assert "reliable, keep=3" in printed
    assert "pattern robot/*" in printed
    assert "confused gets nothing, the types differ: message 23 (Imu)" in printed


def test_info_as_json_with_a_measurement(robot, spawn):
    asked = spawn([*IPCPY, "info", "robot/imu", "--json", "--measure", "0.5"])
    while asked.running:
        robot.send_line("publish")
        time.sleep(0.01)
    (topic,) = lines(asked.succeed())
    assert topic["measured"]["received"] > 5
    assert topic["measured"]["lost"] == {}
    assert [subscriber["mismatch"] != [] for subscriber in topic["subscribers"]].count(True) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list"], "no topic within 0.2 s in domain 'empty'"),
        (["nodes"], "no other node within 0.2 s in domain 'empty'"),
        (["info", "imu"], "no topic 'imu' within 0.2 s"),
        (["hz", "imu"], "No publisher of 'imu' is known"),
        (["echo", "imu"], "No publisher of 'imu' is known"),
    ],
)
def test_nothing_found_is_code_3_and_a_sentence_that_helps(spawn, arguments, words):
    process = spawn([*IPCPY, "--domain", "empty", *arguments, "--timeout", "0.2"])
    assert process.wait() == 3
    assert words in process.stderr
    assert process.stdout == ""


def test_info_names_the_topics_there_are(robot, spawn):
    process = spawn([*IPCPY, "info", "robot/gps", "--timeout", "0.3"])
    assert process.wait() == 3
    assert "Topics there are: robot/imu" in process.stderr
    assert "--domain" not in process.stderr


def test_info_takes_no_pattern_and_says_so(robot, spawn):
    process = spawn([*IPCPY, "info", "robot/*", "--timeout", "0.3"])
    assert process.wait() == 3
    assert "no topic 'robot/*' within 0.3 s in domain" in process.stderr
    assert "It takes the name of one topic, no pattern. Topics there are: " in process.stderr


def test_watching_topics(spawn):
    watching = spawn([*IPCPY, "list", "--watch"])
    asked = spawn([*IPCPY, "list", "--watch", "--json"])
    robot = spawn(ROBOT)
    watching.wait_line(r"\+ robot/imu  publisher of robot ")
    asked.wait_line(r'"PublisherFound".*"robot/imu"')
    robot.wait_line("ready")
    robot.close_stdin()
    robot.wait()
    watching.wait_line(r"- robot/imu  publisher of robot .*: closed")
    lost = json.loads(asked.wait_line(r".*PublisherLost.*")[0])
    assert (lost["topic"], lost["reason"]) == ("robot/imu", "closed")


def test_watching_nodes(spawn):
    watching = spawn([*IPCPY, "nodes", "--watch"])
    robot = spawn(ROBOT)
    watching.wait_line(r"\+ robot \(")
    robot.wait_line("ready")
    robot.kill()
    watching.wait_line(r"- robot \(.*: ")
