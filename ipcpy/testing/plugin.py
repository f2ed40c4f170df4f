"""pytest fixtures: a network and a node of its own for each test, and recordings played into it.

Installed with ipcpy; nothing of ipcpy is imported before a test asks for one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..node.node import Node
    from .network import MemoryNetwork
    from .replay import Replay


@pytest.fixture
def ipcpy_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryNetwork]:
    """A MemoryNetwork in fair weather: ``ipcpy_network.loss = 0.1`` makes it worse.

    IPCPY_DOMAIN and IPCPY_INTERFACES are set, so that processes that the test starts are on it too. Names are what
    they are: IPCPY_NAMESPACE and IPCPY_REMAP are not. No key is used, whoever runs the tests.
    """
    from .network import MemoryNetwork

    with MemoryNetwork() as network:
        monkeypatch.setenv("IPCPY_DOMAIN", network.domain)
        monkeypatch.setenv("IPCPY_INTERFACES", "127.0.0.1")
        monkeypatch.setenv("IPCPY_KEY_FILE", "")
        for name in ("IPCPY_PEERS", "IPCPY_NAMESPACE", "IPCPY_REMAP"):
            monkeypatch.delenv(name, raising=False)
        yield network


@pytest.fixture
def ipcpy_node(ipcpy_network: MemoryNetwork) -> Iterator[Node]:
    """The node that publishers and subscribers without ``node=`` use in this test, on ``ipcpy_network``."""
    from ..node.shared import share

    node = ipcpy_network.node("test")
    before = share(node)
    yield node
    share(before)


@pytest.fixture
def ipcpy_replay(ipcpy_network: MemoryNetwork, ipcpy_node: Node) -> Replay:
    """What plays recordings into the nodes of this test, and returns what they published meanwhile.

    ``poses = ipcpy_replay("drive.mcap", topics="imu", collect="pose")``: message by message, as fast as the nodes go,
    and each time with the same result.
    """
    from .replay import Replay

    return Replay(ipcpy_network)
