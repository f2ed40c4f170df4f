"""Readings of the flows of all domains, twice a second. Knows nodes and the overview; nothing of screens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import ipcpy as ipc

from ..overview import Overview
from ..overview.fleet import Fleet

__all__ = ["EVERY", "Readings"]

EVERY = 0.5  # seconds between two readings
ANSWER = 0.4  # seconds that nodes have to answer: one that is stopped must not stop the picture


class Readings:
    """Reads on and on, and tells when there is something new.

    Args:
        fleet: nodes in the domains to look at.
        told: called after each reading, in the event loop.

    Attributes:
        overview: what was read.
        trouble: what went wrong in the last reading; empty where nothing did.
    """

    def __init__(self, fleet: Fleet, told: Callable[[], object]) -> None:
        self.fleet, self.overview = fleet, Overview()
        self.trouble = ""
        self._told = told

    async def run(self) -> None:
        """Read until it is cancelled."""
        while True:
            started = time.monotonic()
            await self.read()
            self._told()
            await asyncio.sleep(max(0.05, EVERY - (time.monotonic() - started)))

    async def read(self) -> None:
        """Read each domain once; of what goes wrong ``trouble`` tells."""
        self.trouble = ""
        if self.fleet.everywhere:
            await asyncio.to_thread(self.fleet.look)
        for problem in await asyncio.gather(*map(self._read, self.fleet.nodes)):
            self.trouble = problem or self.trouble
        for domain in set(self.overview.domains) - set(self.fleet.domains):
            self.overview.forget(domain)

    async def _read(self, node: ipc.Node) -> str:
        try:
            flows = await node.flows_async(timeout=ANSWER)
            self.overview.take(node.domain, node.nodes(), node.topics(), flows, time.monotonic(), own={node.id})
        except ipc.ClosedError:
            return ""
        except ipc.IpcError as error:
            return f"{node.domain}: {error}"
        return ""
