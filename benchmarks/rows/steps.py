"""What a message costs, step by step: the library's own functions one by one, on the message that all rows use.

The only row that looks inside. A step whose function is not there any more, as in another checkout, has no figure.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..adapters.contract import LOOPBACK, SAMPLE, VALUES, Sample, Setting
from ..adapters.own import MESSAGES
from ..adapters.raw import connected, receiving
from ..figures import Metric
from ..processes import Run
from ..roles import tell
from .contract import Amount, Row

BLOCK = 50  # messages: no buffer is full of so few
Step = Callable[[], object]


def measure(setting: Setting) -> None:
    """Time every step of raw sockets or of ipcpy; tell microseconds."""
    steps = _raw_steps() if setting.extra["kind"] == "raw" else _own_steps(setting)
    repeats = setting.extra["repeats"]
    empty = min(_time(lambda: None, None, repeats) for _ in range(3))
    tell(**{name: max(0.0, _time(step, after, repeats) - empty) for name, (step, after) in steps.items()})


def _time(step: Step, after: Step | None, repeats: int) -> float:
    """Return the median over blocks, in microseconds, of calling a step; what comes after a block is not counted."""
    blocks = []
    for _ in range(repeats):
        begun = time.perf_counter_ns()
        for _ in range(BLOCK):
            step()
        blocks.append(time.perf_counter_ns() - begun)
        if after is not None:
            after()
    return sorted(blocks)[repeats // 2] / 1e3 / BLOCK


class Pair:
    """A socket that sends to another in this process, which is emptied or filled between the blocks."""

    def __init__(self, frame: bytes) -> None:
        self.sink = receiving(LOOPBACK, 0)
        self.source = connected(LOOPBACK, self.sink.getsockname()[1])
        self.frame = frame

    def send(self) -> None:
        """Send one."""
        self.source.send(self.frame)

    def empty(self) -> None:
        """Receive all that is there."""
        with suppress(BlockingIOError):
            while True:
                self.sink.recv(65_536, socket.MSG_DONTWAIT)

    def fill(self) -> None:
        """Send as many as a block receives."""
        for _ in range(BLOCK):
            self.send()


def _raw_steps() -> dict[str, tuple[Step, Step | None]]:
    data = SAMPLE.pack(1, *VALUES)
    sending, taking = Pair(data), Pair(data)
    buffer = bytearray(2048)
    taking.fill()
    return {
        "encode": (lambda: SAMPLE.pack(1, *VALUES), None),
        "send": (sending.send, sending.empty),
        "receive": (lambda: taking.sink.recv_into(buffer), taking.fill),
        "decode": (lambda: SAMPLE.unpack_from(data), None),
    }


def _own_steps(setting: Setting) -> dict[str, tuple[Step, Step | None]]:
    import ipcpy

    library = ipcpy.MsgLibrary(MESSAGES)
    sample = Sample(1, *VALUES)
    body = bytes(library.encode(sample))
    steps: dict[str, tuple[Step, Step | None]] = {
        "make": (lambda: Sample(1, *VALUES), None),
        "encode": (lambda: library.encode(sample), None),
        "decode": (lambda: library.decode_intact(body), None),
        "clock": (time.time_ns, None),
    }
    with suppress(ImportError, AttributeError):
        steps |= _frame_steps(body)
    with suppress(ImportError, AttributeError, TypeError):
        steps |= _message_steps(sample)
    return steps | _whole_steps(ipcpy, library, sample, setting)


def _frame_steps(body: bytes) -> dict[str, tuple[Step, Step | None]]:
    from ipcpy.protocol import wire

    header: Any = wire.FAST_HEADER
    crc32: Any = vars(wire)["crc32"]  # the one that is used here
    word = len(body) + wire.DATA_WORD + wire.OVERHEAD
    unchecked = header.pack(word, 1, 1 << 60, 7, time.time_ns()) + body
    frame = unchecked + crc32(unchecked).to_bytes(4, "little")
    sending, taking = Pair(frame), Pair(frame)
    taking.fill()
    return {
        "header": (lambda: header.pack(word, 1, 1 << 60, 7, 1 << 60) + body, None),
        "check": (lambda: unchecked + crc32(unchecked).to_bytes(4, "little"), None),
        "send": (sending.send, sending.empty),
        "receive": (lambda: taking.sink.recvfrom(65_536), taking.fill),
        "parse": (lambda: header.unpack_from(frame), None),
        "checked": (lambda: crc32(frame) == wire.CRC_RESIDUE, None),
        "cut": (lambda: frame[wire.HEADER_SIZE : -wire.CHECK_SIZE], None),
    }


def _message_steps(sample: Sample) -> dict[str, tuple[Step, Step | None]]:
    from ipcpy.message import Message

    inbox: deque[Any] = deque(maxlen=1000)
    given: Any = (sample, "topic", 1, 1 << 60, 1 << 60, "f" * 16)
    new: Any = tuple.__new__
    new(Message, given)
    return {"deliver": (lambda: inbox.append(new(Message, given)), None)}


def _whole_steps(ipcpy: Any, library: Any, sample: Sample, setting: Setting) -> dict[str, tuple[Step, Step | None]]:
    """``publish`` to a subscriber of this process, which is emptied between the blocks; ``recv`` of what is there."""
    sending = ipcpy.Publisher(f"{setting.name}/sending", library)
    sink = ipcpy.Subscriber(f"{setting.name}/sending")
    sending.wait_for_subscribers(timeout=10)
    nobody = ipcpy.Publisher(f"{setting.name}/nobody", library)
    filling = ipcpy.Publisher(f"{setting.name}/filling", library)
    filled = ipcpy.Subscriber(f"{setting.name}/filling")
    filling.wait_for_subscribers(timeout=10)
    time.sleep(0.8)  # until discovery is quiet

    def fill() -> None:
        for _ in range(BLOCK):
            filling.publish(sample)

    fill()

    def empty() -> None:
        for _ in range(BLOCK):
            sink.recv(timeout=5)

    return {
        "publish": (lambda: sending.publish(sample), empty),
        "recv": (lambda: filled.recv(timeout=5), fill),
        "nobody": (lambda: nobody.publish(sample), None),
    }


class Steps(Row):
    """A table with a step a line; those of raw sockets stand beside the ones that do the same."""

    name = "steps"
    title = "What a message of 64 bytes costs, step by step"
    floor = ""
    adapters = ("raw", "ipcpy")
    upright = True
    metrics = tuple(
        Metric(key, title, "µs")
        for key, title in {
            "make": "make the message: a named tuple",
            "encode": "encode (raw: `struct`)",
            "clock": "read the clock",
            "header": "pack the header before the body",
            "check": "to another host: CRC-32 behind it",
            "send": "system call: send",
            "receive": "system call: receive what is there",
            "parse": "unpack the header",
            "checked": "from another host: check the CRC-32",
            "cut": "cut out the body",
            "decode": "decode (raw: `struct`)",
            "deliver": "make the Message, append it to the inbox",
            "publish": "all of `publish`, to a subscriber",
            "recv": "all of `recv`, of what is there",
            "nobody": "all of `publish`, to nobody",
        }.items()
    )

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        with Run(adapter) as run:
            repeats = 40 if amount.quick else 400
            role = run.start("benchmarks.rows.steps.measure", adapter="", kind=adapter, repeats=repeats)
            return role.answer(60)
