"""The API: what docs/web.md says that there is, and errors that are sentences."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="needs ipcpy[web]")

import ipcpy as ipc  # noqa: E402
from ipcpy.testing import MemoryNetwork  # noqa: E402
from pages import PATIENCE, asked, serving  # noqa: E402

DOC = Path(__file__).parents[2] / "docs" / "web.md"


@pytest.fixture(scope="module")
def network():
    with MemoryNetwork() as network:
        yield network


@pytest.fixture(scope="module")
def server(network, tmp_path_factory):
    with serving(network, folder=tmp_path_factory.mktemp("recordings")) as server:
        yield server


@pytest.fixture(scope="module")
def imu(network):
    """A topic that flows."""
    node = network.node("robot")
    pub, sub, over = (
        ipc.Publisher("imu", node=node),
        ipc.Subscriber("imu", node=network.node("brain")),
        threading.Event(),
    )
    pub.wait_for_subscribers(timeout=PATIENCE)

    def run():
        n = 0
        while not over.wait(0.005):
            pub.publish({"n": n})
            n += 1

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield pub
    over.set()
    thread.join()
    sub.close()


def test_graph_rows_and_events_are_those_of_the_page(server, imu, network, wait_until):
    assert asked(server, "/api/hello")[1]["domains"] == [network.domain]
    assert wait_until(lambda: asked(server, "/api/graph")[1]["topics"], timeout=PATIENCE)
    (topic,) = asked(server, "/api/graph")[1]["topics"]
    assert (topic["topic"], topic["codec"]) == ("imu", "msgpack")
    told = wait_until(
        lambda: (rows := asked(server, "/api/rows")[1])["rows"] and rows["rows"][0]["rate"] and rows, timeout=PATIENCE
    )
    assert told["whole"] is True and told["edges"][0]["way"]
    events = asked(server, "/api/events")[1]["events"]
    assert asked(server, f"/api/events?after={events[-1]['id']}")[1] == {"events": []}


def test_hidden_topics_are_shown_to_who_asks(server, network, wait_until):
    service = ipc.Service("add", lambda data: data, node=network.node("adder"))
    names = lambda: {each["topic"] for each in asked(server, "/api/graph?hidden=1")[1]["topics"]}  # noqa: E731
    assert wait_until(lambda: any(name.startswith("@ipcpy/") for name in names()), timeout=PATIENCE)
    service.close()


def test_the_newest_message_is_told(server, imu):
    status, told, _ = asked(server, "/api/message?topic=imu&wait=10")
    assert (status, told["topic"], told["publisher"], told["fields"]) == (200, "imu", "robot", ["n"])


def test_an_image_is_told_as_a_file(server, network):
    np = pytest.importorskip("numpy", reason="needs ipcpy[numpy]")
    pub = ipc.Publisher("cam", keep=1, node=network.node("camera"))
    pub.publish(np.zeros((40, 60), "u1"))
    status, file, headers = asked(server, "/api/image?topic=cam&width=100&wait=10")
    assert (status, headers["Content-Type"]) == (200, "image/png") and file.startswith(b"\x89PNG")
    pub.close()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/message", 400),
        ("/api/message?topic=nothing&wait=0.05", 404),
        ("/api/message?topic=a//b", 400),
        ("/api/message?topic=imu&domain=other", 400),
        ("/api/message?topic=**", 400),
        ("/api/message?topic=imu&wait=1e9", 400),
        ("/api/message?topic=imu&wait=x", 400),
        ("/api/image?topic=imu&width=-1", 400),
        ("/api/image?topic=imu&wait=0.05", 404),
        ("/api/events?after=nan", 400),
        ("/api/none", 404),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(server, imu, path, status):
    found, told, _ = asked(server, path)
    assert (found, list(told)) == (status, ["error"]) and len(told["error"]) > 8


def test_a_message_is_published(server, network, wait_until):
    sub = ipc.Subscriber("cmd", node=network.node("wheels"))
    assert wait_until(
        lambda: any(each["topic"] == "cmd" for each in asked(server, "/api/graph")[1]["topics"]), timeout=PATIENCE
    )
    status, told, _ = asked(server, "/api/publish", body={"topic": "cmd", "data": {"go": True}, "wait": 5})
    assert (status, told["subscribers"], told["codec"]) == (200, 1, "msgpack")
    assert sub.recv(PATIENCE).data == {"go": True}
    sub.close()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"topic": "a b", "data": 1}', b"[" * 100_000, b"\xff\xfe", b'{"topic":"x"}']
)
def test_what_cannot_be_published_is_said_in_a_sentence(server, body):
    status, told, _ = asked(server, "/api/publish", body=body)
    assert status == 400 and len(told["error"].split()) > 3


def test_a_request_that_is_too_large_is_refused(server):
    status, told, _ = asked(server, "/api/publish", body={"topic": "x", "data": "x" * (2 << 20)})
    assert status == 413 and told["error"]


def test_a_recording_is_started_and_stopped(server, imu, wait_until):
    pytest.importorskip("mcap", reason="needs ipcpy[bag]")
    status, told, _ = asked(server, "/api/record/start", body={"file": "run", "topics": ["imu"]})
    assert (status, told["state"], told["file"]) == (200, "on", "run.mcap")
    assert wait_until(lambda: asked(server, "/api/record")[1]["messages"] > 3, timeout=PATIENCE)
    assert asked(server, "/api/record/start", body={})[0] == 400
    status, told, _ = asked(server, "/api/record/stop", body={})
    assert (status, told["state"]) == (200, "off") and told["messages"] > 3
    assert asked(server, "/api/record/stop", body={})[0] == 400
    texts = [event["text"] for event in asked(server, "/api/events")[1]["events"] if event["what"] == "record"]
    assert texts[0] == "recording into run.mcap began" and texts[1].startswith("recording ended: run.mcap has ")


def test_a_server_that_only_shows_does_nothing(network):
    with serving(network, read_only=True) as server:
        assert asked(server, "/api/hello")[1]["can"] == {"publish": False, "record": False, "images": True}
        for path in ("publish", "record/start", "record/stop"):
            status, told, _ = asked(server, f"/api/{path}", body={"topic": "x", "data": 1})
            assert status == 403 and "--read-only" in told["error"]
        assert asked(server, "/api/record")[1]["state"] == "off"


def test_metrics_are_told_in_the_form_that_prometheus_reads(server, imu):
    parse = pytest.importorskip("prometheus_client.parser", reason="needs ipcpy[web]").text_string_to_metric_families
    status, text, headers = asked(server, "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain")
    families = {family.name: family for family in parse(text.decode())}
    (sent,) = [each for each in families["ipcpy_sent_messages"].samples if each.labels["topic"] == "imu"]
    assert sent.value > 0 and sent.labels["publisher"].startswith("robot@")
    status, _, headers = asked(server, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text")


def test_every_address_is_documented(server):
    text = DOC.read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:GET|POST) (/[a-z/]*)", text))
    there = {
        *("/", "/ws", "/metrics", "/api/hello", "/api/graph", "/api/rows", "/api/events", "/api/message"),
        *("/api/image", "/api/record", "/api/publish", "/api/record/start", "/api/record/stop"),
    }
    assert named == there
    for path in there - {"/ws", "/"}:
        status = asked(server, path, body={} if path.endswith(("publish", "start", "stop")) else None)[0]
        assert status != 404 or "message" in path or "image" in path, path


def test_the_examples_of_the_document_are_json():
    for block in re.findall(r"```json\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.strip().split("\n\n"):
            json.loads(line)
