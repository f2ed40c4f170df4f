"""iceoryx2: shared memory, with its event service so that the subscriber sleeps."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import iceoryx2

from .contract import Adapter, Loop, Send, Take, bytes_sender, lent, reader


class Iceoryx(Adapter):
    """Loan, copy in, send, notify; the receiving side waits for the event and reads in place. Nothing is lost."""

    def _open(self, topic: str) -> tuple[Any, Any, int]:
        iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
        builder = iceoryx2.NodeBuilder.new().signal_handling_mode(iceoryx2.SignalHandlingMode.Disabled)
        node = builder.create(iceoryx2.ServiceType.Ipc)
        queue = 16 if self.setting.large else 1024
        name = f"{self.setting.name}/{topic}"
        data = node.service_builder(iceoryx2.ServiceName.new(name)).publish_subscribe(iceoryx2.Slice[ctypes.c_uint8])
        data = data.subscriber_max_buffer_size(queue).enable_safe_overflow(False).subscriber_max_borrowed_samples(4)
        service = data.max_subscribers(16).max_nodes(40).open_or_create()
        event = node.service_builder(iceoryx2.ServiceName.new(f"{name}/event")).event()
        events = event.max_listeners(16).max_notifiers(16).max_nodes(40).open_or_create()
        self.keep += [node, service, events]
        return service, events, queue

    def sender(self, topic: str) -> Send:
        publisher, notifier = self._publisher(topic)
        return bytes_sender(self.setting, _copying(publisher.loan_slice_uninit, notifier.notify))

    def _publisher(self, topic: str) -> tuple[Any, Any]:
        service, events, _ = self._open(topic)
        builder = service.publisher_builder().initial_max_slice_len(self.setting.size if self.setting.large else 64)
        publisher = builder.backpressure_strategy(iceoryx2.BackpressureStrategy.RetryUntilDelivered).create()
        notifier = events.notifier_builder().create()
        self.keep += [publisher, notifier]
        return publisher, notifier

    def receiver(self, topic: str, index: int) -> Loop:
        service, events, queue = self._open(topic)
        subscriber = service.subscriber_builder().buffer_size(queue).create()
        listener = events.listener_builder().create()
        self.keep += [subscriber, listener]
        stamp_of = reader(self.setting)

        def loop(take: Take) -> None:
            receive, wait = subscriber.receive, listener.blocking_wait
            while True:
                wait()
                while (sample := receive()) is not None:
                    stamp = stamp_of(sample.payload().as_memory_view().cast("B"))
                    sample.delete()
                    if take(stamp):
                        return

        return loop


class IceoryxLoan(Iceoryx):
    """Loan, fill in place, send, notify: nothing is copied. Small messages as above."""

    def sender(self, topic: str) -> Send:
        if not self.setting.large:
            return super().sender(topic)
        publisher, notifier = self._publisher(topic)
        loan, notify = publisher.loan_slice_uninit, notifier.notify
        memory = ctypes.c_ubyte * self.setting.size
        sample: Any = None

        def lend() -> Any:
            nonlocal sample
            sample = loan(self.setting.size)
            return memory.from_address(sample.payload_ptr)

        def send(_: Any) -> None:
            sample.assume_init().send()
            notify()

        return lent(lend, send)


def _copying(loan: Callable[[int], Any], notify: Callable[[], Any]) -> Callable[[Any], None]:
    memmove = ctypes.memmove

    def send(data: Any) -> None:
        size = len(data)
        sample = loan(size)
        source = data if type(data) is bytes else (ctypes.c_char * size).from_buffer(data)
        memmove(sample.payload_ptr, source, size)
        sample.assume_init().send()
        notify()

    return send
