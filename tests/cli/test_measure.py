"""``ipcpy hz``, ``bw`` and ``delay``."""

from __future__ import annotations

import json
import re
import signal
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


@pytest.fixture
def line_of(spawn):
    """``line_of(command, is_it)`` returns the first line of a command that is so, and the one before it.

    On a busy computer the robot publishes nothing for a while, and the more after it: there one line says too little.
    """

    def line_of(command, is_it):
        process, lines = spawn([*IPCPY, command, "beat", "--json"]), []
        while len(lines) < 2 or not is_it(lines[-1]):
            lines.append(json.loads(process.wait_line("{.*}")[0]))
            assert len(lines) < 30, lines
        process.signal(signal.SIGINT)
        process.wait()
        assert process.stderr == ""
        return lines[-2:]

    return line_of


def test_hz(robot, line_of):
    first, second = line_of("hz", lambda line: 80 < line["rate"] < 110)
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


def test_bw(robot, line_of):
    _, line = line_of("bw", lambda line: 80_000 < line["bytes_per_second"] < 120_000)
    assert line["mean_size"] == 1000


def test_delay(robot, line_of):
    _, line = line_of("delay", lambda line: 0 < line["delay"]["p50"] < 0.1)
    assert line["other_hosts"] == []


@pytest.mark.parametrize(("command", "words"), [("hz", " Hz  min "), ("bw", " kB/s  "), ("delay", "  p50 ")])
def test_text_comes_line_by_line(robot, spawn, command, words):
    process = spawn([*IPCPY, command, "beat", "--duration", "1.5"])
    process.wait_line(words)
    last = process.succeed().splitlines()
    assert len(last) == 2
    assert all(line.startswith("beat  ") and line.endswith("lost 0") for line in last)


def test_a_topic_that_falls_silent_has_a_rate_of_0(robot, spawn):
    process = spawn([*IPCPY, "hz", "beat", "--json"])
    process.wait_line("rate")
    robot.kill()
    process.wait_line('"rate": 0(.0)?[,}]')


def test_what_is_promised_and_what_is_late_stand_beside_what_comes(spawn):
    robot = spawn(ROBOT.replace("ipc.Raw()", "ipc.Raw(), rate=100"))
    robot.wait_line("ready")
    process = spawn([*IPCPY, "hz", "beat", "--deadline", "1.5", "-n", "4", "--json"])
    process.wait_line("rate")
    robot.kill()
    first, *_, last = map(json.loads, process.succeed().splitlines())
    assert (first["promised"], first["late_now"]) == (100.0, [])
    assert (last["promised"], last["late_now"]) == (None, ["beat"])
    assert last["late"] == first["late"] + 1


SET = """
    import time
    now, back = time.time_ns, 0
    time.time_ns = lambda: now() - back
    import sys, threading

    def set_back():
        global back
        sys.stdin.readline()
        back = 3600 * 10**9

    threading.Thread(target=set_back, daemon=True).start()
    from ipcpy.cli import main
    sys.argv = ["ipcpy", *sys.argv[1:]]
    main()
"""


def test_a_clock_that_is_set_back_makes_no_negative_intervals(robot, spawn):
    process = spawn(SET, "hz", "beat", "-n", "4", "--json")
    process.wait_line("rate")
    process.send_line("set it back")
    for line in map(json.loads, process.succeed().splitlines()):
        assert 0 <= line["interval"]["min"] <= line["interval"]["max"] < 60
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
