"""``ipcpy hz``, ``bw`` and ``delay``."""

from __future__ import annotations

import json
import re
import sys
from types import SimpleNamespace

import click
import pytest

import ipcpy as ipc
from ipcpy.cli import measure

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
ROBOT = """
    import time
    import ipcpy as ipc
    with ipc.Publisher("beat", ipc.Raw()) as pub:
        print("ready", flush=True)
        due = time.monotonic()
        while True:
            pub.publish(bytes(1000))
            due += 0.01
            time.sleep(max(0.0, due - time.monotonic()))
"""


FAST = """
    import time
    now = time.time_ns
    time.time_ns = lambda: now() + 3 * 3600 * 10**9
"""
OLD = FAST + "    import ipcpy.protocol.link.greeting as greeting\n    greeting.CLOCKS = 0\n" + ROBOT
FAST += ROBOT


@pytest.fixture
def robot(spawn):
    process = spawn(ROBOT)
    process.wait_line("ready")
    return process


def test_hz(robot, spawn):
    printed = spawn([*IPCPY, "hz", "beat", "-n", "2", "--json"]).succeed()
    first, second = map(json.loads, printed.splitlines())
    assert 80 < second["rate"] < 110
    assert second["messages"] > first["messages"]
    assert 0.005 < second["interval"]["p50"] < 0.015
    assert second["interval"]["min"] <= second["interval"]["mean"] <= second["interval"]["max"]
    assert second["lost"] == {} == second["dropped"]


def test_what_was_lost_and_dropped_is_said_by_cause():
    sub = SimpleNamespace(stats=ipc.SubscriberStats(lost={"network": 2, "inbox": 1000}, dropped={"malformed": 1}))
    seen = measure._Window(sub, 2)
    assert click.unstyle(measure._losses(seen.lost)) == "  lost inbox 1,000, network 2"
    assert click.unstyle(measure._drops(seen.dropped)) == "  dropped malformed 1"
    assert measure._drops({}) == ""


def test_bw(robot, spawn):
    line = json.loads(spawn([*IPCPY, "bw", "beat", "-n", "1", "--json"]).succeed())
    assert line["mean_size"] == 1000
    assert 80_000 < line["bytes_per_second"] < 120_000


def test_delay(robot, spawn):
    process = spawn([*IPCPY, "delay", "beat", "-n", "1", "--json"])
    line = json.loads(process.succeed())
    assert 0 < line["delay"]["p50"] < 0.1
    assert line["other_hosts"] == []
    assert process.stderr == ""


@pytest.mark.parametrize(("command", "words"), [("hz", " Hz  min "), ("bw", " kB/s  "), ("delay", "  p50 ")])
def test_text_comes_line_by_line(robot, spawn, command, words):
    process = spawn([*IPCPY, command, "beat", "--duration", "1.5"])
    process.wait_line(words, timeout=3.0)
    last = process.succeed().splitlines()
    assert len(last) == 2
    assert all(line.startswith("beat  ") and line.endswith("lost 0") for line in last)


def test_a_topic_that_falls_silent_has_a_rate_of_0(robot, spawn):
    process = spawn([*IPCPY, "hz", "beat", "-n", "3", "--json"])
    process.wait_line("rate")
    robot.kill()
    assert json.loads(process.succeed().splitlines()[-1])["rate"] == 0


def test_what_is_promised_and_what_is_late_stand_beside_what_comes(spawn):
    robot = spawn(ROBOT.replace("ipc.Raw()", "ipc.Raw(), rate=100"))
    robot.wait_line("ready")
    process = spawn([*IPCPY, "hz", "beat", "--deadline", "0.3", "-n", "4", "--json"])
    process.wait_line("rate")
    robot.kill()
    first, *_, last = map(json.loads, process.succeed().splitlines())
    assert (first["promised"], first["late_now"]) == (100.0, [])
    assert (last["promised"], last["late_now"]) == (None, ["beat"])
    assert last["late"] == first["late"] + 1


SET = """
    import time
    now, began = time.time_ns, time.monotonic()
    time.time_ns = lambda: now() - (3600 * 10**9 if time.monotonic() - began > 1.5 else 0)
    import sys
    from ipcpy.cli import main
    sys.argv = ["ipcpy", *sys.argv[1:]]
    main()
"""


def test_a_clock_that_is_set_back_makes_no_negative_intervals(robot, spawn):
    process = spawn(SET, "hz", "beat", "--duration", "3", "--json")
    last = json.loads(process.succeed().splitlines()[-1])
    assert 0 <= last["interval"]["min"] <= last["interval"]["max"] < 3
    assert "the clock of this host was set by -3,600.0 s" in process.stderr


def test_between_hosts_the_difference_of_the_clocks_is_taken_out(lan):
    hosts = lan(2)
    hosts.spawn(1, FAST).wait_line("ready")
    process = hosts.spawn(2, [*IPCPY, "delay", "beat", "-n", "3", "--json"])
    line = json.loads(process.succeed().splitlines()[-1])
    assert line["other_hosts"] == ["h1"]
    assert 0 < line["bound"] < 0.1
    assert abs(line["delay"]["p50"]) < 0.5, "and not 3 hours"
    assert process.stderr == ""
    shown = hosts.spawn(2, [*IPCPY, "delay", "beat", "-n", "3"]).succeed().splitlines()[-1]
    assert re.search(r"  p50 [\d.]+ (µs|ms) ± [\d.]+ (µs|ms)  ", shown)


def test_of_an_older_peer_the_difference_of_the_clocks_is_named(lan):
    hosts = lan(2)
    hosts.spawn(1, OLD).wait_line("ready")
    process = hosts.spawn(2, [*IPCPY, "delay", "beat", "-n", "1", "--json"])
    line = json.loads(process.succeed())
    assert line["delay"]["p50"] < -10_000
    assert line["bound"] is None
    assert "published on h1: its clock is not known: the difference of the clocks is in these times" in process.stderr


def test_the_bound_of_a_median_is_that_of_the_medians_of_the_least_and_the_greatest():
    late = [ipc.Delay(1.0, 0.5), ipc.Delay(2.0, 0.1), ipc.Delay(3.0, 0.2)]
    assert measure._bound_of_median(late) == pytest.approx(0.1)
