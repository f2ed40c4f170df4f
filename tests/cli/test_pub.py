"""``ipcpy pub``: from an argument, from lines, and back what ``echo --json`` printed."""

from __future__ import annotations

import json
import sys
import time

import pytest

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
SUBSCRIBER = """
    import sys
    import ipcpy as ipc
    with ipc.Subscriber(sys.argv[1]) as sub:
        print("ready", flush=True)
        for message in sub:
            print(message.seq, repr(message.data), flush=True)
"""


@pytest.fixture
def heard(spawn):
    def heard(topic):
        process = spawn(SUBSCRIBER, topic)
        process.wait_line("ready")
        return process

    return heard


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("5", "5"),
        ("0.5", "0.5"),
        ("plain text", "'plain text'"),
        ('{"speed": [1, null]}', "{'speed': [1, None]}"),
        ('{"$bytes": "AP8="}', r"b'\x00\xff'"),
    ],
)
def test_one_message(heard, spawn, text, shown):
    subscriber = heard("cmd")
    done = spawn([*IPCPY, "pub", "cmd", text])
    done.succeed()
    assert subscriber.wait_line(r"^1 (.*)$")[1] == shown
    assert "published 1 message on cmd, handed to subscribers 1 time" in done.stderr


def test_rate_and_count(heard, spawn):
    subscriber = heard("cmd")
    done = spawn([*IPCPY, "pub", "cmd", "7", "--rate", "50", "-n", "11", "--json"])
    assert json.loads(done.succeed()) == {"topic": "cmd", "published": 11, "handed": 11}
    subscriber.wait_line("^11 7$")
    assert done.ended - done.started > 0.2


def test_nobody_there_is_code_3(spawn):
    process = spawn([*IPCPY, "pub", "cmd", "1", "--timeout", "0.2"])
    assert process.wait() == 3
    assert "0 of 1 subscribers" in process.stderr
    assert "--wait 0" in process.stderr
    assert spawn([*IPCPY, "pub", "cmd", "1", "--wait", "0"]).wait() == 0


def test_lines_of_standard_input(heard, spawn):
    subscriber = heard("cmd")
    process = spawn([*IPCPY, "pub", "cmd"])
    process.send_line('{"a": 1}')
    subscriber.wait_line(r"^1 \{'a': 1\}$")  # at once, not at the end of the input
    process.send_line("")
    process.send_line("text")
    process.close_stdin()
    subscriber.wait_line("^2 'text'$")
    assert process.wait() == 0


def test_a_wrong_line_is_named(heard, spawn):
    heard("cmd")
    process = spawn([*IPCPY, "pub", "cmd"])
    process.send_line("1")
    process.send_line("{broken")
    process.close_stdin()
    assert process.wait() == 1
    assert "line 2 of standard input" in process.stderr


ROBOT = """
    import math, sys
    import ipcpy as ipc
    from collections import namedtuple
    Imu = namedtuple("Imu", "gx gy")
    Label = namedtuple("Label", "id tag")
    messages = ipc.MsgLibrary({23: ("<2f", Imu), 24: ("<d", float), 25: ("<I4s", Label)})
    with ipc.Publisher("imu", messages) as pub:
        pub.wait_for_subscribers(timeout=10)
        for data in (Imu(0.1, math.nan), math.inf, Label(2**32 - 1, b"a\\0\\xff"), Imu(-0.0, 1e-40)):
            print(messages.encode(data).hex(), flush=True)
            pub.publish(data)
        sys.stdin.read()
"""
BODIES = """
    import ipcpy as ipc
    with ipc.Subscriber("again") as sub:
        print("ready", flush=True)
        publishers = {}
        for message in sub:
            publishers |= {each.id: each for each in sub.publishers}
            library = ipc.MsgLibrary.from_schema(publishers[message.publisher].schema)
            id = {"Imu": 23, "float": 24, "Label": 25}[type(message.data).__name__]
            print(library.encode(message.data, id).hex(), flush=True)
"""


def test_what_echo_prints_pub_reads_back_bit_for_bit(spawn):
    again = spawn(BODIES)
    again.wait_line("ready")
    robot = spawn(ROBOT)
    printed = spawn([*IPCPY, "echo", "imu", "--json", "-n", "4"]).succeed()
    robot.close_stdin()
    robot.succeed()
    pub = spawn([*IPCPY, "pub", "again"])
    for line in printed.splitlines():
        pub.send_line(line)
    pub.close_stdin()
    pub.succeed()
    again.wait_line(robot.stdout.split()[-1])
    assert again.stdout.split()[1:] == robot.stdout.split()


def test_raw_and_msgpack_lines_are_read_back_too(heard, spawn):
    subscriber = heard("again")
    pub = spawn([*IPCPY, "pub", "again"])
    line = {"topic": "x", "seq": 1, "sent_ns": 5, "received_ns": 6, "publisher": "ab"}
    pub.send_line(json.dumps({**line, "codec": "raw", "data": {"$bytes": "AP8="}}))
    subscriber.wait_line(r"^1 b'\\x00\\xff'$")
    pub.send_line(json.dumps({**line, "codec": "msgpack", "data": {"$map": [[1, {"$float": "inf"}]]}}))
    subscriber.wait_line(r"^1 \{1: inf\}$")
    pub.close_stdin()
    assert pub.wait() == 0


def test_a_struct_line_without_its_id_is_refused(heard, spawn):
    heard("again")
    pub = spawn([*IPCPY, "pub", "again"])
    line = {"topic": "x", "seq": 1, "sent_ns": 5, "received_ns": 6, "publisher": "ab", "codec": "struct"}
    pub.send_line(json.dumps({**line, "struct": None, "data": 5}))
    assert pub.wait() == 1
    assert "a struct message without its id" in pub.stderr


def test_pace(heard, spawn):
    subscriber = heard("again")
    pub = spawn([*IPCPY, "pub", "again", "--pace"])
    line = {"topic": "x", "seq": 1, "received_ns": 6, "publisher": "ab", "codec": "msgpack"}
    for number in range(3):
        pub.send_line(json.dumps({**line, "sent_ns": 10**18 + number * 200_000_000, "data": number}))
    pub.close_stdin()
    subscriber.wait_line("^1 0$")
    began = time.monotonic()
    subscriber.wait_line("^3 2$")
    assert 0.3 < time.monotonic() - began < 2.0
    assert pub.wait() == 0
