"""eCAL: its shared-memory layer, which it uses within a host by default."""

from __future__ import annotations

import os
import threading
from typing import Any

import ecal.nanobind_core as ecal

from .contract import Adapter, Loop, Send, Take, bytes_sender, reader


class Ecal(Adapter):
    """``send``, and a callback on the receiving side; flat out with its acknowledgement, so that nothing is lost."""

    def _start(self) -> Any:
        if not ecal.is_initialized():
            config = self._config = ecal.get_configuration()
            config.logging.provider.udp.enable = False
            config.logging.provider.console.enable = False
            for side in (config.publisher, config.subscriber):
                side.layer.tcp.enable = False
                side.layer.udp.enable = False
                side.layer.shm.enable = True
            if self.setting.flat_out:
                config.publisher.layer.shm.acknowledge_timeout_ms = 500
            ecal.initialize(config, f"bench{os.getpid()}")
        return self._config

    def sender(self, topic: str) -> Send:
        config = self._start().publisher
        publisher = ecal.Publisher(f"{self.setting.name}_{topic}", ecal.DataTypeInformation(), config)
        self.keep.append(publisher)
        return bytes_sender(self.setting, publisher.send, copy=True)

    def receiver(self, topic: str, index: int) -> Loop:
        config, stamp_of = self._start().subscriber, reader(self.setting)

        def loop(take: Take) -> None:
            over = threading.Event()

            def on_message(_topic: Any, _information: Any, data: Any) -> None:
                if take(stamp_of(data.buffer)):
                    over.set()

            subscriber = ecal.Subscriber(f"{self.setting.name}_{topic}", ecal.DataTypeInformation(), config)
            subscriber.set_receive_callback(on_message)
            over.wait()

        return loop
