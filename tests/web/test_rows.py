"""Rows for the page: whole at first, then what changed, in JSON that every browser reads."""

from __future__ import annotations

import json
import math

from ipcpy.overview.rows import FlowRow, TopicRow
from ipcpy.web.rows import Rows

FLOW = FlowRow(
    "lab", "imu", "p1", "s1", "n1", "n2", rate=100.0, loss=0.25, lost=3, causes={"network": 3}, way="unicast"
)
ROW = TopicRow("lab", "imu", rate=99.99999, latency=(0.001, 0.002, 0.01234567), history=(1.0, math.nan), flows=(FLOW,))


def test_before_a_reading_there_is_nothing():
    assert Rows().since(0) == ""


def test_the_first_rows_are_whole():
    rows = Rows()
    rows.take([ROW], [FLOW], 5.0)
    told = json.loads(rows.since(0))
    assert (told["kind"], told["time"], told["whole"]) == ("rows", 5.0, True)
    (row,), (edge,) = told["rows"], told["edges"]
    assert (row["id"], row["rate"], row["latency"], row["history"]) == (
        "lab imu",
        100.0,
        [0.001, 0.002, 0.01235],
        [1.0, None],
    )
    assert (edge["topic"], edge["from"], edge["to"], edge["loss"], edge["causes"]) == (
        "lab imu",
        "n1",
        "n2",
        0.25,
        {"network": 3},
    )


def test_later_only_what_changed_is_told():
    rows = Rows()
    rows.take([ROW, TopicRow("lab", "gps")], [FLOW], 5.0)
    first = rows.reading
    rows.take([ROW, TopicRow("lab", "gps", rate=1.0)], [FLOW], 6.0)
    told = json.loads(rows.since(first))
    assert (told["whole"], [row["id"] for row in told["rows"]], told["edges"]) == (False, ["lab gps"], [])
    assert rows.since(rows.reading) == ""
    assert len(json.loads(rows.since(0))["rows"]) == 2


def test_what_is_gone_is_not_told_any_more():
    rows = Rows()
    rows.take([ROW], [FLOW], 5.0)
    rows.take([], [], 6.0)
    told = json.loads(rows.since(0))
    assert (told["rows"], told["edges"]) == ([], [])


def test_two_flows_between_the_same_nodes_are_one_edge():
    other = FlowRow("lab", "imu", "p2", "s1", "n1", "n2", rate=10.0, loss=0.5, lost=1, causes={"inbox": 1}, why="Slow.")
    rows = Rows()
    rows.take([], [FLOW, other, FlowRow("lab", "imu", "p3", "")], 5.0)
    (edge,) = json.loads(rows.since(0))["edges"]
    assert (edge["rate"], edge["loss"], edge["lost"], edge["why"]) == (110.0, 0.5, 4, "Slow.")
    assert edge["causes"] == {"network": 3, "inbox": 1}
