"""LCM: UDP multicast with TTL 0. Nothing is sent again, nobody is held up."""

from __future__ import annotations

from typing import Any

import lcm

from .contract import LOOPBACK, Adapter, Loop, Send, Take, bytes_sender, reader

BUFFER = 4 << 20
QUEUE = 20_000  # messages; its default of 30 loses them flat out


class Lcm(Adapter):
    """``publish``, and ``handle`` in the thread that waits."""

    def _open(self) -> Any:
        setting = self.setting
        time_to_live = 0 if setting.address == LOOPBACK else 1
        connection = lcm.LCM(f"udpm://239.255.76.67:{setting.port}?ttl={time_to_live}&recv_buf_size={BUFFER}")
        self.keep.append(connection)
        return connection

    def sender(self, topic: str) -> Send:
        publish, name = self._open().publish, f"{self.setting.name}/{topic}"
        return bytes_sender(self.setting, lambda data: publish(name, data), copy=True)

    def receiver(self, topic: str, index: int) -> Loop:
        connection, stamp_of = self._open(), reader(self.setting)

        def loop(take: Take) -> None:
            over = False

            def on_message(_: str, data: bytes) -> None:
                nonlocal over
                over = bool(take(stamp_of(data)))

            subscription = connection.subscribe(f"{self.setting.name}/{topic}", on_message)
            subscription.set_queue_capacity(QUEUE if not self.setting.large else 64)
            while not over:
                connection.handle()

        return loop
