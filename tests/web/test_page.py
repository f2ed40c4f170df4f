"""The page in a real browser: it shows what is there, as it is, for as long as it is; see test_page_hostile.py too."""

from __future__ import annotations

import json
import math
import os
import threading
import time

import pytest

import ipcpy as ipc
import tools
from chromium import Page
from webpage import chrome, pages, row

__all__ = ["chrome", "pages", "tools"]  # fixtures, and what they ask for Chromium


@pytest.fixture
def node():
    with ipc.Node("robot") as made:
        yield made


class Sine:
    """Publishes sin(k / 10) for k = 0, 1, ... from a thread, 50 times a second."""

    def __init__(self, node: ipc.Node, topic: str = "wave") -> None:
        self.values: list[float] = []
        self.publisher = ipc.Publisher(topic, node=node)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._end.wait(0.02):
            self.values.append(math.sin(len(self.values) / 10))
            self.publisher.publish({"y": self.values[-1], "k": len(self.values)})

    def __enter__(self) -> Sine:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def plot(page: Page, topic: str, field: str) -> None:
    """Plot a field, as a user does: choose the topic, and + beside the number."""
    page.click(row(topic))
    page.click(f"#topic .add[aria-label='Plot {field}']")
    page.key("4")
    page.wait("ipcpy.plots.plots.at(-1).chart?.data[0].length > 0")


DRAWN = """(() => {
  const plot = ipcpy.plots.plots[0], chart = plot.chart, pen = chart.ctx;
  const box = chart.over.getBoundingClientRect(), probe = document.createElement("i");
  probe.style.color = `var(--series-${plot.series[0].colour})`;
  document.body.append(probe);
  const [r, g, b] = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
  probe.remove();
  const seen = chart.data[0].map((x, n) => {
    const y = chart.data[1][n];
    const left = Math.round(chart.valToPos(x, "x", true)), top = Math.round(chart.valToPos(y, "y", true));
    const near = pen.getImageData(left - 2, top - 2, 5, 5).data;
    let drawn = false;
    for (let at = 0; at < near.length; at += 4) {
      drawn ||= near[at + 3] > 0 && Math.hypot(near[at] - r, near[at + 1] - g, near[at + 2] - b) < 60;
    }
    return { x, y, drawn, inside: x >= chart.scales.x.min && x <= chart.scales.x.max };
  });
  return { seen, window: [chart.scales.x.min, chart.scales.x.max], width: box.width };
})()"""


def test_a_topic_is_shown_within_a_second_of_its_birth(pages, node):
    page = pages.open()
    took = []
    for number in range(5):
        begun = time.monotonic()
        publisher = ipc.Publisher(f"newborn/{number}", node=node)
        page.wait(f"document.querySelector({json.dumps(row(publisher.topic))})")
        took.append(time.monotonic() - begun)
        page.wait(f"document.querySelector(`.box.topic[data-name='{publisher.topic}']`)")
    assert min(took) < 1.0, took
    node.close()
    page.wait("document.querySelectorAll('tr[data-topic], .box').length === 0")
    assert page.problems == []


def test_a_sine_is_plotted_and_what_is_drawn_are_the_values_that_were_published(pages, node):
    with Sine(node) as sine:
        begun = time.time()
        page = pages.open()
        plot(page, "wave", "y")
        page.wait("ipcpy.plots.plots[0].chart.data[0].length > 100")
        drawn = page.evaluate(DRAWN)
    known = {value: at for at, value in enumerate(sine.values)}
    inside = [point for point in drawn["seen"] if point["inside"]]
    assert len(inside) > 90
    order = [known[point["y"]] for point in inside]  # each is one of them, to the last digit
    assert (
        sum(one > other for one, other in zip(order, order[1:], strict=False)) <= len(order) / 10
    )  # extremes of a column
    assert order[-1] - order[0] > 90
    assert all(begun - 1 < point["x"] < time.time() + 1 for point in inside)
    assert sum(point["drawn"] for point in inside) > 0.95 * len(inside)  # the line is where its values are
    assert max(point["y"] for point in inside) > 0.99
    assert drawn["window"][1] - drawn["window"][0] == pytest.approx(30)
    assert page.problems == []


def test_a_plot_stands_still_zooms_and_follows_again(pages, node):
    with Sine(node):
        page = pages.open()
        plot(page, "wave", "y")
        page.wait("ipcpy.plots.plots[0].chart.data[0].length > 60")
        page.key(" ")
        still = page.evaluate("ipcpy.plots.plots[0].still")
        assert still["to"] - still["from"] == pytest.approx(30)
        page.wait("ipcpy.plots.plots[0].chart.data[0].length > 30")
        right = page.evaluate(
            "(() => { const b = ipcpy.plots.plots[0].chart.over.getBoundingClientRect();"
            " return [b.left, b.right, b.top + b.height / 2]; })()"
        )
        left, end, middle = right
        page.mouse("mousePressed", end - (end - left) * 0.1, middle)
        page.mouse("mouseMoved", end - (end - left) * 0.05, middle, buttons=1)
        page.mouse("mouseMoved", end - 1, middle, buttons=1)
        page.mouse("mouseReleased", end - 1, middle)
        zoomed = page.wait("(({from, to}) => to - from < 5 && {from, to})(ipcpy.plots.plots[0].still)")
        assert still["from"] + 25 < zoomed["from"] < zoomed["to"] <= still["to"]
        assert page.evaluate("ipcpy.plots.plots[0].chart.scales.x.min") == pytest.approx(zoomed["from"])
        page.wait(  # the server told what lies in the window, in more detail
            "(([t]) => t.length > 0 && t.every((at) => at > ipcpy.plots.plots[0].still.from - 1))"
            "(ipcpy.plots.plots[0].chart.data)"
        )
        page.mouse("mousePressed", left + 50, middle)
        page.mouse("mouseReleased", left + 50, middle)
        page.mouse("mousePressed", left + 50, middle, count=2)
        page.mouse("mouseReleased", left + 50, middle, count=2)
        page.wait("ipcpy.plots.plots[0].still === null")
        page.wait(f"ipcpy.plots.plots[0].chart.data[0].at(-1) > {still['to']} + 0.2")
        assert page.problems == []


def test_an_image_is_shown_as_an_image_the_newest_one(pages, node):
    numpy = pytest.importorskip("numpy")
    image = numpy.zeros((120, 160, 3), "uint8")
    image[:, :80] = (200, 30, 40)
    image[:, 80:] = (20, 60, 220)
    with ipc.Publisher("camera", node=node) as publisher:
        page = pages.open()
        page.click(row("camera"))
        publisher.wait_for_subscribers(timeout=20)
        publisher.publish(image)
        page.wait("document.querySelector('#topic canvas')")
        publisher.publish(image[:, ::-1].copy())
        pixel = "document.querySelector('#topic canvas').getContext('2d').getImageData({}, 60, 1, 1).data.join()"
        page.wait("document.querySelector('#topic canvas').width === 160")
        page.wait(f"Number({pixel.format(20)}.split(',')[2]) > 200")
        found = [[int(part) for part in page.evaluate(pixel.format(x)).split(",")] for x in (20, 140)]
        for got, sent in zip(found, [(20, 60, 220), (200, 30, 40)], strict=True):
            assert all(abs(one - other) < 16 for one, other in zip(got[:3], sent, strict=True)), found
        page.wait("document.querySelector('#topic figcaption').textContent.includes('160 × 120, image 2')")
        page.click("#topic header button:not(.close):not([hidden])")  # keep it beside the plots
        page.key("4")
        page.wait("document.querySelector('#plots canvas').width > 1")
        assert page.problems == []


def test_the_page_survives_the_restart_of_its_server(pages, node):
    with Sine(node):
        page = pages.open()
        plot(page, "wave", "y")
        pages.stop()
        page.wait("document.querySelector('#state').dataset.state === 'connecting'")
        pages.start()
        page.wait("document.querySelector('#state').dataset.state === 'connected'")
        now = page.evaluate("ipcpy.store.now()")
        page.wait(f"ipcpy.plots.plots[0].chart.data[0].at(-1) > {now}")
        page.wait("document.querySelector('.tree .value[data-kind=number]')")


def test_a_reload_shows_the_same_as_before(pages, node):
    with Sine(node):
        page = pages.open()
        page.click("#filter")
        page.type("wa")
        page.key("Escape")
        plot(page, "wave", "k")
        page.evaluate("document.body.dataset.old = 'old'")
        before = page.evaluate("JSON.stringify(ipcpy.state)")
        page.wait("JSON.parse(decodeURIComponent(location.hash.slice(1))).plots?.[0].series[0].field === 'k'")
        page.reload()
        page.wait("document.body.dataset.old !== 'old' && Boolean(globalThis.ipcpy)")
        page.wait("ipcpy.plots.plots[0].chart?.data[0].length > 0")
        assert page.evaluate(
            "[document.body.dataset.view, ipcpy.state.topic, ipcpy.plots.plots[0].series[0].field]"
        ) == [
            "plots",
            json.loads(before)["topic"],
            "k",
        ]
        page.wait("document.querySelector('#topic h2').textContent === 'wave'")
        assert page.problems == []


def test_a_thousand_topics_are_a_readable_drawing_and_a_table_that_scrolls(pages, node):
    publishers = [ipc.Publisher(f"arm/joint{n // 10}/value{n % 10}", node=node) for n in range(1000)]
    publishers.append(ipc.Publisher("zebra", node=node))
    page = pages.open()
    page.wait("document.querySelector('.total').textContent.startsWith('1,001 topics')", timeout=50)
    page.wait("document.querySelectorAll('.box').length > 1")
    assert page.evaluate("document.querySelectorAll('.box').length") <= 30
    assert page.evaluate("document.querySelectorAll('tbody tr[data-topic]').length") < 80
    page.evaluate("document.querySelector('.scroll').scrollTop = 1e9")
    page.wait(f"document.querySelector({json.dumps(row('zebra'))})")
    page.key("/")
    page.type("joint77/value5")
    page.wait("document.querySelector('.total').textContent.startsWith('1 of 1,001 topics')")
    page.wait("document.querySelector(`.box.topic[data-name='arm/joint77/value5']`)")
    page.key("Escape")
    page.wait("document.querySelector('.box.group')")
    name = page.evaluate("document.querySelector('.box.group text').textContent")
    assert "×" in name
    page.evaluate("document.querySelector('.box.group').focus()")
    page.key("Enter")  # opens the group
    page.wait("document.querySelectorAll('.box').length > 1000")
    assert page.problems == []


def test_an_edge_is_coloured_by_what_is_lost_and_says_why(pages, node, spawn):
    slow = spawn(
        """
        import sys, time, ipcpy as ipc
        node = ipc.Node("slow")
        with ipc.Subscriber("fast", depth=2, node=node) as sub:
            print("ready", flush=True)
            sys.stdin.readline()
        """
    )
    slow.wait_line("ready", 30)
    with Sine(node, "fast"):
        page = pages.open()
        page.wait("document.querySelector('.link[data-loss=bad] title')?.textContent.includes('inbox')", timeout=40)
        page.wait(f"document.querySelector({json.dumps(row('fast'))}).dataset.loss === 'bad'")
        page.click(row("fast"))
        page.wait("document.querySelector('.flows li[data-loss=bad] .figures').textContent.includes('inbox')")
        slow.kill()
        page.wait("document.querySelectorAll('.link[data-loss=bad]').length === 0")
        page.key("5")
        page.wait("[...document.querySelectorAll('.events li')].some((each) => /slow.*died/.test(each.textContent))")
        assert page.problems == []


def test_a_message_is_published_from_a_form_and_from_json(pages, node):
    got = ipc.Subscriber("cmd", node=node)
    page = pages.open()
    page.click("#publish")
    page.evaluate("document.querySelector('dialog input[name=topic]').value = 'cmd'")
    page.evaluate("document.querySelector('dialog textarea').value = '{\"speed\": 1.5, \"on\": true}'")
    page.click("dialog button[type=submit]")
    page.wait("/Handed to [12] subscriber/.test(document.querySelector('.told').textContent)")
    assert got.recv(timeout=20).data == {"speed": 1.5, "on": True}
    page.evaluate("document.querySelector('dialog textarea').value = '{\"speed\": '")
    page.click("dialog button[type=submit]")
    page.wait("document.querySelector('.told.failed').textContent.includes('no JSON')")
    page.key("Escape")
    with ipc.Publisher("cmd", node=node) as publisher:
        page.click(row("cmd"))
        publisher.wait_for_subscribers(2, timeout=20)
        publisher.publish({"speed": 2.0, "mode": "slow", "at": {"x": 1}})
        page.wait("document.querySelector('.tree')?.textContent.includes('slow')")
        page.key("p")
        page.evaluate("document.querySelector('dialog input[name=speed]').value = '3.25'")
        page.click("dialog button[type=submit]")
        page.wait("document.querySelector('.told').textContent.startsWith('Handed')")
    assert [got.recv(timeout=20).data for _ in range(2)][-1] == {"speed": 3.25, "mode": "slow", "at": {"x": 1}}
    assert page.problems == []


def test_a_recording_is_started_and_stopped(pages, node, tmp_path):
    pytest.importorskip("mcap")
    with Sine(node) as sine:
        page = pages.open()
        page.wait("!document.querySelector('#record button').disabled")
        page.key("r")
        page.evaluate("document.querySelector('dialog input[name=file]').value = 'taken.mcap'")
        page.click("dialog button[type=submit]")
        page.wait("/[1-9][0-9]* messages/.test(document.querySelector('#record .note').textContent)")
        page.key("r")
        page.wait("document.querySelector('#record button').textContent === '● Record'")
    with ipc.Bag(tmp_path / "taken.mcap") as bag:
        values = [message.data["y"] for message in bag.messages("wave")]
    assert len(values) > 1
    assert set(values) <= set(sine.values)
    assert page.problems == []


def test_two_robots_are_seen_at_once_and_each_alone(pages):
    ours = f"{os.environ['IPCPY_DOMAIN']}-"
    domains = [f"{ours}a", f"{ours}b"]
    pages.stop()
    pages.start(*domains)
    nodes = [ipc.Node("robot", domain=domain) for domain in domains]
    try:
        publishers = [ipc.Publisher("imu", node=node) for node in nodes]
        page = pages.open()
        page.wait("document.querySelectorAll('tr[data-topic=imu]').length === 2")
        assert page.evaluate("[...document.querySelectorAll('td.domain')].map((each) => each.textContent)") == domains
        page.wait("document.querySelectorAll('.box.topic').length === 2")
        page.click("#domains button:last-child")
        page.wait("document.querySelectorAll('tr[data-topic=imu]').length === 1")
        assert page.evaluate("document.querySelector('td.domain').textContent") == domains[1]
        page.wait("document.querySelectorAll('.box.topic').length === 1")
        page.click(row("imu"))
        publishers[1].wait_for_subscribers(timeout=20)
        publishers[1].publish({"from": "b"})
        page.wait("document.querySelector('.tree')?.textContent.includes('from')")
        assert publishers[0].publish({"from": "a"}) == 0
        assert page.problems == []
    finally:
        for node in nodes:
            node.close()


def test_a_robot_that_comes_after_the_page_is_on_it(pages):
    ours = f"{os.environ['IPCPY_DOMAIN']}-"
    pages.stop()
    pages.start(f"{ours}a", everywhere=True)
    with ipc.Node("robot", domain=f"{ours}a") as node, ipc.Publisher("imu", node=node):
        page = pages.open()
        page.wait("document.querySelectorAll('tr[data-topic=imu]').length === 1")
        with ipc.Node("robot", domain=f"{ours}b") as other, ipc.Publisher("imu", node=other):
            page.wait("document.querySelectorAll('tr[data-topic=imu]').length === 2", timeout=40)
            page.wait(f"document.querySelector('#domains').textContent.includes('{ours}b')")
        assert page.problems == []


def test_keys_and_themes(pages, node):
    publishers = [ipc.Publisher(name, node=node) for name in ("b", "a")]
    page = pages.open()
    page.wait(f"document.querySelector({json.dumps(row('b'))})")
    for key, view in (("2", "graph"), ("3", "topics"), ("5", "events"), ("1", "overview")):
        page.key(key)
        assert page.evaluate("document.body.dataset.view") == view
    page.key("j")
    page.wait("document.querySelector('#topic h2').textContent === 'a'")
    page.key("j")
    page.wait(f"document.querySelector('#topic h2').textContent === {json.dumps(publishers[0].topic)}")
    page.key("Escape")
    assert page.evaluate("document.querySelector('#topic').hidden")
    page.key("?")
    assert page.evaluate("document.querySelector('dialog').open")
    page.key("Escape")
    page.wait("!document.querySelector('dialog').open")
    back = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(back)
    page.theme("dark")
    dark = page.wait(f"{back} !== {json.dumps(light)} && {back}")
    page.key("t")  # light, whatever the system says
    assert page.evaluate(back) == light
    page.key("t")
    assert page.evaluate(back) == dark
    assert page.problems == []


@pytest.mark.parametrize("width", [800, 1280])
def test_nothing_is_cut_off_in_a_small_window(pages, node, width):
    numpy = pytest.importorskip("numpy")
    depth = numpy.linspace(0.123456789, 9.87654321, 100 * 100).reshape(100, 100)
    with Sine(node) as sine, ipc.Publisher("depth", node=node, keep=1) as image:
        image.publish(depth)
        page = pages.open(width=width, height=600)
        page.click(row("wave"))
        sine.publisher.wait_for_subscribers(timeout=20)
        page.wait("document.querySelector('#topic .add')")
        fits = "((e) => e.scrollWidth <= e.clientWidth)(document.querySelector('{}'))"
        assert page.evaluate(fits.format("#topics .scroll"))
        assert page.evaluate(fits.format("body"))
        page.evaluate(
            "['y', 'k', 'not_there', 'nor_this'].forEach((name) => ipcpy.plots.add(ipcpy.state.topic, name)),"
            " ipcpy.images.add(ipcpy.state.topic.replace('wave', 'depth'))"
        )
        page.key("Escape")
        page.key("4")
        page.wait("document.querySelector('#plots figcaption').textContent.includes('white is 9.8765')")
        lines = "document.querySelector('.plot .series')"
        assert page.evaluate(f"{lines}.scrollHeight <= {lines}.clientHeight")
        assert page.evaluate("document.querySelector('#plots .picture').offsetWidth") == 422
