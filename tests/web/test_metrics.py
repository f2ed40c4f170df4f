"""Metrics: each flow's counts under names that Prometheus takes, of any topic and node."""

from __future__ import annotations

from dataclasses import replace

import pytest

parser = pytest.importorskip("prometheus_client.parser", reason="needs ipcpy[web]")

import flowing  # noqa: E402
import ipcpy as ipc  # noqa: E402
from ipcpy.web.metrics import Metrics  # noqa: E402

ARM, BRAIN = flowing.node("arm"), flowing.node("brain")
FLOW = ipc.Flow(
    "imu",
    flowing.endpoint("publisher", "imu", ARM),
    flowing.endpoint("subscriber", "imu", BRAIN),
    sent=100,
    sent_bytes=5000,
    received=90,
    lost={"network": 8, "inbox": 2},
    queued=3,
    latency_min=0.001,
    latency_p50=0.002,
    latency_p99=0.5,
)
LABELS = {"domain": "lab", "topic": "imu", "publisher": "arm@robot:7", "subscriber": "brain@robot:7"}


def samples(*flows, nodes=(ARM, BRAIN)):
    metrics = Metrics(lambda: {"lab": flows}, lambda: {"lab": nodes}, lambda: {"pages": 2.0})
    text, kind = metrics.text("")
    assert kind.startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parser.text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def of(found, name, **labels):
    return found[(name, *sorted({**LABELS, **labels}.items()))]


def test_the_counts_of_a_flow_are_told():
    found = samples(FLOW)
    assert of(found, "ipcpy_sent_messages_total") == 100
    assert of(found, "ipcpy_sent_bytes_total") == 5000
    assert of(found, "ipcpy_received_messages_total") == 90
    assert of(found, "ipcpy_lost_messages_total", cause="network") == 8
    assert of(found, "ipcpy_queued_messages") == 3
    assert of(found, "ipcpy_latency_seconds", quantile="0.99") == 0.5
    assert found[("ipcpy_web_pages",)] == 2.0


def test_what_is_not_known_is_not_told():
    found = samples(replace(FLOW, received=None, latency_p50=None))
    assert not any(name == "ipcpy_received_messages_total" for name, *_ in found)
    assert of(found, "ipcpy_latency_seconds", quantile="0") == 0.001


def test_a_publisher_without_a_subscriber_is_no_flow():
    assert not any(name.startswith("ipcpy_sent") for name, *_ in samples(replace(FLOW, subscriber=None)))


def test_two_flows_from_one_node_to_another_are_one():
    found = samples(FLOW, replace(FLOW, latency_p99=0.7))
    assert of(found, "ipcpy_sent_messages_total") == 200
    assert of(found, "ipcpy_latency_seconds", quantile="0.99") == 0.7


def test_nodes_are_counted_by_their_state():
    found = samples(nodes=(ARM, flowing.node("stopped", state="unresponsive")))
    assert found[("ipcpy_nodes", ("domain", "lab"), ("state", "alive"))] == 1
    assert found[("ipcpy_nodes", ("domain", "lab"), ("state", "unresponsive"))] == 1


@pytest.mark.parametrize("topic", ['a"b', "a\\b", "é/ü", "a{b}", "x" * 255])
def test_names_of_topics_never_break_the_text(topic):
    found = samples(replace(FLOW, topic=topic))
    assert of(found, "ipcpy_sent_messages_total", topic=topic) == 100
