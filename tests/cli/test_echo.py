"""``ipcpy echo``: text and JSON of what other processes publish."""

from __future__ import annotations

import json
import sys
from collections import namedtuple

import click
import pytest

from ipcpy.cli.echo import pick

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
ROBOT = """
    import sys, time
    import ipcpy as ipc
    from collections import namedtuple
    Imu = namedtuple("Imu", "gx gz")
    imu = ipc.Publisher("robot/imu", ipc.MsgLibrary({23: ("<2f", Imu)}))
    cmd = ipc.Publisher("robot/cmd")
    raw = ipc.Publisher("robot/raw", ipc.Raw())
    print("ready", flush=True)
    for number in range(10_000):
        imu.publish(Imu(number, 0.5))
        cmd.publish({"n": number, "blob": b"\\x00\\xff", "bad": float("nan"), "big": 2**63})
        raw.publish(b"bytes")
        time.sleep(0.01)
"""
Imu = namedtuple("Imu", "gx gz")


@pytest.fixture
def robot(spawn):
    process = spawn(ROBOT)
    process.wait_line("ready")
    return process


def test_text(robot, spawn):
    head, gx, gz = spawn([*IPCPY, "echo", "robot/imu", "-n", "1"]).succeed().splitlines()
    assert head.startswith("robot/imu #")
    assert " Imu " in head
    assert gx.startswith("  gx  ")
    assert gz == "  gz   0.5"


def test_json_of_a_struct_message(robot, spawn):
    first, second = map(json.loads, spawn([*IPCPY, "echo", "robot/imu", "--json", "-n", "2"]).succeed().splitlines())
    assert list(first) == ["topic", "seq", "sent_ns", "received_ns", "publisher", "codec", "struct", "data"]
    assert (first["topic"], first["codec"]) == ("robot/imu", "struct")
    assert first["struct"]["id"] == 23
    assert first["struct"]["format"] == "<2f"
    assert first["data"] == {"gx": first["seq"] - 1, "gz": 0.5}
    assert second["seq"] == first["seq"] + 1
    assert second["publisher"] == first["publisher"]
    assert first["sent_ns"] <= first["received_ns"]


def test_json_of_msgpack(robot, spawn):
    read = json.loads(spawn([*IPCPY, "echo", "robot/cmd", "--json", "-n", "1"]).succeed())
    assert read["codec"] == "msgpack"
    assert "struct" not in read
    number = read["data"].pop("n")
    assert number == read["seq"] - 1
    assert read["data"] == {"blob": {"$bytes": "AP8="}, "bad": {"$float": "nan"}, "big": 2**63}


def test_a_pattern_hears_all_topics(robot, spawn):
    printed = spawn([*IPCPY, "echo", "robot/**", "--json", "-n", "12"]).succeed()
    read = {line["topic"]: line for line in map(json.loads, printed.splitlines())}
    assert set(read) == {"robot/imu", "robot/cmd", "robot/raw"}
    assert (read["robot/raw"]["codec"], read["robot/raw"]["data"]) == ("raw", {"$bytes": "Ynl0ZXM="})


def test_one_field(robot, spawn):
    assert spawn([*IPCPY, "echo", "robot/imu", "--field", "gz", "-n", "2"]).succeed() == "0.5\n0.5\n"
    read = json.loads(spawn([*IPCPY, "echo", "robot/imu", "--field", "gz", "-n", "1", "--json"]).succeed())
    assert read["data"] == 0.5
    process = spawn([*IPCPY, "echo", "robot/imu", "--field", "gq"])
    assert process.wait() == 1
    assert "it has gx, gz" in process.stderr


def test_too_few_messages_are_code_3(spawn):
    program = """
        import sys
        import ipcpy as ipc
        with ipc.Publisher("few") as pub:
            pub.wait_for_subscribers(timeout=10)
            pub.publish(1)
            sys.stdin.read()
    """
    publisher = spawn(program)
    three = spawn([*IPCPY, "echo", "few", "-n", "3", "--timeout", "1.5"])
    assert three.wait() == 3
    assert "1 messages on 'few', then none for 1.5 s" in three.stderr
    publisher.close_stdin()


def test_messages_and_then_silence_are_a_good_end(spawn):
    program = """
        import sys
        import ipcpy as ipc
        with ipc.Publisher("few") as pub:
            pub.wait_for_subscribers(timeout=10)
            pub.publish(1)
            sys.stdin.read()
    """
    spawn(program)
    process = spawn([*IPCPY, "echo", "few", "--timeout", "1.5"])
    assert "few #1" in process.succeed()


@pytest.mark.parametrize(
    ("path", "value"),
    [("gz", 2), ("pose.x", 3), ("list.1", 5), ("list.-1", 5), ("5", "five")],
)
def test_pick(path, value):
    assert pick({"gz": 2, "pose": {"x": 3}, "list": [4, 5], 5: "five"}, path) == value
    assert pick(Imu(1, 2), "gx") == 1


@pytest.mark.parametrize(("data", "path"), [({"a": 1}, "b"), ([1], "1"), ([1], "x"), (5, "x"), ({"a": 1}, "a.b")])
def test_pick_what_is_not_there(data, path):
    with pytest.raises(click.ClickException, match="no (field|item)"):
        pick(data, path)


def test_pick_of_an_array():
    np = pytest.importorskip("numpy")
    assert pick({"m": np.arange(6).reshape(2, 3)}, "m.1.2") == 5
