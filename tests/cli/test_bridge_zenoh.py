"""What ``ipcpy bridge zenoh`` says to what is wrong; that it works is shown by tests/system/test_bridge_zenoh.py."""

from __future__ import annotations

import json
import signal
import sys

import pytest

import routers
from commands import apart
from ipcpy.cli.program import program

pytest.importorskip("zenoh", reason="needs eclipse-zenoh: pip install 'ipcpy[zenoh]'")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "say where Zenoh is"),
        (["--connect", "router"], "an endpoint is a text such as"),
        (["--connect", "tcp/a:1", "--ca", "/no/such"], "there is none at '/no/such'"),
        (["--connect", "tcp/a:1", "-t", "a b"], "a topic is a name"),
        (["--connect", "tcp/a:1", "--rate", "imu"], "imu=10"),
        (["--connect", "tcp/a:1", "--hops", "0"], "1<=x<=16"),
        (["--connect", "tcp/a:1", "--mode", "server"], "server"),
        (["--connect", "tcp/a:1", "--config", "/no/such.toml"], "cannot be read"),
    ],
)
def test_what_is_wrong_is_a_sentence_and_wrong_usage(words: list[str], expected: str) -> None:
    done = apart().invoke(program, ["bridge", "zenoh", *words])
    assert done.exit_code == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unreachable_router_is_a_sentence_and_is_tried_until_it_is_ended(spawn) -> None:
    endpoint = routers.free_endpoint()
    words = [sys.executable, "-m", "ipcpy.cli", "bridge", "zenoh", "--connect", endpoint, "--json", "--every", "0.2s"]
    bridge = spawn(words)
    bridge.wait_line("nobody listens there", timeout=20, stream="stderr")
    told = json.loads(bridge.wait_line(r"^\{.*nobody listens there.*$", timeout=30)[0])
    assert (told["state"], told["engine"]) == ("away", "zenoh")
    with routers.router(endpoint):
        bridge.wait_line('"state": ?"linked"', timeout=40)
    bridge.signal(signal.SIGTERM)
    bridge.wait(timeout=10)
    assert "Traceback" not in bridge.stderr
