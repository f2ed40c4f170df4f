"""``ipcpy list`` and ``nodes``, against other processes; and how each event of the graph reads."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

import ipcpy as ipc
from ipcpy.cli import graph
from ipcpy.cli.program import program
from ipcpy.overview.fleet import Fleet

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


def test_list(robot, spawn):
    head, row, footer = spawn([*IPCPY, "list"]).succeed().splitlines()
    assert head.split() == ["TOPIC", "TYPE", "PUBLISHED", "BY", "SUBSCRIBED", "BY", "HOSTS"]
    assert row.startswith("robot/imu  struct: Imu  robot")
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
    def taken(argument):
        process = spawn([*IPCPY, argument])
        process.succeed()
        return process.ended - process.started

    # Whatever else the machine has to do: a command that waits for longer than it must takes 0.6 s more.
    assert any(taken(command) < 0.3 + 1.5 * taken("--version") for _ in range(20))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list"], "no topic within 0.2 s in domain 'empty'"),
        (["nodes"], "no other node within 0.2 s in domain 'empty'"),
    ],
)
def test_nothing_found_is_code_3_and_a_sentence_that_helps(spawn, arguments, words):
    process = spawn([*IPCPY, "--domain", "empty", *arguments, "--timeout", "0.2"])
    assert process.wait() == 3
    assert words in process.stderr
    assert process.stdout == ""


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


# -- events ------------------------------------------------------------------------------------------------------------

ARM = ipc.NodeInfo("0a" * 8, "arm", "robot7", 4711, "lab", "10.0.0.7:17770", "1.2.3", "alive", 0.5)
IMU = ipc.EndpointInfo("0b" * 8, "publisher", "imu", "struct", {}, False, 0, ARM)
EAR = ipc.EndpointInfo("0c" * 8, "subscriber", "imu", "any", {}, False, 0, ARM)
WHO = "arm (robot7, pid 4711)"


def look_on(monkeypatch, **shown):
    """Have commands look at a graph that is made up."""
    node = SimpleNamespace(domain="lab", wait_complete=lambda timeout: True, close=lambda: None, **shown)
    monkeypatch.setattr(graph, "open_fleet", lambda ctx: Fleet(lambda domain: node))


@pytest.fixture
def watch(monkeypatch):
    """``watch(command, event, ...)`` runs a command that watches a graph in which these events happen."""

    def watch(command, *events):
        watching = nullcontext(events)
        look_on(monkeypatch, id="0d" * 8, topics=tuple, nodes=tuple, watch=lambda: watching)
        done = CliRunner().invoke(program, [*command.split(), "--watch", "--timeout", "0"])
        assert done.exit_code == 0, done.output
        return done.output.splitlines()

    return watch


@pytest.mark.parametrize(
    ("command", "event", "line"),
    [
        ("nodes", ipc.NodeFound(ARM), f"+ {WHO}"),
        ("nodes", ipc.NodeLost(ARM, "timed out"), f"- {WHO}: timed out"),
        ("nodes", ipc.NodeStalled(ARM), f"? {WHO} does not answer"),
        ("nodes", ipc.NodeResumed(ARM), f"+ {WHO} answers again"),
        ("list", ipc.PublisherFound(IMU), f"+ imu  publisher of {WHO}"),
        ("list", ipc.PublisherLost(IMU, "closed"), f"- imu  publisher of {WHO}: closed"),
        ("list", ipc.SubscriberFound(EAR), f"+ imu  subscriber of {WHO}"),
        ("list", ipc.SubscriberLost(EAR, "process died"), f"- imu  subscriber of {WHO}: process died"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_an_event_is_a_line(watch, command, event, line):
    (printed,) = watch(command, event)
    assert printed.partition(" ")[2] == line
    (record,) = lines(watch(f"{command} --json", event)[0])
    assert record["event"] == type(event).__name__
    assert record["reason"] == getattr(event, "reason", "")
    assert (record["node"]["name"], record["node"]["pid"]) == ("arm", 4711)
    if command == "list":
        about = IMU if "Publisher" in record["event"] else EAR
        assert (record["topic"], record["codec"], record["endpoint"]) == ("imu", about.codec, about.id)


def test_a_command_shows_events_of_its_own_kind_only(watch):
    events = [ipc.NodeFound(ARM), ipc.PublisherFound(IMU), ipc.SubscriberFound(EAR)]
    assert len(watch("nodes", *events)) == 1
    assert len(watch("list", *events)) == 2


def test_who_does_not_answer_is_marked_in_the_list(monkeypatch):
    quiet = replace(ARM, state="unresponsive")  # the endpoint's own picture of its node is older
    topic = ipc.TopicInfo("imu", "struct", {}, (IMU,), (EAR,))
    look_on(monkeypatch, topics=lambda: (topic,), nodes=lambda: (quiet,))
    printed = CliRunner().invoke(program, ["list"]).output
    assert "imu    struct  arm (unresponsive)  arm (unresponsive)  robot7" in printed


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], "struct"),
        (["Imu"], "struct: Imu"),
        (["Imu", "State"], "struct: Imu, State"),
        (["a", "b", "c", "d"], "struct: a, b, c, ..."),
    ],
)
def test_the_types_of_a_library_are_told_apart_from_its_codec(names, text):
    assert graph._schema_text("struct", {"messages": [{"name": name} for name in names]}) == text


@pytest.mark.parametrize(
    "schema", [{"messages": 5}, {"messages": "abc"}, {"messages": [5, None]}, {"messages": {1: 2}}]
)
def test_a_schema_that_is_none_names_no_types(schema):
    assert graph._schema_text("struct", schema) == "struct"


def test_the_commands_own_node_is_no_event(watch):
    own = ipc.NodeInfo("0d" * 8, "ipcpy-nodes", "here", 1, "lab", None, "1.2.3", "alive", 0.0)
    assert watch("nodes", ipc.NodeFound(own)) == []


def test_text_from_the_network_moves_no_cursor(watch):
    evil = ipc.NodeInfo("0e" * 8, "\x1b[2J", "\x1b[2J", 1, "lab", None, "1", "alive", 0.0)
    (line,) = watch("nodes", ipc.NodeLost(evil, "\x1b[2J"))
    assert line.isprintable()
