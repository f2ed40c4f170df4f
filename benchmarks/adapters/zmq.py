"""ZeroMQ: PUB and SUB; the publisher waits at its high-water mark instead of dropping."""

from __future__ import annotations

from typing import Any

import zmq

from .contract import Adapter, Loop, Send, Take, bytes_sender, reader


class ZmqTcp(Adapter):
    """Over TCP; large messages are not copied."""

    def _endpoint(self, topic: str) -> str:
        return f"tcp://127.0.0.1:{self.setting.port_of(topic)}"

    def _open(self, kind: int) -> Any:
        socket = zmq.Context.instance().socket(kind)
        mark = 16 if self.setting.large else 10_000
        socket.setsockopt(zmq.SNDHWM, mark)
        socket.setsockopt(zmq.RCVHWM, mark)
        socket.setsockopt(zmq.LINGER, 0)
        self.keep.append(socket)
        return socket

    def sender(self, topic: str) -> Send:
        socket = self._open(zmq.PUB)
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        socket.bind(self._endpoint(topic))
        if self.setting.large:
            return bytes_sender(self.setting, lambda data: socket.send(data, copy=False))
        return bytes_sender(self.setting, socket.send)

    def receiver(self, topic: str, index: int) -> Loop:
        socket = self._open(zmq.SUB)
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        socket.connect(self._endpoint(topic))
        receive, stamp_of, large = socket.recv, reader(self.setting), self.setting.large

        def loop(take: Take) -> None:
            while not take(stamp_of(receive(copy=False).buffer if large else receive())):
                pass

        return loop


class ZmqIpc(ZmqTcp):
    """Over sockets in the file system."""

    def _endpoint(self, topic: str) -> str:
        return f"ipc://{self.setting.folder}/{topic}"
