"""The pure ones among the page's scripts, run in the browser: drawing, series, paths, numbers. No topics are needed."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest

import tools
from ipcpy.overview import values
from webpage import chrome, pages

__all__ = ["chrome", "pages", "tools"]  # fixtures, and what they ask for Chromium


class Script:
    """Runs JavaScript with a script of the page: ``script("format", "return script.rate(x);", x=1)``."""

    def __init__(self, page: Any) -> None:
        self._page = page

    def __call__(self, name: str, body: str, **data: Any) -> Any:
        names = ", ".join(["script", *data])
        run = f"({{{names}}}) => {{ {body} }}"
        return self._page.evaluate(
            f"import('/static/{name}.js').then((script) => ({run})({{ script, ...{json.dumps(data)} }}))"
        )


@pytest.fixture
def script(pages):
    return Script(pages.open())


def some_graph(dice: random.Random, *, circles: bool) -> dict[str, Any]:
    nodes = [f"n{number}" for number in range(dice.randrange(1, 15))]
    topics = []
    for number in range(dice.randrange(0, 30)):
        ends = sorted(dice.sample(range(len(nodes)), min(len(nodes), dice.randrange(1, 4))))
        senders = [nodes[ends[0]]] if not circles else dice.sample(nodes, min(len(nodes), dice.randrange(0, 3)))
        takers = [nodes[at] for at in ends[1:]] if not circles else dice.sample(nodes, min(len(nodes), 2))
        topics.append({"id": f"t{number}", "topic": f"topic{number}/x", "domain": ""} | _ends(senders, takers))
    return {"nodes": [{"id": name, "name": name, "host": "h", "domain": ""} for name in nodes], "topics": topics}


def _ends(senders: list[str], takers: list[str]) -> dict[str, list[str]]:
    return {"publishers": senders, "subscribers": takers}


def drawn(script: Script, graph: dict[str, Any], limit: int = 1000) -> dict[str, Any]:
    """Return the boxes, links and places of a graph."""
    found: dict[str, Any] = script(
        "condense",
        "return import('/static/layout.js').then(({ layout }) => {"
        " const made = script.condense(graph, { limit });"
        " const plan = layout(made.boxes, made.links, (box) => 40 + box.name.length * 7);"
        " return { boxes: made.boxes.map((box) => ({ key: box.key, kind: box.kind, group: box.group,"
        "   members: box.members.map((each) => each.id) })), links: made.links, boxOf: [...made.boxOf],"
        "   places: Object.fromEntries(plan.places), bends: Object.fromEntries(plan.bends),"
        "   size: [plan.width, plan.height] };"
        "});",
        graph=graph,
        limit=limit,
    )
    return found


def test_boxes_never_overlap_and_messages_flow_to_the_right(script):
    dice = random.Random(15)
    for round_ in range(20):
        circles = round_ % 2 == 1
        found = drawn(script, some_graph(dice, circles=circles))
        places = found["places"]
        assert places.keys() == {box["key"] for box in found["boxes"]}
        for one, at in places.items():
            assert all(math.isfinite(number) for number in at.values())
            for other, there in places.items():
                if one < other and at["x"] < there["x"] + there["width"] and there["x"] < at["x"] + at["width"]:
                    assert abs(at["y"] - there["y"]) >= 26, (one, other)
        for link in found["links"]:
            right = places[link["to"]]["x"] >= places[link["from"]]["x"] + places[link["from"]]["width"]
            assert right or circles, link
        bends = [bend for each in found["bends"].values() for bend in each]
        for bend in bends:  # a link does not run through a box
            for at in places.values():
                if at["x"] < bend["x"] + bend["width"] and bend["x"] < at["x"] + at["width"]:
                    assert abs(at["y"] - bend["y"]) >= 13


def test_a_graph_looks_the_same_each_time(script):
    graph = some_graph(random.Random(3), circles=True)
    assert drawn(script, graph) == drawn(script, graph)


def test_no_drawing_has_more_boxes_than_can_be_read(script):
    nodes = [{"id": f"n{n}", "name": f"wheel{n}", "host": f"h{n % 7}", "domain": ""} for n in range(100)]
    topics = [
        {"id": f"t{n}", "topic": f"wheel{n % 100}/motor/value{n // 100}", "domain": ""}
        | _ends([f"n{n % 100}"], [f"n{(n * 7) % 100}"])
        for n in range(1000)
    ]
    found = drawn(script, {"nodes": nodes, "topics": topics}, limit=24)
    assert len([box for box in found["boxes"] if box["kind"] == "topic"]) <= 24
    assert len([box for box in found["boxes"] if box["kind"] == "node"]) <= 24
    assert sorted(member for box in found["boxes"] for member in box["members"]) == sorted(
        [each["id"] for each in nodes] + [each["id"] for each in topics]
    )
    keys = {box["key"] for box in found["boxes"]}
    assert all(link["from"] in keys and link["to"] in keys for link in found["links"])
    assert dict(found["boxOf"]).keys() == {f"node n{n}" for n in range(100)} | {f"topic t{n}" for n in range(1000)}


def test_topics_between_the_same_nodes_are_one_box_that_opens(script):
    nodes = [{"id": name, "name": name, "host": "h", "domain": ""} for name in ("arm", "log")]
    topics = [{"id": f"t{n}", "topic": f"joint{n}", "domain": ""} | _ends(["arm"], ["log"]) for n in range(50)]
    graph = {"nodes": nodes, "topics": topics}
    closed = script(
        "condense", "return script.condense(graph).boxes.map((box) => [box.key, box.name, box.group]);", graph=graph
    )
    assert [name for _, name, group in closed if group] == ["joint*"]
    key = next(key for key, _, group in closed if group)
    opened = script(
        "condense", "return script.condense(graph, { open: new Set([key]) }).boxes.length;", graph=graph, key=key
    )
    assert opened == 52


def test_an_empty_graph_and_a_chain_of_ten_thousand_are_drawn(script):
    assert drawn(script, {"nodes": [], "topics": []})["size"] == [0, 0]
    nodes = [{"id": f"n{n}", "name": f"n{n}", "host": "h", "domain": ""} for n in range(5000)]
    topics = [
        {"id": f"t{n}", "topic": f"t{n}", "domain": ""} | _ends([f"n{n}"], [f"n{(n + 1) % 5000}"]) for n in range(5000)
    ]
    found = drawn(script, {"nodes": nodes, "topics": topics}, limit=10**6)
    assert len({at["x"] for at in found["places"].values()}) == 10000


def test_columns_from_since_on_replace_those_that_are_there(script):
    dice = random.Random(4)
    model: list[tuple[float, float, float]] = []
    messages = []
    for _ in range(40):
        since = dice.randrange(0, 60) / 2
        reset = dice.random() < 0.1
        new = [(since + n / 2, dice.random(), 1 + dice.random()) for n in range(dice.randrange(0, 6))]
        model = [] if reset else [row for row in model if row[0] < since]
        model += new
        t, low, high = ([row[at] for row in new] for at in range(3))
        messages.append(
            {"since": since, "reset": reset, "t": t, "low": low, "high": high, "samples": 1, "thinned": True}
        )
    found = script(
        "series",
        "const series = new script.Series(); for (const each of messages) series.take(each);"
        " return series.t.map((t, n) => [t, series.low[n], series.high[n]]);",
        messages=messages,
    )
    assert found == [list(row) for row in model]


def test_a_line_goes_through_the_extremes_of_each_column_and_lines_share_an_axis(script):
    found = script(
        "series",
        "const one = script.points({ t: [1, 2, 3], low: [0, -1, 5], high: [0, 2, 6] });"
        " const other = script.points({ t: [2, 4], low: [null, 7], high: [null, 7] });"
        " const told = (value) => value === undefined ? 'none' : value;"
        " return [one, script.merged([one, other]).map((each) => each.map(told))];",
    )
    assert found[0] == [[1, 2, 2, 3, 3], [0, 2, -1, 5, 6]]
    assert found[1] == [[1, 2, 2, 3, 3, 4], [0, 2, -1, 5, 6, "none"], ["none", None, "none", "none", "none", 7]]


def test_the_paths_of_the_tree_are_those_of_the_server(script):
    numpy = pytest.importorskip("numpy")
    data = {
        "a": 1,
        "b.c": {"d": 2, "": 3},
        "e": [4, {"f g": 5, 'h"i': 6, "j[0]": 7}],
        "ä": 8,
        "map": {3: 9, "x": {-4: 10}},
        "flat": numpy.arange(3),
        "square": numpy.arange(6.0).reshape(2, 3),
    }
    found = script(
        "tree",
        "const walk = (value, path) => script.read(value).children"
        "?.flatMap((each) => walk(each.value, each.path(path))) ?? [path]; return walk(data, '');",
        data=values.tree(data),
    )
    assert sorted(found) == sorted(values.numeric_fields(data))
    assert len(found) == 19


def test_numbers_are_written_as_people_read_them(script):
    cases = {
        "rate(0)": "0 Hz",
        "rate(99.96)": "100 Hz",
        "rate(1234)": "1.23 kHz",
        "rate(null)": "–",
        "rate(NaN)": "–",
        "bandwidth(4630000)": "4.63 MB/s",
        "bytes(80)": "80 B",
        "bytes(999)": "999 B",
        "bytes(999.9)": "1.00 kB",
        "percent(0)": "0 %",
        "percent(0.00001)": "< 0.01 %",
        "percent(0.082)": "8.20 %",
        "percent(1)": "100 %",
        "seconds(0.0000123)": "12.3 µs",
        "seconds(0.2531)": "253 ms",
        "seconds(3)": "3.00 s",
        "seconds(600)": "10 min",
        "number(199.20089721679688)": "199.2",
        "number(6.249999800178558e+36)": "6.25e+36",
        "number(-0.5)": "-0.5",
        "count(1234567)": "1,234,567",
        "several(1, 'topic')": "1 topic",
        "several(0, 'topic')": "0 topics",
        "causes({ inbox: 3, network: 1200, other: 0 })": "network 1,200, inbox 3",
        "shortened('abcdefghij', 5)": "ab…ij",
        "shortened('abc', 5)": "abc",
    }
    found = script("format", f"return [{', '.join('script.' + case for case in cases)}];")
    assert dict(zip(cases, found, strict=True)) == cases


def test_a_rate_that_is_not_known_is_a_gap_of_its_line_and_not_a_zero(script):
    found = script("table", "return script.spark([null, 50, 100, null, 100, 0]);")
    assert found == "M55.5,9.0L56.5,1.0M58.5,1.0L59.5,17.0"
    assert script("table", "return script.spark([]) + script.spark([null]);") == ""


def test_a_link_is_as_bad_as_its_flows_and_one_from_a_publisher_as_bad_as_the_best(script):
    flows = [
        {"topic": "t", "from": "a", "to": "b", "rate": 10, "loss": 0},
        {"topic": "t", "from": "a", "to": "c", "rate": 9, "loss": 0.1},
        {"topic": "t", "from": "a", "to": "d", "rate": 0, "loss": None, "why": "types differ"},
        {"topic": "t", "from": "a", "to": "e", "rate": 0, "loss": None, "why": ""},
        {"topic": "t", "from": "a", "to": "f", "rate": 9, "loss": 0.005},
    ]
    links = [{"key": "A\nT", "kind": "publish"}]
    links += [{"key": f"T\n{end.upper()}", "kind": "subscribe"} for end in "bcdef"]
    boxes = [["topic t", "T"], *([f"node {end}", end.upper()] for end in "abcdef")]
    found = script(
        "losses",
        "return [...script.levels(links, new Map(boxes), flows)].map(([key, each]) => [key, each.level]);",
        links=links,
        boxes=boxes,
        flows=flows,
    )
    expected = {"A\nT": "good", "T\nB": "good", "T\nC": "bad", "T\nD": "bad", "T\nE": "idle", "T\nF": "some"}
    assert dict(found) == expected
