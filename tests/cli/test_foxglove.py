"""``ipcpy foxglove``: a command that a viewer connects to."""

from __future__ import annotations

import json
import signal
import sys

import pytest
from click.testing import CliRunner

from ipcpy.cli.program import program

pytest.importorskip("foxglove", reason="needs ipcpy[foxglove]")
pytest.importorskip("websockets", reason="needs websockets")

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
ROBOT = """
    import sys
    import ipcpy as ipc
    from collections import namedtuple
    imu = ipc.Publisher("fox/imu", ipc.MsgLibrary({23: ("<2f", namedtuple("Imu", "gx gz"))}))
    imu.wait_for_subscribers(timeout=60)
    for number in range(3):
        imu.publish((number, 0.5), 23)
    print("published", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_viewer_gets_what_another_process_publishes_until_a_signal_comes(spawn, number: int) -> None:
    from foxview import Viewer

    robot = spawn(ROBOT)
    command = spawn([*IPCPY, "foxglove", "--port", "0", "--json"])
    url = json.loads(command.wait_line(r"\{.*").group())["url"]
    with Viewer(url) as viewer:
        viewer.channel("fox/imu", "ipcpy_msgs/msg/Imu")
        viewer.look("fox/imu")
        robot.wait_line("published")
        viewer.messages("fox/imu", 3)
        command.signal(number)
        assert command.wait() == 0
    told = json.loads(command.wait_line(r"\{.*").group())
    assert (told["messages"], told["refused"]) == (3, 0)
    assert "Traceback" not in command.report()


def test_it_says_where_viewers_connect_and_what_was_shown(spawn) -> None:
    command = spawn([*IPCPY, "foxglove", "imu", "--port", "0", "-d", "0.3s"])
    command.wait_line(r"Foxglove connects to ws://127.0.0.1:\d+; Ctrl-C ends it", stream="stderr")
    command.wait_line("showed 0 messages", stream="stderr")
    assert command.wait() == 0
    assert "no password" not in command.report()


def test_who_lets_the_network_look_is_told_what_that_means(spawn) -> None:
    command = spawn([*IPCPY, "foxglove", "--host", "0.0.0.0", "--port", "0", "--publish", "cmd", "-d", "0.2s"])
    command.wait_line("whoever reaches 0.0.0.0 sees and publishes: there is no password", stream="stderr")
    assert command.wait() == 0


def test_a_port_that_is_taken_is_a_sentence(spawn) -> None:
    first = spawn([*IPCPY, "foxglove", "--port", "0", "--json"])
    port = json.loads(first.wait_line(r"\{.*").group())["port"]
    second = spawn([*IPCPY, "foxglove", "--port", str(port)])
    assert second.wait() == 1
    assert f"cannot serve at 127.0.0.1:{port}" in second.report()


def test_without_the_extra_a_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipcpy.viewers.extra.find_spec", lambda name: None)
    result = CliRunner().invoke(program, ["foxglove", "-d", "0.1s"])
    assert result.exit_code == 1
    assert "pip install 'ipcpy[foxglove]'" in result.output


@pytest.mark.parametrize(
    ("words", "text"),
    [(["a b"], "a topic is a name"), (["--port", "70000"], "70000"), (["--publish", "a b"], "a topic is a name")],
)
def test_wrong_usage_says_what_was_expected(words: list[str], text: str) -> None:
    result = CliRunner().invoke(program, ["foxglove", *words])
    assert result.exit_code == 2
    assert text in result.output
