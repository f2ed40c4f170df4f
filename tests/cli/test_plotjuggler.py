"""``ipcpy plotjuggler``: a command, with a UDP server in PlotJuggler's place."""

from __future__ import annotations

import json
import signal
import sys

import pytest
from click.testing import CliRunner

import ipcpy as ipc
from ipcpy.cli.program import program

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
ROBOT = """
    import time
    import ipcpy as ipc
    imu = ipc.Publisher("plot/imu")
    for number in range(100_000):
        imu.publish({"gz": number})
        time.sleep(0.01)
"""


def test_numbers_of_another_process_arrive_until_ctrl_c(spawn) -> None:
    udp = ipc.SocketUDP()
    udp.bind("127.0.0.1", 0, timeout=30)
    assert udp.bind_addr is not None
    spawn(ROBOT)
    command = spawn([*IPCPY, "plotjuggler", "plot/**", "--port", str(udp.bind_addr[1]), "--json"])
    try:
        got = [json.loads(udp.recvfrom(65_536)[0] or b"null") for _ in range(3)]
    finally:
        udp.close()
    assert [set(each) for each in got] == [{"timestamp", "plot/imu/gz"}] * 3
    assert got[1]["plot/imu/gz"] == got[0]["plot/imu/gz"] + 1
    command.wait_line(r"nobody listens at 127.0.0.1:\d+: in PlotJuggler start Streaming, UDP Server", stream="stderr")
    command.signal(signal.SIGINT)
    assert command.wait() == 0
    told = json.loads(command.wait_line(r"\{.*").group())
    assert told["messages"] >= 3 and told["refused"] >= 1
    assert "Traceback" not in command.report()


@pytest.mark.parametrize(
    ("words", "text"), [(["a b"], "a topic is a name"), (["--port", "0"], "0"), (["--max-rate", "x"], "x")]
)
def test_wrong_usage_says_what_was_expected(words: list[str], text: str) -> None:
    result = CliRunner().invoke(program, ["plotjuggler", *words])
    assert result.exit_code == 2
    assert text in result.output
