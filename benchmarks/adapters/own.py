"""ipcpy, by its public names only."""

from __future__ import annotations

import asyncio
import os
import tempfile
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from operator import attrgetter
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
DEPTH_BYTES = 1 << 30  # so that as many small ones have room without a look at each, as with the depth of everyday
MANY = 500  # messages taken at once, as many as are published at once


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
        codec = None if self.setting.large else self.codec()
        depth, room = (64, 32 << 20) if self.setting.large else (DEPTH, DEPTH_BYTES)
        subscriber = ipcpy.Subscriber(
            f"{self.setting.name}/{topic}", codec, depth=depth, spin=self.spin, depth_bytes=room
        )
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


def _many_loop(recv_many: Callable[[int], Any], stamp_of: Callable[[Any], int]) -> Loop:
    def loop(take: Take) -> None:
        while True:
            for message in recv_many(MANY):
                if take(stamp_of(message.data)):
                    return

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


class IpcpySealed(IpcpyUdp):
    """The same with a key: what travels is sealed."""

    algorithm = "chacha20-poly1305"

    def __init__(self, setting: Setting) -> None:
        secret = b64encode(sha256(setting.name.encode()).digest()).decode()
        with tempfile.NamedTemporaryFile("w", prefix="key-", dir=setting.folder, delete=False) as file:  # mode 0600
            file.write(f"ipcpy-key-1 {self.algorithm} {secret}\n")
        os.environ["IPCPY_KEY_FILE"] = file.name
        super().__init__(setting)


class IpcpySealedAes(IpcpySealed):
    """The same with a key for AES."""

    algorithm = "aes-256-gcm"


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
        recv, stamp_of = self.subscriber(topic).recv, stamp_of_small

        def loop(take: Take) -> None:
            while not take(stamp_of(recv().data)):
                pass

        return loop


class IpcpyMany(IpcpyBytes):
    """``publish_many`` and ``recv_many`` of bytes."""

    def receiver(self, topic: str, index: int) -> Loop:
        return _many_loop(self.subscriber(topic).recv_many, stamp_of_small)


class IpcpyManyStructs(Ipcpy):
    """``publish_many`` and ``recv_many`` of structs."""

    def receiver(self, topic: str, index: int) -> Loop:
        return _many_loop(self.subscriber(topic).recv_many, attrgetter("stamp"))


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
