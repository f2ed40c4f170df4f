"""nng: Pub0 and Sub0 over sockets in the file system; who is too fast loses messages."""

from __future__ import annotations

import pynng

from .contract import Adapter, Loop, Send, Take, bytes_sender, reader


class Nng(Adapter):
    """With buffers of 8,192 messages."""

    def _endpoint(self, topic: str) -> str:
        return f"ipc://{self.setting.folder}/{topic}"

    def sender(self, topic: str) -> Send:
        socket = pynng.Pub0(send_buffer_size=64 if self.setting.large else 8192)
        socket.listen(self._endpoint(topic))
        self.keep.append(socket)
        return bytes_sender(self.setting, socket.send, copy=True)

    def receiver(self, topic: str, index: int) -> Loop:
        socket = pynng.Sub0(topics=b"", recv_buffer_size=64 if self.setting.large else 8192)
        socket.recv_max_size = 0
        socket.dial(self._endpoint(topic), block=False)
        self.keep.append(socket)
        receive, stamp_of = socket.recv, reader(self.setting)

        def loop(take: Take) -> None:
            while not take(stamp_of(receive())):
                pass

        return loop
