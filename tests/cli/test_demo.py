"""``ipcpy demo``: two processes, and a summary that tells the truth."""

from __future__ import annotations

import json
import sys

import pytest

from ipcpy.cli.demo import _sum_up

IPCPY = [sys.executable, "-m", "ipcpy.cli"]


def test_samples_of_this_computer(spawn):
    process = spawn([*IPCPY, "demo", "--duration", "1", "--rate", "200"])
    printed = process.succeed()
    assert "uptime" in printed
    assert "published 200 messages in" in printed
    assert "received  all of them, in order, equal bit for bit" in printed
    assert "latency   p50" in printed
    assert process.stderr == ""


def test_json(spawn):
    for _ in range(10):  # until nothing else runs for most of the half second
        summary = json.loads(spawn([*IPCPY, "demo", "--duration", "0.5", "--json"]).succeed())
        if 50 < summary["rate"] < 130:
            break
    assert summary["complete"] is True
    assert summary["published"] == summary["received"] == 50
    assert summary["lost"] == 0
    assert 0 < summary["delay"]["p50"] <= summary["delay"]["p99"]
    assert 50 < summary["rate"] < 130


def test_a_rate_that_this_computer_cannot_keep_ends_in_time_all_the_same(spawn):
    summary = json.loads(spawn([*IPCPY, "demo", "--duration", "0.2", "--rate", "1e300", "--json"]).succeed(60.0))
    assert 0.2 <= summary["seconds"] < 10
    assert summary["published"] == summary["received"] + summary["lost"] > 0


def test_rows_of_a_file_in_all(spawn, tmp_path):
    path = tmp_path / "imu.csv"
    rows = [f"{n * 0.0035},{n * 0.1}\n" for n in range(200)]  # the smallest buffer of a socket holds them
    path.write_text("t,x\n" + "".join(rows))
    summary = json.loads(spawn([*IPCPY, "demo", "--csv", str(path), "--duration", "0", "--json"]).succeed())
    assert (summary["received"], summary["complete"]) == (200, True)
    assert 0.6 < summary["seconds"] < 20


def test_a_wrong_file_is_told_and_fails(spawn, tmp_path):
    path = tmp_path / "imu.csv"
    path.write_text("t,x\n1,two\n")
    process = spawn([*IPCPY, "demo", "--csv", str(path)])
    assert process.wait() == 1
    assert "line 2: could not convert" in process.stderr


def test_it_can_be_looked_at_while_it_runs(spawn):
    demo = spawn([*IPCPY, "demo", "--duration", "45"])
    demo.wait_line("#1 ")
    (topic,) = map(json.loads, spawn([*IPCPY, "list", "--json"]).succeed().splitlines())
    assert topic["topic"].startswith("demo/")
    assert topic["schema"]["messages"][0]["fields"][0] == "uptime"
    assert topic["publishers"][0]["node"]["pid"] != topic["subscribers"][0]["node"]["pid"]
    assert "uptime" in spawn([*IPCPY, "echo", "demo/**", "-n", "1"]).succeed()


@pytest.mark.parametrize(
    ("changes", "complete"),
    [
        ({}, True),
        ({"received": 9}, False),
        ({"in_order": False}, False),
        ({"check": 2}, False),
        ({"received": 0, "check": 0}, False),
    ],
)
def test_the_summary_does_not_flatter(changes, complete):
    published = {"published": 10, "seconds": 2.0, "check": 1}
    received = {"received": 10, "lost": {}, "in_order": True, "check": 1, "delay": {}, **changes}
    summary = _sum_up("demo/x", published, received)
    assert summary["complete"] is complete
    assert summary["lost"] == 10 - received["received"]
    assert summary["rate"] == 5.0
