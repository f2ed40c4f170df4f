"""The benchmarks run and give figures. Never that a figure is small: that is for whoever reads them."""

from __future__ import annotations

import importlib
import json
import math
import random
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = "rtt1,asyncio,call,call8,publish,nobody,steps"


def benchmark(spawn, *words):
    return spawn([sys.executable, "-m", "benchmarks", *words], cwd=ROOT)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are bound to cores on Linux only")
def test_a_quick_run_has_figures_in_json_and_markdown(spawn, tmp_path):
    json_file, markdown_file = tmp_path / "figures.json", tmp_path / "figures.md"
    run = benchmark(
        spawn, "--quick", "--rows", ROWS, "--peers", "none", "--json", json_file, "--markdown", markdown_file
    )
    printed = run.succeed(timeout=50)
    results = json.loads(json_file.read_text())
    assert results["failures"] == {}
    for row, adapter, figure in [
        ("rtt1", "raw", "p50"),
        ("rtt1", "ipcpy", "p99"),
        ("asyncio", "raw asyncio", "p50"),
        ("asyncio", "ipcpy asyncio", "p50"),
        ("call", "ipcpy ping-pong", "p50"),
        ("call", "ipcpy call", "p50"),
        ("call8", "ipcpy call", "share"),
        ("publish", "raw", "cpu"),
        ("publish", "ipcpy", "cpu"),
        ("nobody", "ipcpy", "cpu"),
        ("steps", "raw", "send"),
        ("steps", "ipcpy", "encode"),
    ]:
        [figures] = results["rounds"][row][adapter]
        assert math.isfinite(figures[figure]) and figures[figure] > 0, (row, adapter, figures)
    assert results["about"]["from"].endswith("ipcpy") and results["about"]["seed"] == 1
    assert printed.strip() == markdown_file.read_text().strip()
    assert "| Round trip of 64 bytes, both processes on one core | p50, ipcpy | **" in printed
    assert "× raw" in printed and ("| met |" in printed or "| missed |" in printed)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is shared on Linux only")
def test_large_messages_are_measured_with_a_copy_in_lent_memory_and_by_udp(spawn, tmp_path):
    file = tmp_path / "figures.json"
    benchmark(spawn, "--quick", "--rows", "large30", "--peers", "none", "--json", file).succeed(timeout=50)
    results = json.loads(file.read_text())
    assert results["failures"] == {}
    for adapter in ("raw", "ipcpy", "ipcpy loan", "ipcpy udp"):
        [figures] = results["rounds"]["large30"][adapter]
        assert figures["times"] == pytest.approx(figures["p50"] / figures["small"]) and figures["p50"] > 0, adapter


def test_who_copies_is_not_compared_with_who_is_lent_memory(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.figures import Metric, Results, Target, met

    rates = {"raw": 10.0, "ipcpy": 30.0, "ipcpy loan": 40.0, "peer": 20.0, "peer loan": 50.0}
    results = Results({"row": {name: [{"rate": rate}] for name, rate in rates.items()}})
    metric = Metric("rate", "delivered", "MB/s", higher=True)
    verdicts = [
        met(results, "row", metric, Target(adapter, 2.0, lead=True), "raw", ["peer", "peer loan"])
        for adapter in ("ipcpy", "ipcpy loan")
    ]
    assert verdicts == ["met", "missed: behind peer loan"]


@pytest.mark.skipif(sys.platform != "linux", reason="CPU times of children are looked at")
def test_what_a_recorder_keeps_up_with(spawn, tmp_path):
    pytest.importorskip("mcap", reason="needs ipcpy[bag]")
    run = spawn([sys.executable, "-m", "benchmarks.recording", "--seconds", "0.2", "--folder", str(tmp_path)], cwd=ROOT)
    head, _, *rows = run.succeed(timeout=50).splitlines()
    assert head.startswith("| load | compression | messages/s |")
    assert [row.split(" | ")[:2] for row in rows] == [
        [f"| {load}", compression]
        for load in ("64-byte struct", "dict of 5", "image of 6 MB")
        for compression in ("zstd", "none")
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_no_role_outlives_a_killed_benchmark(spawn, wait_until):
    run = benchmark(spawn, "--rows", "rtt2,rtt1", "--peers", "none", "--rounds", "3")
    roles = wait_until(lambda: roles_of(run.pid), timeout=20)
    run.kill()
    wait_until(lambda: not any(command_of(role) for role in roles), timeout=5)


def roles_of(pid):
    """Return the processes a benchmark started, once there are two."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = children.read_text().split() if children.exists() else []
    roles = [child for child in found if b"launch.py" in command_of(child)]
    return roles if len(roles) >= 2 else []


def command_of(pid):
    """Return a process's command, which is empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_rows_and_peers_that_do_not_exist_are_named(spawn):
    run = benchmark(spawn, "--rows", "rtt1,speed")
    assert run.wait() == 2
    assert "no row speed; there are rtt1," in run.stderr
    run = benchmark(spawn, "--peers", "lcm,dds")
    assert run.wait() == 2
    assert "no peer dds; there are cyclonedds," in run.stderr


def test_help_names_every_row(spawn):
    printed = benchmark(spawn, "--help").succeed()
    assert all(f"{name}:" in printed.replace("\n", " ") for name in ("rtt1", "lan", "topics", "reliability"))


def test_what_watching_costs_is_measured(spawn):
    words = ["--flows", "3", "--seconds", "0.2", "--pairs", "2", "--every", "0.05"]
    if not Path("/proc/self/task").exists():
        pytest.skip("the time of threads is read from /proc")
    printed = spawn([sys.executable, "-m", "benchmarks.watching", *words], cwd=ROOT).succeed()
    assert "3 flows of 10 Hz, told " in printed
    told = r"-?\d+\.\d+ \(-?\d+\.\d+ to -?\d+\.\d+\)"
    rows = re.findall(rf"^\| (.*) \| \d+\.\d+ \| {told} \| {told} \|$", printed, re.MULTILINE)
    assert rows == ["publisher's node", "ipcpy's threads", "subscriber's node", "ipcpy's threads"], printed


@pytest.fixture
def watching(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.watching")


def test_of_watched_and_unwatched_halves_those_beside_each_other_are_compared(watching):
    found = [(False, 3.0), (True, 3.5), (True, 4.0), (False, 3.25), (False, 3.125), (True, 3.0)]
    more, chance = watching.differences(found)
    assert more == [0.5, 0.75, -0.125]
    assert chance == [-0.125]


def test_the_middle_is_that_of_all_pairs_and_one_that_is_far_off_moves_it_little(watching):
    assert watching.told([3.0, 1.0, 2.0]) == "2.000 (1.000 to 3.000)"
    middle, low, high = map(float, re.findall(r"-?\d+\.\d+", watching.told([*range(1, 100), 1e9])))
    assert (middle, low, high) == (50.5, pytest.approx(45.5, abs=0.5), pytest.approx(55.5, abs=0.5))


def test_the_interval_of_the_middle_holds_it_nine_times_in_ten(watching):
    chance, held = random.Random(7), 0
    for _ in range(1_000):
        told = watching.told([chance.gauss(5.0, 1.0) - chance.gauss(2.0, 1.0) for _ in range(25)])
        _, low, high = map(float, re.findall(r"-?\d+\.\d+", told))
        held += low <= 3.0 <= high
    assert 870 <= held <= 930
