"""``ipcpy info``: a topic in full, against other processes; and how a schema reads."""

from __future__ import annotations

import json
import sys
import time
from collections import namedtuple

import pytest
from click.testing import CliRunner

import ipcpy as ipc
from ipcpy.cli.program import program

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
Imu = namedtuple("Imu", "gx long_name")
Label = namedtuple("Label", "id text tag")
ROBOT = """
    import sys
    import ipcpy as ipc
    from collections import namedtuple
    Imu = namedtuple("Imu", "gx gy")
    Wrong = namedtuple("Imu", "gx gy gz")
    node = ipc.Node("robot")
    pub = ipc.Publisher("robot/imu", ipc.MsgLibrary({23: ("<2f", Imu)}), reliable=True, keep=3, rate=50, node=node)
    sub = ipc.Subscriber("robot/*", node=ipc.Node("listener"))
    other = ipc.Subscriber("robot/imu", ipc.MsgLibrary({23: ("<3d", Wrong)}), node=ipc.Node("confused"))
    pub.wait_for_subscribers(timeout=20)
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


def test_info(robot, spawn):
    printed = spawn([*IPCPY, "info", "robot/imu"]).succeed()
    assert "message 23 Imu  <2f\n  gx  float32\n  gy  float32\n" in printed
    assert "reliable, keep=3, promises 50 Hz" in printed
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


def test_info_names_the_topics_there_are(robot, spawn):
    process = spawn([*IPCPY, "info", "robot/gps", "--timeout", "2"])
    assert process.wait() == 3
    assert "Topics there are: robot/imu" in process.stderr
    assert "--domain" not in process.stderr


def test_info_takes_no_pattern_and_says_so(robot, spawn):
    process = spawn([*IPCPY, "info", "robot/*", "--timeout", "2"])
    assert process.wait() == 3
    assert "no topic 'robot/*' within 2 s in domain" in process.stderr
    assert "It takes the name of one topic, no pattern. Topics there are: " in process.stderr


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_topic_that_is_not_there_is_code_3_and_a_sentence_that_helps(spawn, more):
    process = spawn([*IPCPY, "--domain", "empty", "info", "imu", "--timeout", "0.2", *more])
    assert process.wait() == 3
    assert "no topic 'imu' within 0.2 s" in process.stderr
    assert "ipcpy doctor" in process.stderr
    assert process.stdout == ""


# -- schemas -----------------------------------------------------------------------------------------------------------


def show_now(topic, expected, wait_until):
    """Wait until so much came within the half second for which is listened: on a busy computer nothing may."""
    wait_until(lambda: expected in show(topic))


def show(topic):
    done = CliRunner().invoke(program, ["info", topic, "--timeout", "10"])
    assert done.exit_code == 0, done.output
    return done.output


class Travelling(ipc.MsgPack):
    """A codec whose schema is what a test wants."""

    name = "struct"

    def __init__(self, schema):
        super().__init__()
        self.schema = schema


def test_a_schema_reads_field_by_field():
    library = ipc.MsgLibrary({1: (">I16s4s", Label), 2: ("<3fx?", tuple), 3: ("<2f", Imu)})
    first, *others = library.schema["messages"]
    library = ipc.MsgLibrary.from_schema({"messages": [{**first, "text": [1]}, *others]})
    with ipc.Node("robot") as node, ipc.Publisher("info/fields", library, node=node):
        printed = show("info/fields")
    assert (
        "message 1 Label  >I16s4s\n"
        "  id    big-endian uint32\n"
        "  text  text[16]\n"
        "  tag   bytes[4]\n"
        "\n"
        "message 2 tuple  <3fx?\n"
        "    float32 × 3\n"
        "    bool\n"
        "\n"
        "message 3 Imu  <2f\n"
        "  gx         float32\n"
        "  long_name  float32\n"
    ) in printed


@pytest.mark.parametrize(
    "schema",
    [
        {"messages": [{"id": 1, "name": "x"}]},
        {"messages": ["\x1b[2J"]},
        {"messages": 5},
        {"messages": [{"id": 1, "name": "a", "format": "<f", "fields": ["\x1b"]}]},
    ],
)
def test_a_schema_that_is_none_is_told_and_the_rest_is_shown(schema):
    with ipc.Node("robot") as node, ipc.Publisher("info/nonsense", Travelling(schema), node=node):
        printed = show("info/nonsense")
    assert "the schema cannot be read: " in printed
    assert "publishers\n" in printed
    assert all(line.isprintable() for line in printed.splitlines())


def test_a_topic_of_another_codec_has_no_messages_to_show():
    with ipc.Node("robot") as node, ipc.Publisher("info/any", node=node):
        printed = show("info/any")
    assert printed.startswith("info/any  msgpack\n\nnow  no message within 500 ms\n  Publisher ")
    assert "\n\npublishers\n" in printed


def test_where_nobody_publishes_it_is_said_that_a_stopped_program_is_not_seen():
    with ipc.Node("robot") as node, ipc.Subscriber("info/wanted", node=node):
        printed = show("info/wanted")
    assert printed.startswith("info/wanted  nobody publishes\n")
    assert printed.endswith("\n\nA program that was stopped before (Ctrl-Z, a debugger) is seen once it goes on.\n")


def test_what_is_on_a_topic_now(wait_until):
    np = pytest.importorskip("numpy")
    with ipc.Node("robot") as node, ipc.Publisher("info/camera", keep=1, node=node) as pub:
        pub.publish({"image": np.zeros((480, 640, 3), "u1"), "at": 0.5})
        expected = "\nnow  dict of 2: image uint8[480×640×3], at float; 1 message within 500 ms, 922 kB each"
        show_now("info/camera", expected, wait_until)


def test_which_of_a_librarys_types_is_on_a_topic(wait_until):
    library = ipc.MsgLibrary({1: (">I16s4s", Label), 3: ("<2f", Imu)})
    with ipc.Node("robot") as node, ipc.Publisher("info/now", library, keep=1, node=node) as pub:
        pub.publish(Imu(1, 2))
        show_now("info/now", "\nnow  Imu; 1 message within 500 ms, 15 B each\n", wait_until)


def test_what_is_on_a_topic_as_json_and_how_often(robot, spawn):
    asked = spawn([*IPCPY, "info", "robot/imu", "--json", "--measure", "1"])
    while asked.running:
        robot.send_line("publish")
        time.sleep(0.01)  # the rate
    observed = lines(asked.succeed())[0]["observed"]
    assert observed["types"] == {"Imu": observed["received"]}
    assert observed["mean_size"] == 15
    assert 5 < observed["rate"] <= 100  # where nothing else runs, close to 100


def test_nobody_is_listened_to_where_the_user_says_so():
    with ipc.Node("robot") as node, ipc.Publisher("info/quiet", keep=1, node=node) as pub:
        pub.publish(1)
        done = CliRunner().invoke(program, ["info", "info/quiet", "--measure", "0", "--json", "--timeout", "10"])
        assert pub.stats.handed == 0
    (topic,) = lines(done.output)
    assert topic["observed"] is None and "measured" not in topic


def test_a_topic_is_asked_for_as_the_namespace_has_it(robot, spawn):
    env = {"IPCPY_NAMESPACE": "robot", "IPCPY_REMAP": "sensor:=imu"}
    assert spawn([*IPCPY, "info", "sensor"], env=env).succeed().startswith("robot/imu  struct")
    missing = spawn([*IPCPY, "info", "gps", "--timeout", "0.2"], env=env)
    assert missing.wait() == 3
    assert "no topic 'robot/gps' (asked for as 'gps') within 0.2 s" in missing.stderr
