"""Names complete in the shell."""

from __future__ import annotations

import sys
import time

import pytest

import tools

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
ROBOT = """
    import sys
    import ipcpy as ipc
    pubs = [ipc.Publisher(name) for name in ("robot/imu", "robot/gps", "wave")]
    sub = ipc.Subscriber("robot/*")
    print("ready", flush=True)
    sys.stdin.read()
"""


def ask(words, at, shell="bash_complete"):
    return {"_IPCPY_COMPLETE": shell, "COMP_WORDS": words, "COMP_CWORD": str(at)}


@pytest.fixture
def robot(spawn):
    process = spawn(ROBOT)
    process.wait_line("ready")
    return process


@pytest.mark.parametrize("command", ["echo", "hz", "bw", "delay", "info", "pub"])
def test_topics_complete(robot, spawn, command):
    process = spawn(IPCPY, env=ask(f"ipcpy {command} robot/", 2))
    assert process.succeed().split() == ["plain,robot/gps", "plain,robot/imu"]


def test_commands_and_options_complete(spawn):
    assert spawn(IPCPY, env=ask("ipcpy ec", 1)).succeed().split() == ["plain,echo"]
    assert "plain,--json" in spawn(IPCPY, env=ask("ipcpy echo --", 2)).succeed().split()


def test_the_domain_that_was_typed_is_asked(robot, spawn):
    words = "ipcpy --domain elsewhere echo "
    assert spawn(IPCPY, env=ask(words, 4)).succeed().strip() == ""


def test_nobody_there_and_nothing_right_is_silence_and_soon(spawn):
    for env in (ask("ipcpy --domain empty echo ", 4), ask("ipcpy echo --peers x:y ", 4)):
        process = spawn(IPCPY, env=env)
        began = time.monotonic()
        assert process.succeed().strip() == ""
        assert process.stderr == ""
        assert time.monotonic() - began < 10  # what takes time on a busy machine is to start Python


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell(spawn, shell):
    printed = spawn([*IPCPY, "completion", shell]).succeed()
    assert f"_IPCPY_COMPLETE={shell}_complete" in printed


def test_the_script_works_in_bash(robot, spawn, tmp_path):
    tools.need("bash")
    (tmp_path / "ipcpy").write_text(f'#!/bin/sh\nexec {sys.executable} -m ipcpy.cli "$@"\n')
    (tmp_path / "ipcpy").chmod(0o755)
    script = f"""
        PATH={tmp_path}:$PATH
        eval "$(ipcpy completion bash)"
        COMP_WORDS=(ipcpy echo wa)
        COMP_CWORD=2
        _ipcpy_completion ipcpy wa echo
        echo "${{COMPREPLY[@]}}"
    """
    assert spawn(["bash", "-c", script]).succeed() == "wave\n"
