"""``ipcpy pub``: from an argument, from lines, and back what ``echo --json`` printed."""

from __future__ import annotations

import json
import shlex
import sys
import time

import pytest
from click.testing import CliRunner

from ipcpy.cli.program import program

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


def test_an_argument_is_under_the_namespace_and_lines_have_whole_names(heard, spawn):
    subscriber = heard("p/cmd")
    done = spawn([*IPCPY, "pub", "cmd", "5", "--namespace", "p"])
    done.succeed()
    assert subscriber.wait_line(r"^1 (.*)$")[1] == "5"
    assert "published 1 message on p/cmd, handed to subscribers 1 time" in done.stderr
    again = spawn([*IPCPY, "pub", "--json"], env={"IPCPY_NAMESPACE": "q"})
    again.send_line('{"topic": "p/cmd", "seq": 1, "sent_ns": 1, "codec": "msgpack", "data": 6}')
    again.close_stdin()
    assert json.loads(again.succeed()) == {"topic": "p/cmd", "published": 1, "handed": 1}
    assert subscriber.wait_line(r"^1 (6)$")


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
    assert process.stderr.endswith(". To publish to nobody: --wait 0\n")
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
    began = time.monotonic()
    for number in range(3):
        pub.send_line(json.dumps({**line, "sent_ns": 10**18 + number * 200_000_000, "data": number}))
    pub.close_stdin()
    subscriber.wait_line("^1 0$")
    subscriber.wait_line("^3 2$")
    assert 0.4 <= time.monotonic() - began
    assert pub.wait() == 0


@pytest.mark.parametrize("arguments", [["-0.5"], ["-5", "--json"], ["--keep", "1", "-1e-3", "-n", "1"], ["--", "-7"]])
def test_a_negative_number_is_data(heard, spawn, arguments):
    subscriber = heard("cmd")
    spawn([*IPCPY, "pub", "cmd", *arguments]).succeed()
    number = next(word for word in arguments if word[:2].strip("-").isdigit() and word[0] == "-")
    assert float(subscriber.wait_line(r"^1 (.*)$")[1]) == float(number)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cmd", "-0.5", "--nosuch"], "No such option"),
        (["cmd", "-x"], "ipcpy pub TOPIC -- -text"),
        (["cmd", "5", "--timeout", "-1"], "-1.0 is not in the range"),
        (["cmd", "-5", "--timeout", "-1"], "-1.0 is not in the range"),
        (["cmd", "-5", "--rate=-1"], "is not in the range"),
        (["cmd", "-5", "-6"], "unexpected extra argument"),
        (["cmd", "5", "--timeout", "nan"], "is not a number"),
        (["a*", "-5"], "got 'a*'"),
    ],
)
def test_what_is_no_data_is_wrong_usage(arguments, words):
    done = CliRunner().invoke(program, ["pub", *arguments])
    assert done.exit_code == 2, done.output
    assert words in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b'\xef\xbb\xbf{"a": 1}\n', "{'a': 1}"),
        ('{"a": "\u00e4"}\r\n'.encode("utf-16"), "{'a': '\u00e4'}"),
        ("\u00e4".encode(), "'\u00e4'"),
    ],
)
def test_standard_input_of_another_system(heard, spawn, tmp_path, data, shown):
    subscriber = heard("cmd")
    (tmp_path / "lines").write_bytes(data)
    command = shlex.join([*IPCPY, "pub", "cmd"])
    spawn(["sh", "-c", f"{command} < {tmp_path / 'lines'}"], env={"PYTHONIOENCODING": "ascii:strict"}).succeed()
    assert subscriber.wait_line(r"^1 (.*)$")[1] == shown


def test_bytes_that_are_no_text_are_a_sentence(spawn):
    command = shlex.join([*IPCPY, "pub", "cmd", "--wait", "0"])
    process = spawn(["sh", "-c", f"printf 'good\\n\\377\\n' | {command}"])
    assert process.wait() == 1
    assert process.stderr == "Error: line 2 of standard input: it is not UTF-8 (byte 0xff at column 1)\n"


def test_no_standard_input_is_wrong_usage(spawn):
    process = spawn(["sh", "-c", f"{shlex.join([*IPCPY, 'pub', 'cmd'])} <&-"])
    assert process.wait() == 2
    assert "standard input is closed" in process.stderr


# -- recordings of several topics --------------------------------------------------------------------------------------


def recorded(topic, data, sent_ns=10**18):
    record = {"topic": topic, "seq": 1, "sent_ns": sent_ns, "received_ns": 6, "publisher": "ab", "codec": "msgpack"}
    return json.dumps({**record, "data": data})


ALL = """
    import sys
    import ipcpy as ipc
    with ipc.Subscriber("**") as sub:
        print("ready", flush=True)
        for message in sub:
            print(message.topic, repr(message.data), flush=True)
"""


def test_without_a_topic_each_line_is_published_on_its_own(spawn):
    subscriber = spawn(ALL)
    subscriber.wait_line("ready")
    pub = spawn([*IPCPY, "pub", "--json"])
    for line in (("a", 1), ("b/c", 2), ("a", 3)):
        pub.send_line(recorded(*line))
    subscriber.wait_line("^a 3$")
    pub.close_stdin()
    assert pub.wait() == 0
    assert sorted(subscriber.stdout.splitlines()[1:]) == ["a 1", "a 3", "b/c 2"]
    assert [json.loads(line) for line in pub.stdout.splitlines()] == [
        {"topic": "a", "published": 2, "handed": 2},
        {"topic": "b/c", "published": 1, "handed": 1},
    ]


def test_what_echo_records_of_all_topics_pub_plays_back(spawn):
    robot = spawn("""
        import sys
        import ipcpy as ipc
        from collections import namedtuple
        Imu = namedtuple("Imu", "gx gy")
        messages = ipc.MsgLibrary({23: ("<2f", Imu)})
        with ipc.Publisher("imu", messages, keep=1) as imu, ipc.Publisher("cmd", keep=1) as cmd:
            imu.publish(Imu(0.5, 1))
            cmd.publish({"go": True})
            print("ready", flush=True)
            sys.stdin.read()
    """)
    robot.wait_line("ready")
    printed = spawn([*IPCPY, "echo", "**", "--json", "-n", "2"]).succeed()
    robot.close_stdin()
    robot.succeed()
    subscriber = spawn(ALL)
    subscriber.wait_line("ready")
    pub = spawn([*IPCPY, "pub", "--pace"])
    for line in printed.splitlines():
        pub.send_line(line)
    pub.close_stdin()
    pub.succeed()
    subscriber.wait_line(r"^imu Imu\(gx=0.5, gy=1.0\)$")
    subscriber.wait_line(r"^cmd \{'go': True\}$")


def test_lines_of_several_topics_are_not_put_on_one(heard, spawn):
    subscriber = heard("a")
    pub = spawn([*IPCPY, "pub", "a"])
    pub.send_line(recorded("x", 1))
    pub.send_line("2")
    pub.send_line(recorded("y", 3))
    assert pub.wait() == 1
    assert "line 3 of standard input: it was recorded from 'y', those before from 'x'" in pub.stderr
    assert "ipcpy pub < FILE" in pub.stderr
    subscriber.wait_line("^2 2$")


def test_a_topic_that_nobody_wants_does_not_keep_the_others(heard, spawn):
    subscriber = heard("b")
    pub = spawn([*IPCPY, "pub", "--timeout", "3"])
    for topic in ("a", "b", "c"):
        pub.send_line(recorded(topic, topic))
    pub.close_stdin()
    assert pub.wait() == 0
    subscriber.wait_line("^1 'b'$")
    assert "published 3 messages on 3 topics, handed to subscribers 1 time" in pub.stderr
    assert "nobody subscribes to a, c" in pub.stderr


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("5", 1, "line 1 of standard input: it names no topic"),
        (recorded("a*", 1), 1, "line 1 of standard input: a topic"),
        (recorded("a", 1), 3, "nobody subscribes to a"),
    ],
)
def test_without_a_topic_lines_that_cannot_be_published_are_told(spawn, line, code, words):
    pub = spawn([*IPCPY, "pub", "--timeout", "0.1"])
    pub.send_line(line)
    pub.close_stdin()
    assert pub.wait() == code
    assert words in pub.stderr
