"""What Prometheus reads: counts of each flow, of nodes and topics. Knows prometheus_client and rows; asks nobody.

Counts are those of flows: they begin when a publisher and a subscriber meet, and end with them, as counters of
processes do. ``sum by (topic) (rate(ipcpy_received_messages_total[1m]))`` is a topic's rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder

import ipcpy as ipc

__all__ = ["Metrics"]

FLOW = ("domain", "topic", "publisher", "subscriber")
_PERCENTILES = {"0": "latency_min", "0.5": "latency_p50", "0.99": "latency_p99"}
_COUNTERS = {
    "ipcpy_sent_messages": ("sent", "Messages given to the system for a subscriber."),
    "ipcpy_sent_bytes": ("sent_bytes", "Bytes of their bodies."),
    "ipcpy_retransmitted": ("retransmitted", "Messages or fragments sent again."),
    "ipcpy_received_messages": ("received", "Messages that reached a subscriber."),
    "ipcpy_received_bytes": ("received_bytes", "Bytes of their bodies."),
}


class Metrics:
    """Makes the text of what is known when it is asked for.

    Args:
        flows: returns the newest flows, by domain.
        nodes: returns the nodes, by domain.
        own: returns numbers of the server itself, by name.
    """

    def __init__(
        self,
        flows: Callable[[], Mapping[str, Iterable[ipc.Flow]]],
        nodes: Callable[[], Mapping[str, Iterable[ipc.NodeInfo]]],
        own: Callable[[], Mapping[str, float]],
    ) -> None:
        self._flows, self._nodes, self._own = flows, nodes, own
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics, and their content type, in the form that is accepted."""
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind

    def describe(self) -> Iterable[Any]:
        """Return nothing: what there is changes."""
        return []

    def collect(self) -> Iterable[Any]:
        """Yield the families of metrics, as prometheus_client asks for them."""
        yield from self._of_nodes()
        flows = {domain: [each for each in flows if each.subscriber] for domain, flows in self._flows().items()}
        labelled = [(_labels(domain, flow), flow) for domain, each in flows.items() for flow in each]
        for name, (attribute, text) in _COUNTERS.items():
            counter = CounterMetricFamily(name, text, labels=FLOW)
            for labels, total in _summed(labelled, attribute).items():
                counter.add_metric(labels, total)
            yield counter
        yield self._lost(labelled)
        yield self._queued(labelled)
        yield self._latency(labelled)
        for name, value in self._own().items():
            yield GaugeMetricFamily(f"ipcpy_web_{name}", "Of this server.", value=value)

    def _of_nodes(self) -> Iterable[Any]:
        nodes = GaugeMetricFamily("ipcpy_nodes", "Nodes that are seen.", labels=("domain", "state"))
        for domain, infos in self._nodes().items():
            states = [info.state for info in infos]
            for state in ("alive", "unresponsive"):
                nodes.add_metric((domain, state), states.count(state))
        yield nodes

    @staticmethod
    def _lost(labelled: list[tuple[tuple[str, ...], ipc.Flow]]) -> Any:
        counter = CounterMetricFamily("ipcpy_lost_messages", "Messages that did not arrive.", labels=(*FLOW, "cause"))
        totals: dict[tuple[str, ...], int] = {}
        for labels, flow in labelled:
            for cause, count in flow.lost.items():
                totals[(*labels, cause)] = totals.get((*labels, cause), 0) + count
        for labels, total in totals.items():
            counter.add_metric(labels, total)
        return counter

    @staticmethod
    def _queued(labelled: list[tuple[tuple[str, ...], ipc.Flow]]) -> Any:
        gauge = GaugeMetricFamily("ipcpy_queued_messages", "Messages that wait to be sent or taken.", labels=FLOW)
        for labels, total in _summed(labelled, "queued").items():
            gauge.add_metric(labels, total)
        return gauge

    @staticmethod
    def _latency(labelled: list[tuple[tuple[str, ...], ipc.Flow]]) -> Any:
        gauge = GaugeMetricFamily(
            "ipcpy_latency_seconds", "Latency of the last second's messages.", labels=(*FLOW, "quantile")
        )
        worst: dict[tuple[str, ...], float] = {}
        for labels, flow in labelled:
            for quantile, attribute in _PERCENTILES.items():
                value = getattr(flow, attribute)
                if value is not None:
                    worst[(*labels, quantile)] = max(value, worst.get((*labels, quantile), value))
        for labels, value in worst.items():
            gauge.add_metric(labels, value)
        return gauge


def _labels(domain: str, flow: ipc.Flow) -> tuple[str, ...]:
    assert flow.subscriber is not None
    return domain, flow.topic, _named(flow.publisher.node), _named(flow.subscriber.node)


def _named(node: ipc.NodeInfo) -> str:
    return f"{node.name}@{node.host}:{node.pid}"


def _summed(labelled: list[tuple[tuple[str, ...], ipc.Flow]], attribute: str) -> dict[tuple[str, ...], float]:
    """Return the sum of what flows from one node to another on a topic: by one flow nearly always."""
    totals: dict[tuple[str, ...], float] = {}
    for labels, flow in labelled:
        value = getattr(flow, attribute)
        if value is not None:
            totals[labels] = totals.get(labels, 0) + value
    return totals
