"""Zenoh: peer to peer over TCP at addresses that are given, without scouting; the publisher listens."""

from __future__ import annotations

import json
from typing import Any

import zenoh
import zenoh.shm

from .contract import LAST, STAMP, Adapter, Loop, Send, Take, bytes_sender, reader

POOL = 256 << 20  # bytes of shared memory for large messages: its own way within a host


def peer_config(endpoint: str, listen: bool) -> Any:
    """Return the configuration of a peer that listens at an endpoint, or connects to it, and looks for nobody else."""
    endpoints = json.dumps([endpoint])
    config = zenoh.Config()
    config.insert_json5("mode", '"peer"')
    config.insert_json5("scouting/multicast/enabled", "false")
    config.insert_json5("listen/endpoints", endpoints if listen else "[]")
    if not listen:
        config.insert_json5("connect/endpoints", endpoints)
        config.insert_json5("connect/timeout_ms", "-1")
    return config


class Zenoh(Adapter):
    """A FIFO channel on the receiving side: a callback in Python costs it more.

    For latency its documented low-latency transport and ``express``; flat out it batches, and blocks who is too fast.
    """

    def _open(self, topic: str, listen: bool) -> Any:
        setting = self.setting
        address = setting.publisher_address if topic == "a" else setting.address
        config = peer_config(f"tcp/{address}:{setting.port_of(topic)}", listen)
        if not setting.flat_out and not setting.large and not setting.reliable:
            config.insert_json5("transport/unicast/lowlatency", "true")
            config.insert_json5("transport/unicast/qos/enabled", "false")
        if setting.large:
            config.insert_json5("transport/shared_memory/transport_optimization/pool_size", str(POOL))
        session = zenoh.open(config)
        self.keep.append(session)
        return session

    def sender(self, topic: str) -> Send:
        return bytes_sender(self.setting, self._publisher(topic).put)

    def _publisher(self, topic: str) -> Any:
        publisher = self._open(topic, True).declare_publisher(
            f"{self.setting.name}/{topic}",
            congestion_control=zenoh.CongestionControl.BLOCK,
            express=not self.setting.flat_out,
            reliability=zenoh.Reliability.RELIABLE,
        )
        self.keep.append(publisher)
        return publisher

    def receiver(self, topic: str, index: int) -> Loop:
        channel: Any = zenoh.handlers.FifoChannel(16 if self.setting.large else 10_000)
        samples = self._open(topic, False).declare_subscriber(f"{self.setting.name}/{topic}", channel)
        stamp_of = reader(self.setting)

        def loop(take: Take) -> None:
            for sample in samples:
                if take(stamp_of(sample.payload.to_bytes())):
                    return

        return loop


class ZenohLoan(Zenoh):
    """Large messages in shared memory that its provider lends; in Python it can be written to by slices only."""

    def sender(self, topic: str) -> Send:
        if not self.setting.large:
            return super().sender(topic)
        put, size = self._publisher(topic).put, self.setting.size
        provider = zenoh.shm.ShmProvider.default_backend(POOL)
        self.keep.append(provider)
        policy = zenoh.shm.BlockOn(zenoh.shm.GarbageCollect())
        pack, width = STAMP.pack, STAMP.size
        buffer = provider.alloc(size, policy)

        def publish(stamp: int) -> None:
            nonlocal buffer
            buffer[:width] = pack(stamp)
            buffer[size - 1] = LAST
            put(buffer)
            buffer = provider.alloc(size, policy)

        return publish
