"""ipcpy, by its public names only."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import ipcpy

from .contract import (
    SAMPLE,
    VALUES,
    Adapter,
    Loop,
    Sample,
    Send,
    Setting,
    Take,
    lent,
    packed,
    reader,
    stamp_of_small,
    stamped,
)

MESSAGES: Any = {1: ("<q7d", Sample)}
DEPTH = 1_000_000  # unread messages: in a benchmark none is to give way


class Ipcpy(Adapter):
    """``publish`` and ``recv``."""

    spin = 0.0

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._publishers: dict[str, ipcpy.Publisher] = {}

    def publisher(self, topic: str) -> ipcpy.Publisher:
        """Return the publisher of a topic."""
        if topic not in self._publishers:
            name = f"{self.setting.name}/{topic}"
            self._publishers[topic] = ipcpy.Publisher(name, self.codec(), reliable=self.setting.reliable)
        return self._publishers[topic]

    def codec(self) -> Any:
        """Make the publisher's codec."""
        return ipcpy.Raw() if self.setting.large else ipcpy.MsgLibrary(MESSAGES)

    def subscriber(self, topic: str) -> Any:
        """Open a subscriber."""
        codec = None if self.setting.large else ipcpy.MsgLibrary(MESSAGES)
        depth = 64 if self.setting.large else DEPTH
        subscriber = ipcpy.Subscriber(f"{self.setting.name}/{topic}", codec, depth=depth, spin=self.spin)
        self.keep.append(subscriber)
        return subscriber

    def sender(self, topic: str) -> Send:
        publish = self.publisher(topic).publish
        if self.setting.large:
            return stamped(self.setting.size, publish)
        return lambda stamp: publish(Sample(stamp, *VALUES))

    def again(self, topic: str, stamp: int) -> Callable[[], object]:
        if self.setting.large:
            return super().again(topic, stamp)
        return partial(self.publisher(topic).publish, Sample(stamp, *VALUES))

    def many(self, topic: str, stamp: int, count: int) -> Callable[[], object]:
        return partial(self.publisher(topic).publish_many, [Sample(stamp, *VALUES)] * count)

    def resent(self) -> float | None:
        return sum(publisher.stats.retransmitted for publisher in self._publishers.values())

    def receiver(self, topic: str, index: int) -> Loop:
        recv = self.subscriber(topic).recv
        if self.setting.large:
            return _large_loop(recv, reader(self.setting))

        def loop(take: Take) -> None:
            while not take(recv().data.stamp):
                pass

        return loop


def _large_loop(recv: Callable[[], Any], stamp_of: Callable[[Any], int]) -> Loop:
    def loop(take: Take) -> None:
        while not take(stamp_of(recv().data)):
            pass

    return loop


class IpcpyLoan(Ipcpy):
    """``loan`` and ``publish``: large messages are filled where they lie."""

    def sender(self, topic: str) -> Send:
        if not self.setting.large:
            return super().sender(topic)
        publisher = self.publisher(topic)
        return lent(partial(publisher.loan, self.setting.size), publisher.publish)


class IpcpyUdp(Ipcpy):
    """The same without shared memory."""

    def __init__(self, setting: Setting) -> None:
        os.environ["IPCPY_SHM"] = "0"
        super().__init__(setting)


class IpcpyBytes(Ipcpy):
    """The same with the codec Raw: the user packs and unpacks, as with peers that take bytes."""

    def codec(self) -> Any:
        return ipcpy.Raw()

    def sender(self, topic: str) -> Send:
        return packed(self.publisher(topic).publish)

    def again(self, topic: str, stamp: int) -> Callable[[], object]:
        return Adapter.again(self, topic, stamp)

    def many(self, topic: str, stamp: int, count: int) -> Callable[[], object]:
        publish_many = self.publisher(topic).publish_many
        return lambda: publish_many([SAMPLE.pack(stamp, *VALUES) for _ in range(count)])

    def receiver(self, topic: str, index: int) -> Loop:
        subscriber = ipcpy.Subscriber(f"{self.setting.name}/{topic}", ipcpy.Raw(), depth=DEPTH)
        self.keep.append(subscriber)
        recv, stamp_of = subscriber.recv, stamp_of_small

        def loop(take: Take) -> None:
            while not take(stamp_of(recv().data)):
                pass

        return loop


class IpcpySpin(Ipcpy):
    """The same with a ``recv`` that polls."""

    spin = 0.01


class IpcpyAsyncio(Ipcpy):
    """``publish`` and ``recv_async``."""

    def receiver(self, topic: str, index: int) -> Loop:
        recv = self.subscriber(topic).recv_async

        async def run(take: Take) -> None:
            while not take((await recv()).data.stamp):
                pass

        return lambda take: asyncio.run(run(take))
