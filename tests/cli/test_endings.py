"""Ctrl-C, SIGTERM and closed pipes: how commands end."""

from __future__ import annotations

import shlex
import signal
import sys
import time

import pytest
from click.testing import CliRunner

from ipcpy.cli.program import program
from lan_process import quickest

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
COMMAND = shlex.join(IPCPY)
ROBOT = """
    import sys
    import ipcpy as ipc
    with ipc.Publisher("beat", keep=1) as pub:
        pub.publish("the only one")
        print("ready", flush=True)
        sys.stdin.read()
"""
LONG = [
    (["echo", "beat"], "beat #1"),
    (["echo", "beat", "--json"], '"seq": 1'),
    (["hz", "beat"], "Hz"),
    (["list", "--watch"], "beat"),
    (["nodes", "--watch"], "pid"),
    (["demo", "--duration", "30"], "#1"),
]


@pytest.fixture
def robot(spawn):
    process = spawn(ROBOT)
    process.wait_line("ready")
    return process


@pytest.mark.parametrize(
    ("arguments", "sign"), LONG, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"])
def test_signals_end_a_command_at_once_and_without_a_traceback(robot, spawn, arguments, sign, number, code):
    def end():
        process = spawn([*IPCPY, *arguments])
        process.wait_line(sign)
        at = time.monotonic()
        process.signal(number)
        assert process.wait() == code
        assert "Traceback" not in process.stderr
        return process.ended - at

    assert quickest(end, 2) < 2


def test_ctrl_c_while_nothing_is_there(spawn):
    watching = spawn([*IPCPY, "list", "--watch"])
    process = spawn([*IPCPY, "pub", "cmd", "1", "--timeout", "30"])
    watching.wait_line(r"\+ cmd  publisher of ipcpy-pub")
    process.signal(signal.SIGINT)
    assert process.wait() == 130
    assert "Traceback" not in process.stderr


def test_a_terminated_command_says_goodbye(robot, spawn):
    watching = spawn([*IPCPY, "list", "--watch"])
    process = spawn([*IPCPY, "echo", "beat"])
    process.wait_line("beat #1")
    watching.wait_line(r"\+ beat  subscriber of ipcpy-echo")
    process.signal(signal.SIGTERM)
    watching.wait_line(r"- beat  subscriber of ipcpy-echo .*: closed")


@pytest.mark.parametrize("more", ["", " --json"])
def test_a_closed_pipe_ends_echo_though_no_other_message_comes(robot, spawn, more):
    command = f"{{ {COMMAND} echo beat{more}; echo code $? >&2; }} | head -1"
    process = spawn(["sh", "-c", command])
    assert "beat" in process.succeed(timeout=40)
    process.wait_line("code 0", stream="stderr")
    assert process.ended - process.started < 15
    assert process.stderr == "code 0\n"


def test_a_closed_pipe_while_messages_pour(spawn):
    program = """
        import time
        import ipcpy as ipc
        pub = ipc.Publisher("beat")
        while True:
            pub.publish(1)
            time.sleep(0.0005)
    """
    spawn(program)
    process = spawn(["sh", "-c", f"{{ {COMMAND} echo beat; echo code $? >&2; }} | head -3"])
    assert len(process.succeed().splitlines()) == 3
    assert process.stderr == "code 0\n"


def test_a_full_disk_is_a_sentence(spawn):
    process = spawn(["sh", "-c", f"{COMMAND} --help > /dev/full"])
    assert process.wait() != 0
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("command", ["bag info", "bag cut -o x.mcap", "play"])
def test_a_file_that_is_not_there_is_named_without_the_number_of_the_error(tmp_path, command):
    missing = tmp_path / "missing.mcap"
    done = CliRunner().invoke(program, [*command.split(), str(missing)])
    assert done.exit_code == 1
    assert done.output == f"Error: {missing}: No such file or directory\n"


@pytest.mark.parametrize("command", ["list", "nodes", "info x", "echo x", "hz x", "bw x", "delay x", "pub x 1"])
def test_without_any_network_nothing_is_found_and_that_is_said(lan, command):
    host = lan(1)
    host.link(1, up=False)
    assert host.run(1, ["ip", "link", "set", "lo", "down"]).returncode == 0
    done = host.run(1, [*IPCPY, *command.split(), "--timeout", "0.2"])
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("ipcpy: ")
