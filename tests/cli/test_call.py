"""``ipcpy call``, against another process."""

from __future__ import annotations

import json
import signal
import sys

import pytest

from arm import ARM

IPCPY = [sys.executable, "-m", "ipcpy.cli", "call"]


@pytest.fixture
def arm(spawn):
    process = spawn(ARM)
    process.wait_line("ready")
    return process


@pytest.mark.parametrize(("data", "shown"), [("21", "42"), ("-0.25", "-0.5"), ("ab", "abab"), ("[1]", "[1, 1]")])
def test_the_answer_is_printed(arm, spawn, data, shown):
    assert spawn([*IPCPY, "double", data]).succeed().strip() == shown


def test_steps_and_result_as_json(arm, spawn):
    lines = spawn([*IPCPY, "arm/move", '{"x": 1, "y": 2}', "--json"]).succeed().splitlines()
    found = [json.loads(line) for line in lines]
    assert [(each["kind"], each["data"]) for each in found] == [
        ("step", {"left": 1.0}),
        ("step", {"left": 0.0}),
        ("result", "there"),
    ]


def test_steps_as_lines(arm, spawn):
    first, second, last = spawn([*IPCPY, "arm/move", '{"x": 1, "y": 2}']).succeed().splitlines()
    assert first.startswith("step +")
    assert first.split()[3:] == ["left", "1"]
    assert second.split()[3:] == ["left", "0"]
    assert last == "there"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["fail"], 1, "'fail' answered ValueError: no such arm"),
        (["arm/move", '{"x": 1}'], 1, "missing: ['y']"),
        (["nobody", "--timeout", "3"], 3, "Services: arm/move, double, fail."),
        (["a b"], 2, "a topic is a name"),
        (["double", "{"], 2, "neither JSON nor plain text"),
    ],
)
def test_what_goes_wrong_is_a_sentence_and_an_exit_code(arm, spawn, arguments, code, said):
    process = spawn([*IPCPY, *arguments])
    assert process.wait(timeout=40) == code
    assert said in process.report()
    assert "Traceback" not in process.report()


def test_the_servers_traceback_is_shown_if_asked_for(arm, spawn):
    process = spawn([*IPCPY, "fail", "--trace"])
    assert process.wait(timeout=40) == 1
    assert "in fail" in process.report()


def test_ctrl_c_cancels_the_call(spawn):
    server = spawn("""
        import time
        import ipcpy as ipc

        def slow(request):
            print("begun", flush=True)
            while not request.cancelled:
                time.sleep(0.005)
            print("cancelled", flush=True)

        ipc.Service("slow", slow).wait()
    """)
    process = spawn([*IPCPY, "slow", "--timeout", "inf"])
    server.wait_line("begun", 40)
    process.signal(signal.SIGINT)
    assert process.wait(timeout=40) == 130
    server.wait_line("cancelled", 40)
