"""A router of Zenoh, as a session in router mode: on loopback of this process, or as a program for a host."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

ROUTER = """
import json, sys, zenoh
config = zenoh.Config()
for path, value in json.loads(sys.argv[1]).items():
    config.insert_json5(path, json.dumps(value))
session = zenoh.open(config)
print("routing", flush=True)
sys.stdin.readline()
"""


def free_endpoint(protocol: str = "tcp", host: str = "127.0.0.1") -> str:
    """Return an endpoint on loopback that nobody listens at."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"{protocol}/{host}:{sock.getsockname()[1]}"


def settings(endpoint: str, **more: Any) -> dict[str, Any]:
    """Return the settings of a router that listens at an endpoint."""
    return {
        "mode": "router",
        "listen/endpoints": [endpoint],
        "scouting/multicast/enabled": False,
        "scouting/gossip/enabled": False,
        **more,
    }


def open_session(found: Mapping[str, Any]) -> Any:
    """Open a session of Zenoh."""
    zenoh = pytest.importorskip("zenoh", reason="needs eclipse-zenoh: pip install 'ipcpy[zenoh]'")
    config = zenoh.Config()
    for path, value in found.items():
        config.insert_json5(path, json.dumps(value))
    return zenoh.open(config)


@contextmanager
def router(endpoint: str, **more: Any) -> Iterator[Any]:
    """Run a router in this process while the block runs."""
    session = open_session(settings(endpoint, **more))
    try:
        yield session
    finally:
        session.close()


def client(endpoint: str) -> Any:
    """Open a session that is no bridge: a stranger on our keys."""
    found = {"mode": "client", "connect/endpoints": [endpoint], "scouting/multicast/enabled": False}
    return open_session(found)
