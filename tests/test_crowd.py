"""Hundreds of nodes on a fake clock, by benchmarks/discovery.py: traffic and time grow as docs/discovery.md says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "benchmarks" / "discovery.py"


@pytest.fixture(scope="module")
def bench():
    if not PATH.exists():
        pytest.skip("an sdist without benchmarks")
    spec = importlib.util.spec_from_file_location("benchmarks_discovery", PATH)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [30, 150])
def test_a_crowd_that_starts_together(bench, nodes):
    found = bench.simulate(nodes)
    peers = nodes - 1
    assert found.seconds < 0.002 * nodes
    assert 4 * peers < found.start_datagrams < 8 * peers
    assert found.start_bytes < 1_000 * peers
    period = min(max(peers / 100, 0.3), 0.8)
    assert 0.9 * peers / period < found.idle_datagrams < 1.2 * peers / period + 1
