"""``ipcpy flows``, against other processes; and how a flow reads."""

from __future__ import annotations

import json
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import ipcpy as ipc
from ipcpy.cli.flows import HEAD, fitting, flow_lines, loss_text, rate_text, reasons_of
from ipcpy.graph import EndpointInfo, NodeInfo

DOCUMENT = (Path(__file__).parents[2] / "docs" / "flows.md").read_text(encoding="utf-8")
IPCPY = [sys.executable, "-m", "ipcpy.cli"]
ROBOT = """
    import sys, threading
    import ipcpy as ipc
    camera, logger = ipc.Node("camera"), ipc.Node("logger")
    pub, alone = ipc.Publisher("robot/imu", node=camera), ipc.Publisher("alone", node=camera)
    sub = ipc.Subscriber("robot/*", node=logger, depth=10)
    pub.wait_for_subscribers(timeout=30)
    print("ready", flush=True)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    while not ended.wait(0.01):
        pub.publish(1)
"""
CAM = NodeInfo("0" * 15 + "a", "cam", "pi", 7, "d", "10.0.0.1:17770", "1", "alive", 0.0)
LOG = NodeInfo("0" * 15 + "b", "log\x1b[2J", "nuc", 8, "d", "10.0.0.2:17770", "1", "alive", 0.0)
PUB = EndpointInfo(f"{1:016x}", "publisher", "imu", "raw", {}, False, 0, CAM)
SUB = EndpointInfo(f"{2:016x}", "subscriber", "imu", "any", {}, False, 0, LOG)


@pytest.fixture
def robot(spawn):
    process = spawn(ROBOT)
    process.wait_line("ready")
    return process


def records(process):
    return [json.loads(line) for line in process.succeed().splitlines()]


def test_every_flow_is_a_line(robot, spawn):
    head, *lines, footer = spawn([*IPCPY, "flows"]).succeed().splitlines()
    assert head.split() == ["TOPIC", "FROM", "TO", "WAY", "HZ", "BYTES/S", "P50", "P99", "LOST", "WAITING"]
    assert lines[0].split()[:3] == ["alone", "camera", "-"]
    assert lines[1].split()[:4] == ["robot/imu", "camera", "logger", "loopback"]
    assert "1 flow in domain test" in footer


def test_flows_as_json_have_rates_losses_and_latencies(robot, spawn):
    (flow,) = records(spawn([*IPCPY, "flows", "robot/**", "--json"]))
    assert (flow["topic"], flow["publisher"]["node"]["name"], flow["subscriber"]["topic"]) == (
        "robot/imu",
        "camera",
        "robot/*",
    )
    assert flow["bandwidth"] > 0 and flow["latency_p50"] > 0 and flow["latency_bound"] == 0.0
    assert list(flow["lost"]) in ([], ["inbox"])
    assert flow["sent"] >= flow["received"]


def test_watching_goes_on_until_it_is_interrupted(robot, spawn):
    process = spawn([*IPCPY, "flows", "robot/imu", "--watch", "--every", "0.1", "--json"])
    times = [int(process.wait_line(r'"time_ns": (\d+).*robot/imu')[1]) for _ in range(3)]
    assert sorted(set(times)) == times
    process.signal(signal.SIGINT)
    assert process.wait(timeout=40) == 130
    assert "Traceback" not in process.report()


def test_nothing_published_is_exit_code_3_and_says_what_may_help(robot, spawn):
    process = spawn([*IPCPY, "flows", "gps", "--timeout", "2"])
    assert process.wait(timeout=40) == 3
    assert "nobody publishes 'gps'" in process.stderr and "with publishers: alone, robot/imu." in process.stderr
    process = spawn([*IPCPY, "flows", "--timeout", "0.2", "--domain", "nobody"])
    assert process.wait(timeout=40) == 3
    assert "no publisher within 0.2 s in domain 'nobody'" in process.stderr


def test_why_explains_what_all_say_over_the_network(robot, spawn):
    said = spawn([*IPCPY, "why", "robot/imu"]).succeed()
    assert "robot/imu  1 flow\n" in said
    assert "Subscriber 'logger' on " in said and "robot/imu: publisher 'camera' on " in said
    assert "Publisher 'camera' on " in said and "  Subscriber 'logger' on " in said


def test_info_shows_the_flows_of_a_topic(robot, spawn):
    printed = spawn([*IPCPY, "info", "robot/imu"]).succeed()
    assert "\nflows\n  TOPIC" in printed
    (flow,) = [line for line in printed.splitlines() if line.startswith("  robot/imu  camera")]
    assert flow.split()[2] == "logger"
    (told,) = records(spawn([*IPCPY, "info", "robot/imu", "--json"]))
    assert [each["subscriber"]["node"]["name"] for each in told["flows"]] == ["logger"]


# -- how a flow reads --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        (ipc.Flow("imu", PUB, SUB), "-"),
        (ipc.Flow("imu", PUB, SUB, received=5), "0"),
        (ipc.Flow("imu", PUB, SUB, received=5, lost={"network": 1_200}), "network 1,200"),
        (
            ipc.Flow("imu", PUB, SUB, received=5, lost={"network": 3, "kernel": 4}, loss=0.1),
            "10.0% (kernel 4, network 3)",
        ),
    ],
)
def test_losses_are_a_share_and_causes(flow, said):
    assert loss_text(flow) == said


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "it is not known yet how often"),
        ({"rate": 0.0, "published": 0}, "nothing was published yet"),
        ({"rate": 0.0, "published": 4}, "nothing came meanwhile"),
        ({"rate": 99.6, "bandwidth": 4_400.0}, "99.6 Hz, 4.4 kB/s"),
        ({"rate": 9.0, "bandwidth": 40.0, "loss": 0.1}, "9 Hz, 40 B/s, 10.0% lost"),
        (
            {"rate": 1.5, "bandwidth": 6.0, "latency_p50": 0.001, "latency_p99": 0.25, "latency_bound": 0.0},
            "1.5 Hz, 6 B/s, latency 1 ms (99 %: 250 ms)",
        ),
    ],
)
def test_rates_read_as_they_are(counts, said):
    assert rate_text(ipc.Flow("imu", PUB, SUB, **counts)) == said


@pytest.mark.parametrize(
    ("flows", "wrong", "shown"),
    [
        (5, 3, (5, 3)),
        (400, 0, (20, 0)),
        (400, 2, (18, 2)),
        (400, 30, (10, 10)),
        (5, 30, (5, 15)),
    ],
)
def test_what_is_wrong_stays_in_sight_however_many_flows_there_are(flows, wrong, shown):
    kept = fitting([f"flow {number}" for number in range(flows)], [f"wrong {number}" for number in range(wrong)], 20)
    assert tuple(map(len, kept)) == shown
    for lines, count in zip(kept, (flows, wrong), strict=True):
        assert ("more: ipcpy top" in lines[-1]) is (count > len(lines)) if lines else not count


def test_what_a_bridge_has_from_beyond_is_from_whom_it_is():
    far = replace(PUB, via={"bridge": "robot7", "node": "driver"})
    _head, row, *_why = flow_lines([ipc.Flow("imu", far, None)])
    assert row.startswith("imu    driver via bridge robot7  ")


def test_what_comes_from_the_network_moves_no_cursor():
    flow = ipc.Flow("imu", PUB, SUB, why="evil \x1b[2J\nlines", received=1, lost={"a\x07b": 1})
    text = "\n".join(flow_lines([flow]))
    assert "\x07" not in text and "\x1b[2J" not in text
    assert reasons_of(flow) == ["evil \\x1b[2J", "lines"]


def test_the_program_of_the_document_runs(spawn):
    (program,) = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert re.fullmatch(r"imu to \S+ by loopback: 1 sent, 1 came, lost: {}\n", spawn(program).succeed())


def test_the_columns_of_the_document_are_those_of_the_table():
    assert " ".join(HEAD) in " ".join(DOCUMENT.split())
