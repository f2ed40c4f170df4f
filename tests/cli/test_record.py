"""``ipcpy record``: files and rings of what other processes publish."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import bags
from ipcpy.cli.program import program

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
ROBOT = """
    import sys, time
    import ipcpy as ipc
    from collections import namedtuple
    Imu = namedtuple("Imu", "gx gz")
    imu = ipc.Publisher("rec/imu", ipc.MsgLibrary({23: ("<2f", Imu)}))
    doc = ipc.Publisher("rec/doc", keep=1)
    doc.publish({"latched": True})
    print("ready", flush=True)
    for number in range(100_000):
        imu.publish(Imu(number, 0.5))
        time.sleep(0.005)
"""


@pytest.fixture
def robot(spawn):
    process = spawn(ROBOT)
    process.wait_line("ready")
    return process


def robot_goes_on(path: Path, size: int = 4000) -> None:
    """Wait until something was written."""
    until = time.monotonic() + 30
    while (not path.exists() or path.stat().st_size < size) and time.monotonic() < until:
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_records_until_a_signal_and_says_what(robot, spawn, tmp_path: Path, number: int) -> None:
    path = tmp_path / "run.mcap"
    recorder = spawn([*IPCPY, "record", "rec/**", "-o", str(path), "--json"])
    recorder.wait_line("recording into", stream="stderr")
    robot_goes_on(path)
    recorder.signal(number)
    assert recorder.wait() == 0
    told = json.loads(recorder.wait_line(r"\{.*").group())
    assert told["paths"] == [str(path)]
    found = list(bags.read(path))
    assert {message.topic for message in found} == {"rec/imu", "rec/doc"}
    assert told["topics"]["rec/imu"]["messages"] == len(found) - 1 > 10
    assert bags.summary(path).statistics.message_count == len(found) + 1


def test_a_rate_and_a_table(robot, spawn, tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    recorder = spawn([*IPCPY, "record", "rec/imu", "-o", str(path), "--max-rate", "10"])
    robot_goes_on(path, 2500)
    recorder.signal(signal.SIGINT)
    assert recorder.wait() == 0
    recorder.wait_line(r"topic +messages +Hz +size +lost +thinned out")
    row = recorder.wait_line(r"rec/imu +(\d+) .* ([\d,]+)$")
    found = [message.received_ns for message in bags.read(path)]
    assert len(found) == int(row[1])
    assert int(row[2].replace(",", "")) > 0
    assert len(found) - 1 <= (found[-1] - found[0]) / 1e9 * 10 + 1


def test_it_ends_after_a_duration(robot, spawn, tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    assert spawn([*IPCPY, "record", "-a", "-o", str(path), "-d", "4s"]).wait(30) == 0
    assert bags.summary(path).statistics.message_count > 0


def test_nothing_to_record_is_said(spawn, tmp_path: Path) -> None:
    recorder = spawn([*IPCPY, "record", "rec/nothing", "-o", str(tmp_path / "a.mcap"), "-d", "0.3s"])
    assert recorder.wait() == 3
    assert "nothing was published on 'rec/nothing'" in recorder.report()


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    path.write_text("precious")
    result = CliRunner().invoke(program, ["record", "-a", "-o", str(path), "-d", "0.1"])
    assert result.exit_code == 2
    assert "is there already; choose another name, or --force" in result.output
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "name TOPICs, or -a for all of them"),
        (["-a", "imu"], "not both"),
        (["-a", "--after", "5s"], "--after goes with --ring"),
        (["-a", "--on-silence", "imu=1s"], "--on-silence goes with --ring"),
        (["-a", "--ring", "5s", "--split", "1GB"], "--split does not go with --ring"),
        (["-a", "--split", "5"], "neither a size nor a time"),
        (["-a", "--compression", "gzip"], "gzip"),
        (["a b"], "a topic is a name"),
    ],
)
def test_wrong_usage_says_what_was_expected(words: list[str], text: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(program, ["record", *words])
    assert result.exit_code == 2
    assert text in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_ring_is_written_by_signal_by_command_and_by_a_silence(robot, spawn, tmp_path: Path) -> None:
    command = [*IPCPY, "record", "rec/**", "--ring", "60s", "--after", "0.2s", "-o", str(tmp_path / "box.mcap")]
    ring = spawn([*command, "--on-silence", "rec/imu=2s", "--json"])
    ring.wait_line("keeping the last 60 s", stream="stderr")
    ring.signal(signal.SIGUSR1)
    first = json.loads(ring.wait_line(r"\{.*SIGUSR1.*").group())
    dumped = json.loads(spawn([*IPCPY, "blackbox", "dump", "--reason", "why not", "--json"]).succeed())
    second = json.loads(ring.wait_line(r"\{.*why not.*").group())
    assert dumped["path"] == second["path"] != first["path"]
    robot.kill()
    third = json.loads(ring.wait_line(r"\{.*nothing on rec/imu for 2 s.*").group())
    for told in (first, second, third):
        assert {message.topic for message in bags.read(Path(told["path"]))} >= {"rec/imu", "rec/doc"}
    ring.signal(signal.SIGINT)
    assert ring.wait() == 0
    assert ring.wait_line(r"wrote (\d+) files", stream="stderr")[1] >= "3"
