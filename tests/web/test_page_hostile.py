"""The page where names, data, networks and computers are not as one would like them; the rest is in test_page.py."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

import ipcpy as ipc
import tools
from webpage import chrome, pages, row

__all__ = ["chrome", "pages", "tools"]  # fixtures, and what they ask for Chromium

EVIL = "<img/src=x/onerror=alert(1)>"
TOPICS = (EVIL, "<b>bold</b>", "'\"><svg/onload=hacked=1>", "&lt;i&gt;", "<script>hacked=1</script>")
MARKS = (
    "<b>bold</b>",
    "<script>hacked = 1</script>",
    "'\"><svg onload=hacked=1>",
    "&lt;i&gt;",
    "javascript:hacked=1",
    "‮x",
)


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_names_and_data_never_become_html(pages):
    with ipc.Node(EVIL) as node:
        publishers = [ipc.Publisher(name, node=node) for name in TOPICS]
        evil = publishers[0]
        page = pages.open()
        page.wait(f"document.querySelectorAll('tr[data-topic]').length === {len(publishers)}")
        page.wait(f"document.querySelectorAll('.box.topic').length === {len(publishers)}")
        page.click(row(evil.topic))
        evil.wait_for_subscribers(timeout=20)
        data = {mark: mark for mark in MARKS} | {"list": list(MARKS), EVIL: 1.5}
        evil.publish(data)
        page.wait(f"document.querySelector('.tree').textContent.includes({json.dumps(MARKS[1])})")
        assert page.evaluate("document.querySelector('#topic h2').textContent") == evil.topic
        page.click(f"#topic .add[aria-label='Plot {EVIL}']")
        page.wait("document.querySelector('#notice').textContent.includes('onerror')")
        page.key("4")
        page.wait("document.querySelector('.series .name').textContent.includes('onerror')")
        page.key("p")
        page.wait("document.querySelector('dialog').open")
        page.key("Escape")
        page.key("5")
        page.wait("document.querySelector('#events').textContent.length > 0")
        assert page.evaluate("document.querySelectorAll('script').length") == 1
        assert (
            page.evaluate(
                "document.querySelectorAll('b, i, [onload], [onerror], img:not([src=\"static/icon.svg\"])').length"
            )
            == 0
        )
        assert page.evaluate("typeof hacked") == "undefined"
        assert page.problems == []
        assert not [address for address in page.requests if address.endswith("/x")]


def test_what_the_policy_forbids_is_not_done_even_where_the_page_is_made_to_try(pages):
    page = pages.open()
    page.evaluate(
        "(() => { const s = document.createElement('script'); s.textContent = 'hacked = 1'; document.body.append(s);"
        " const i = new Image(); i.src = 'http://192.0.2.1/x.png'; document.body.append(i); })()"
    )
    page.wait("document.querySelectorAll('script').length === 2")
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.evaluate("fetch('http://192.0.2.1/').catch(() => 'refused')") == "refused"
    assert any("Content Security Policy" in problem for problem in page.problems)
    page.requests[:] = [address for address in page.requests if not address.startswith("http://192.0.2.1/")]


def test_without_the_token_the_page_is_not_served_and_with_it_all_works(pages):
    pages.stop()
    pages.start(token="secret")
    assert "token=secret" in pages.server.url
    page = pages.open(pages.server.url.partition("?")[0])
    page.wait("document.body?.innerText.includes('token')")
    assert page.evaluate("document.querySelector('#graph')") is None
    with ipc.Node("robot") as node, ipc.Publisher("imu", node=node):
        page = pages.open()
        page.wait(f"document.querySelector({json.dumps(row('imu'))})")
        pages.stop()
        pages.start(token="other")  # a page that was open before is told so in a sentence
        page.wait("document.querySelector('#state').dataset.state === 'refused'")
        page.wait("document.querySelector('#notice').textContent.includes('token')")


def test_a_server_that_has_nothing_to_say_is_still_there_and_one_that_is_stopped_is_not(pages, spawn):
    page = pages.open()
    page.evaluate("ipcpy.link.heard -= 1e6, ipcpy.link.first = ipcpy.link.socket, undefined")
    page.wait("ipcpy.link.heard > 0")
    assert page.evaluate("ipcpy.link.first === ipcpy.link.socket")
    other = spawn([sys.executable, "-m", "ipcpy", "web", "--port", "0", "--json"])
    url = json.loads(other.wait_line(r".*url.*", 30).group())["url"]
    page = pages.open(url, elsewhere=True)
    page.wait("document.querySelector('#state')?.dataset.state === 'connected'")
    other.signal(signal.SIGSTOP)
    page.evaluate("ipcpy.link.heard -= 1e6, undefined")
    page.wait("document.querySelector('#state').dataset.state === 'connecting'")
    other.signal(signal.SIGCONT)
    page.wait("document.querySelector('#state').dataset.state === 'connected'")


@pytest.mark.skipif(sys.platform != "linux", reason="stops processes and reads /proc")
def test_a_browser_that_stands_still_costs_bounded_memory_and_then_sees_the_newest(pages, chrome):
    numpy = pytest.importorskip("numpy")
    noise = numpy.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=numpy.uint8)
    with (
        ipc.Node("robot") as node,
        ipc.Publisher("camera", node=node) as camera,
        ipc.Publisher("wave", node=node) as wave,
    ):
        page = pages.open()
        page.click(row("camera"))
        camera.wait_for_subscribers(timeout=20)
        camera.publish(noise)
        page.wait("document.querySelector('#topic canvas').width > 1")
        page.evaluate("ipcpy.plots.add(ipcpy.state.topic.replace('camera', 'wave'), 'y')")
        page.key("4")
        wave.wait_for_subscribers(timeout=20)
        before = resident()
        stopped = chrome.processes()
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
        try:
            for number in range(400):  # 370 MB of images, in some seconds
                camera.publish(noise)
                wave.publish({"y": number})
                threading.Event().wait(0.01)
            grown = resident() - before
        finally:
            for process in stopped:
                os.kill(process, signal.SIGCONT)
        assert grown < 150 << 20
        begun = time.monotonic()
        noise[:] = (0, 0, 255)
        camera.publish(noise)
        corner = "document.querySelector('#topic canvas').getContext('2d').getImageData(9, 9, 1, 1).data"
        page.wait(f"{corner}[0] < 9 && {corner}[2] > 240")
        assert time.monotonic() - begun < 20
        page.wait("ipcpy.plots.plots[0].series[0].values.newest === 399")


def test_a_page_that_is_busy_is_sent_less_and_works_on(pages):
    with ipc.Node("robot") as node:
        publishers = [ipc.Publisher(f"value/{n}", node=node) for n in range(50)]
        page = pages.open()
        page.wait("document.querySelectorAll('tr[data-topic]').length > 10")
        page.evaluate(
            "[...ipcpy.store.topics.keys()].slice(0, 20).forEach((id) => ipcpy.plots.add(id, 'y', { apart: true }))"
        )
        page.key("4")
        publishers[0].wait_for_subscribers(timeout=20)
        end = threading.Event()

        def publish() -> None:
            count = 0
            while not end.wait(0.01):
                count += 1
                for publisher in publishers[:20]:
                    publisher.publish({"y": count})

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            page.wait("ipcpy.plots.plots.some((plot) => plot.chart?.data[0].length > 5)")
            page.evaluate("(() => { const end = performance.now() + 1500; while (performance.now() < end); })()")
            newest = page.evaluate("ipcpy.store.now()")
            page.wait(f"ipcpy.plots.plots[0].chart.data[0].at(-1) > {newest}")
            assert page.evaluate("Math.max(...ipcpy.plots.plots.map((plot) => plot.chart.data[0].length))") < 10000
        finally:
            end.set()
            thread.join()
        assert page.problems == []
