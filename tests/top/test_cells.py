"""Rows as lines that fit: what a line says it says without colours, and in 80 cells."""

from __future__ import annotations

import math

import pytest

from ipcpy.overview.rows import FlowRow, NodeRow, TopicRow
from ipcpy.overview.text import ASCII_BARS, BARS
from ipcpy.top.cells import FLOW, NODE, cut, heads, line, mark, topic_columns

rich_cells = pytest.importorskip("rich.cells", reason="needs ipcpy[top]")

LONG = TopicRow(
    "a-domain-with-a-long-name",
    "robot/with/a/very/long/name/camera/front/left/image_raw/compressed",
    "struct",
    12,
    345,
    12345.6,
    1.23e9,
    0.123,
    98765,
    {"network": 98765},
    (1e-6, 2e-3, 3.0),
    99,
    history=tuple(map(float, range(60))),
    why=("the types differ",),
)


def text(pieces):
    return "".join(piece for piece, _ in pieces)


@pytest.mark.parametrize("width", [80, 81, 100, 132, 200])
@pytest.mark.parametrize("domains", [False, True])
def test_a_topic_takes_as_many_cells_as_there_are(width, domains):
    columns = topic_columns(width, domains=domains, bars=BARS)
    assert len(text(line(columns, LONG, width))) == len(text(heads(columns, width, "loss"))) == width


@pytest.mark.parametrize("width", [80, 132])
def test_flows_and_nodes_fit_too(width):
    ends = ("p", "s", "n", "m", "arm" * 20, "brain" * 20)
    flow = FlowRow("lab", "imu", *ends, 1e5, 1e5, 1e9, 0.5, 7, {"kernel": 7}, (1, 2, 3), 12345, "shared memory")
    who = ("1" * 16, "arm" * 30, "host" * 9, 4194304, None, "1", "unresponsive", 12.3)
    node = NodeRow("lab", *who, ("a",) * 200, (), 1e6, 1e6, 1e9, 1e9, 1234)
    assert len(text(line(FLOW, flow, width))) == width == len(text(heads(FLOW, width)))
    assert len(text(line(NODE, node, width))) == width


def test_a_topic_says_all_of_it_in_80_cells():
    latency, past = (1e-5, 1.2e-4, 1e-3), (0.0, 50.0, 100.0)
    row = TopicRow("lab", "imu", "struct", 1, 2, 100.04, 3200.0, 0.023, 7, {}, latency, history=past)
    said = text(line(topic_columns(80, domains=False, bars=BARS), row, 80))
    assert said.split() == ["!", "imu", "1", "2", "100", "3.2", "kB", "2.3", "%", "120", "µs", "▁▅█"]
    assert text(line(topic_columns(80, domains=True, bars=ASCII_BARS), row, 80)).split()[:3] == ["!", "lab", "imu"]


def test_what_is_not_known_is_a_dash():
    said = text(line(topic_columns(80, domains=False, bars=BARS), TopicRow("lab", "gps", history=(math.nan,)), 80))
    assert said.split() == ["gps", "0", "0", "-", "-", "-", "-"]


def test_losses_are_marked_by_a_sign_and_by_colour():
    assert mark(TopicRow("d", "a", loss=0.2)) == ("!", "bold red")
    assert mark(TopicRow("d", "a", loss=0.01)) == ("!", "bold yellow")
    assert mark(TopicRow("d", "a", loss=0.0)) == (" ", "")
    assert mark(TopicRow("d", "a", publishers=1, subscribers=1, why=("types differ",)))[0] == "?"
    assert mark(TopicRow("d", "a", publishers=1, why=("Nobody subscribes to 'a'.",)))[0] == " "


def test_the_head_shows_what_is_sorted_by_and_which_way():
    columns = topic_columns(80, domains=False, bars=BARS)
    assert "RATE" not in text(heads(columns, 80, "rate"))
    assert "HZ↓" in text(heads(columns, 80, "rate"))
    assert "TOPIC↑" in text(heads(columns, 80, "topic", reverse=True))
    assert [piece for piece, style in heads(columns, 80, "loss") if "underline" in style] == [" LOSS↓"]


def test_a_name_from_the_network_moves_no_cursor():
    row = TopicRow("\x1b[2J", "\x1b]0;evil\x07", nodes=("\x1b",))
    assert text(line(topic_columns(80, domains=True, bars=BARS), row, 80)).isprintable()


@pytest.mark.parametrize(
    ("name", "width", "shown"),
    [("camera", 3, "cam"), ("camera/left/raw", 9, "camera~aw"), ("相机/前", 5, "相机~"), ("相机", 3, "相 ")],
)
def test_names_are_cut_by_the_cells_they_take(name, width, shown):
    assert cut(name, width) == shown
    assert rich_cells.cell_len(cut(name, width)) == width
