"""cli.bridge_run: a bridge runs until a signal, says how it is, and tells systemd."""

from __future__ import annotations

import json
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from ipcpy.bridges.books import BridgeStatus, ExportStats, ImportStats, ServiceStats
from ipcpy.cli.bridge_run import status_line

BRIDGE = """
    import sys
    import click
    import ipcpy as ipc
    from ipcpy.bridges.memory import MemoryAdapter, Sky
    from ipcpy.cli.bridge_run import run_bridge
    from ipcpy.cli.endings import ended_well

    @click.command("sky")
    @click.pass_context
    def main(ctx):
        with ended_well():
            make = lambda node: ipc.Bridge(MemoryAdapter(Sky()), node=node)
            run_bridge(make, ctx, as_json="json" in sys.argv, every=0.1 if "often" in sys.argv else None)

    main([], prog_name="sky")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_status_as_json_until_a_signal_which_is_its_right_end(spawn, number: int) -> None:
    process = spawn(BRIDGE, "json", "often")
    first, second = (json.loads(process.wait_line(r"\{.*").group()) for _ in range(2))
    assert (first["engine"], first["name"], first["exports"]) == ("memory", "ipcpy-bridge-sky", [])
    assert second["time_ns"] > first["time_ns"]
    process.signal(number)
    assert process.wait() == 0
    assert process.stderr == "" or "Traceback" not in process.stderr


def test_it_tells_systemd_that_it_is_ready_lives_and_ends(spawn, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(20)
        process = spawn(BRIDGE, env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"})
        assert sock.recv(4096).startswith(b"READY=1\nSTATUS=")
        for _ in range(3):
            assert sock.recv(4096).startswith(b"WATCHDOG=1\nSTATUS=")
        process.signal(signal.SIGTERM)
        while (told := sock.recv(4096)) != b"STOPPING=1":
            assert told.startswith(b"WATCHDOG=1")
        assert process.wait() == 0


def test_the_line_says_what_crosses_and_what_does_not() -> None:
    out = ExportStats("imu", "r7/imu", "0" * 16, "arm", "r7", True, 120, 4800, {"rate": 1080})
    into = ImportStats("cmd", "r7/cmd", "1" * 16, "pad", "home", "desk", 1, True, True, 7, 70, 0, {"link": 2})
    status = BridgeStatus("r7", "2" * 16, "mqtt", "linked", "broker:1883", 3.0, 0, 1, (out,), (into,), {"malformed": 1})
    assert status_line(status) == (
        "linked to broker:1883; 1 publisher out, 120 messages sent; 1 in, 7 received; "
        "left out: rate 1,080; missing: link 2; dropped: malformed 1"
    )
    away = BridgeStatus("r7", "2" * 16, "mqtt", "away", "no broker at broker:1883: Connection refused", 3.0)
    serving = ServiceStats("arm/move", "r7/arm/move", "3" * 16, "arm", "r7", calls=12)
    assert "0 in, 0 received; 1 service, 12 calls" in status_line(replace(away, services=(serving,)))
    assert status_line(away).startswith("away: no broker at broker:1883: Connection refused; 0 publishers out")
