"""Pages over a real WebSocket: what happens is seen at once, what is plotted is true, and who is slow costs little."""

from __future__ import annotations

import asyncio
import math
import threading
import time

import pytest

pytest.importorskip("aiohttp", reason="needs ipcpy[web]")

import aiohttp  # noqa: E402

import ipcpy as ipc  # noqa: E402
from ipcpy.testing import MemoryNetwork  # noqa: E402
from ipcpy.web import websocket as module  # noqa: E402
from pages import PATIENCE, page_of, serving  # noqa: E402


@pytest.fixture
def network():
    with MemoryNetwork() as network:
        yield network


@pytest.fixture
def server(network):
    with serving(network) as server:
        yield server


@pytest.fixture
def publishing():
    """``publishing(publisher, data_of)`` publishes in a thread until the test ends."""
    over = threading.Event()
    threads = []

    def publish(pub, data_of, every=0.005):
        def run():
            n = 0
            while not over.wait(every):
                pub.publish(data_of(n))
                n += 1

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()

    yield publish
    over.set()
    for thread in threads:
        thread.join()


def test_a_topic_is_seen_when_it_is_born_and_gone_when_it_dies(network, server):
    async def watch():
        async with page_of(server) as page:
            hello = await page.next()
            assert (hello["kind"], hello["domains"]) == ("hello", [network.domain])
            assert (await page.until("graph"))["topics"] == []
            await page.until("event", lambda told: told["what"] == "server")  # what came before is no news
            robot = network.node("robot")
            pub = ipc.Publisher("imu", node=robot)
            born = time.monotonic()
            await page.until("graph", lambda told: [each["topic"] for each in told["topics"]] == ["imu"])
            seen = time.monotonic() - born
            event = await page.ever("event", lambda told: told["what"] == "publisher")
            assert event["came"] is True and "robot" in event["text"] and event["text"].endswith("publishes imu")
            pub.close()
            await page.until("graph", lambda told: told["topics"] == [])
            event = await page.ever("event", lambda told: told["came"] is False)
            assert event["text"].endswith("no longer publishes imu: closed")
            robot.close()
            return seen

    assert asyncio.run(watch()) < PATIENCE  # 0.1 to 0.2 s where nothing else runs


def test_a_sine_is_drawn_as_it_was_published(network, server, publishing):
    pub = ipc.Publisher("wave", node=network.node("robot"))
    publishing(pub, lambda n: {"y": math.sin(n / 7), "n": n})

    async def watch():
        async with page_of(server) as page:
            id = f"{network.domain} wave"
            shape = {"topic": id, "seconds": 30, "columns": 30_000 // 10}
            await page.want(
                plots=[{"id": "y", "field": "y", **shape, "columns": 3000}, {"id": "n", "field": "n", **shape}]
            )
            lines = {"y": {}, "n": {}}
            while min(map(len, lines.values())) < 100:
                points = await page.until("points")
                line = lines[points["id"]]
                if points["reset"]:
                    line.clear()
                line = {t: each for t, each in line.items() if t < points["since"]}
                line |= {t: each for t, *each in zip(points["t"], points["low"], points["high"], strict=True)}
                lines[points["id"]] = line
            return lines

    lines = asyncio.run(watch())
    both = sorted(lines["y"].keys() & lines["n"].keys())
    assert len(both) > 50 and both == sorted(both)
    for t in both:
        (low, high), (first, last) = lines["y"][t], lines["n"][t]
        values = [math.sin(n / 7) for n in range(int(first), int(last) + 1)]
        assert (low, high) == (min(values), max(values))


def test_the_newest_message_and_its_image_are_shown(network, server, publishing):
    np = pytest.importorskip("numpy", reason="needs ipcpy[numpy]")
    image = np.zeros((40, 60, 3), "u1")
    image[:, 30:] = 255, 0, 0
    pub = ipc.Publisher("cam", node=network.node("robot"))
    publishing(pub, lambda n: {"n": n, "image": image}, every=0.02)

    async def watch():
        async with page_of(server) as page:
            id = f"{network.domain} cam"
            await page.want(trees=[id], images=[{"topic": id, "width": 320}])
            shown = await page.until("image")
            assert (shown["width"], shown["height"], shown["type"]) == (60, 40, "image/png")
            later = await page.until("image", lambda told: told["seq"] > shown["seq"])
            assert later["topic"] == id
            tree = await page.ever("tree")
            assert (tree["topic"], tree["publisher"], tree["fields"][0]) == ("cam", "robot", "n")
            assert tree["data"]["image"]["shape"] == [40, 60, 3]
            graph = await page.ever("graph", lambda told: any(each["image"] for each in told["topics"]))
            return graph["topics"][0]["fields"][0]

    assert asyncio.run(watch()) == "n"


def test_rates_are_told_without_anybody_listening_to_the_topic(network, server, publishing):
    pub, sub = ipc.Publisher("imu", node=network.node("robot")), ipc.Subscriber("imu", node=network.node("brain"))
    pub.wait_for_subscribers(timeout=PATIENCE)
    publishing(pub, lambda n: n)

    async def watch():
        async with page_of(server) as page:
            told = await page.until("rows", lambda told: any(row["rate"] for row in told["rows"]))
            (row,) = told["rows"]
            (edge,) = told["edges"]
            return row, edge

    row, edge = asyncio.run(watch())
    assert row["id"] == edge["topic"] == f"{network.domain} imu"
    assert 0 < row["rate"] < 400 and row["lost"] == 0 and edge["way"]
    assert sub.stats.received and len(pub.subscribers) == 1


def test_who_does_not_answer_is_sent_two_rounds(network, server, publishing):
    pub = ipc.Publisher("imu", node=network.node("robot"))
    publishing(pub, lambda n: {"x": n})

    async def watch():
        async with page_of(server) as page:
            page.answers = False
            await page.want(plots=[{"id": "p", "topic": f"{network.domain} imu", "field": "x"}])
            for _ in range(2):
                await page.until("ping")
            published = pub.stats.published
            while pub.stats.published < published + 100:
                with pytest.raises(TimeoutError):
                    await page.next(timeout=1.0)  # ten rounds
            await page.socket.send_json({"pong": 2})
            points = await page.until("points")
            assert points["samples"] > 50
            assert (await page.until("ping"))["n"] == 3

    asyncio.run(watch())


def test_so_many_pages_and_no_more(network, server, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)

    async def watch():
        async with page_of(server) as one, page_of(server) as two:
            await one.next()
            await two.next()
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with page_of(server):
                    pass
            assert refused.value.status == 503
        for _ in range(200):  # they are gone when the server has noticed
            try:
                async with page_of(server) as page:
                    return (await page.next())["kind"]
            except aiohttp.WSServerHandshakeError:
                await asyncio.sleep(0.02)

    assert asyncio.run(watch()) == "hello"


@pytest.mark.parametrize(
    "said", ["nonsense", "[" * 90_000, '{"want": {"plots": [1, 2]}}', '{"want": {"trees": ["x y"]}}']
)
def test_nonsense_is_answered_by_a_sentence(server, said):
    async def watch():
        async with page_of(server) as page:
            await page.socket.send_str(said)
            return (await page.until("notice"))["text"]

    assert len(asyncio.run(watch()).split()) > 3


@pytest.mark.parametrize("said", ["x" * (1 << 20), b"bytes"], ids=["endless", "bytes"])
def test_who_says_what_no_page_says_is_let_go_and_the_others_stay(server, said):
    async def watch():
        async with page_of(server) as other, page_of(server) as page:
            await (page.socket.send_bytes if isinstance(said, bytes) else page.socket.send_str)(said)
            with pytest.raises(ConnectionError):
                while True:
                    await page.next()
            assert (await other.next())["kind"] == "hello"

    asyncio.run(watch())


def test_a_page_is_told_when_the_server_ends(network):
    async def watch():
        with serving(network) as server:
            async with page_of(server) as page:
                await page.next()
                closing = asyncio.create_task(asyncio.to_thread(server.close))
                with pytest.raises(ConnectionError, match="1001|GOING_AWAY|the server ends"):
                    while True:
                        await page.next()
                await closing

    asyncio.run(watch())
