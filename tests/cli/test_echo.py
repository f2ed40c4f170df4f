"""``ipcpy echo``: text and JSON of what other processes publish."""

from __future__ import annotations

import json
import sys
from collections import namedtuple

import click
import pytest

import ipcpy as ipc
from commands import apart
from ipcpy.cli.echo import pick
from ipcpy.cli.program import program

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
            print("ready", flush=True)
            pub.wait_for_subscribers(timeout=20)
            pub.publish(1)
            sys.stdin.read()
    """
    publisher = spawn(program)
    publisher.wait_line("ready")
    three = spawn([*IPCPY, "echo", "few", "-n", "3", "--timeout", "3"])
    assert three.wait() == 3
    assert "1 messages on 'few', then none for 3 s" in three.stderr
    publisher.close_stdin()


def test_messages_and_then_silence_are_a_good_end(spawn):
    program = """
        import sys
        import ipcpy as ipc
        with ipc.Publisher("few") as pub:
            print("ready", flush=True)
            pub.wait_for_subscribers(timeout=20)
            pub.publish(1)
            sys.stdin.read()
    """
    spawn(program).wait_line("ready")
    process = spawn([*IPCPY, "echo", "few", "--timeout", "3"])
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
    points = np.zeros(3, [("x", "f4"), ("name", "S4")])
    points["x"] = 1, 2, 3
    assert pick(points, "x.2") == pick(points, "2.x") == 3
    assert pick(points, "1.name") == b""
    assert pick(np.array(["2024-01-01"], "M8[ns]"), "0").dtype == "M8[ns]"  # item() would make it an int


@pytest.mark.parametrize(("path", "words"), [("0", "it has none: it is a single value"), ("x", "single value")])
def test_pick_of_an_array_that_has_no_items(path, words):
    np = pytest.importorskip("numpy")
    with pytest.raises(click.ClickException, match=words):
        pick(np.array(5.0), path)


# -- whatever a peer published -----------------------------------------------------------------------------------------

ODD = r"""
    import datetime, math, sys
    import numpy as np
    import ipcpy as ipc
    deep = deeper = 1
    for _ in range(100):
        deep, deeper = [deep], {"k": deeper}
    for _ in range(400):
        deeper = [deeper]
    odd = [
        math.nan, -math.inf, 2**64 - 1, -2**63, b"\x00\xff", "", "\x1b[2J\x1b]0;evil\x07", "a\u2028\u202eb",
        None, [], {},
        {1: 2, None: 3, "\x1b[1m": 4, b"k": 5}, {"$float": "x"},
        {"topic": 1, "seq": 1, "sent_ns": 1, "codec": 1, "data": 2},
        deep, deeper, {"x": [deep]}, datetime.datetime.max.replace(tzinfo=datetime.timezone.utc), np.array(5.0),
        np.zeros(3, "f4,f4,f4"), np.zeros(3, "f4,f4,f4")[["f2", "f0"]], np.zeros((2, 0)),
        np.zeros((2, 2), [("\x1b[2J", "f4"), ("b", "i4", (2, 2))]), np.zeros(3, [("a", [("b", "f4")])]),
        np.array(["\x1b[1m"]), np.zeros(2, "V3"), np.array([1 + 2j]), np.zeros(2, ">f8"), np.array(["NaT"], "M8[ns]"),
        np.array([1], "m8[3D]"), np.zeros((480, 640, 3), "u1"), np.zeros((1,) * 32),
        "x" * 100_000, list(range(100_000)),
    ]
    taken = 0
    with ipc.Publisher("odd", keep=100) as pub:
        for data in odd:
            try:
                pub.publish(data)
                taken += 1
            except ipc.CodecError:
                pass
        pub.publish("the end")
        print("ready", taken + 1, flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize("more", [[], ["--json"], ["--field", "0"], ["--field", "b.-1"], ["--field", "0", "--json"]])
@pytest.mark.parametrize("topic", ["odd", "**"])
def test_no_message_ends_it_with_a_traceback_and_none_moves_a_cursor(spawn, topic, more):
    pytest.importorskip("numpy")
    count = spawn(ODD).wait_line(r"ready (\d+)")[1]
    process = spawn([*IPCPY, "echo", topic, "-n", count, *more])
    code = process.wait(30.0)
    assert "Traceback" not in process.stderr
    assert all(line.isprintable() for line in (process.stdout + process.stderr).splitlines())
    if "--field" not in more:
        assert "the end" in process.stdout
        unshown = process.stderr.count("ipcpy: message #")
        assert code == (1 if unshown else 0)
        if "--json" in more:
            assert len([json.loads(line) for line in process.stdout.splitlines()]) == int(count) - unshown


def test_a_message_that_cannot_be_shown_is_named_and_the_next_is_shown(monkeypatch):
    def of(message, *_):
        if message.seq == 2:
            raise ValueError("\x1b[2J is odd")
        return {}

    monkeypatch.setattr("ipcpy.cli.echo.record", of)
    with ipc.Node("robot") as node, ipc.Publisher("odd", keep=3, node=node) as pub:
        for number in range(3):
            pub.publish(number)
        done = apart().invoke(program, ["echo", "odd", "--json", "-n", "3"])
    assert done.exit_code == 1
    assert done.stdout == "{}\n{}\n"
    assert done.stderr.splitlines() == [
        r"ipcpy: message #2 on odd cannot be JSON: ValueError: \x1b[2J is odd",
        "Error: 1 message could not be shown",
    ]


@pytest.mark.parametrize(
    ("topic", "values", "code", "shown", "told"),
    [
        ("mixed", [{"a": 1}, {"b": 2}, {"b": 2}, {"a": 3}], 0, "1\n3\n", 1),  # told once
        ("mixed", [{"b": 2}, {"a": 1}, {"b": 2}, {"b": 2}], 1, "", 1),  # a mistake of the user
        ("mixed/**", [{"b": 2}, {"a": 1}, {"b": 2}, {"a": 3}], 0, "1\n3\n", 1),
    ],
)
def test_messages_without_the_field(topic, values, code, shown, told):
    with ipc.Node("robot") as node, ipc.Publisher("mixed", keep=4, node=node) as pub:
        for data in values:
            pub.publish(data)
        done = apart().invoke(program, ["echo", topic, "--field", "a", "-n", "4"])
    assert done.exit_code == code
    assert done.stdout.replace(" ", "") == shown
    assert done.stderr.count("no field 'a'") == told
