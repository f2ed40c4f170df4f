"""The receiving half of the data path as it ships, with a socket and clocks of a test: no thread, no system call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ipcpy.graph import EndpointInfo, NodeInfo
from ipcpy.message import Message
from ipcpy.protocol.data.matching import ANSWER_BODY, START_BODY, TAKES_IT
from ipcpy.protocol.data.reports import POLL_BODY
from ipcpy.protocol.wire import Frame, Kind, codec_number, frames, pack_frame
from ipcpy.subscribing.flow import Flow
from ipcpy.subscribing.inbound import Inbound
from ipcpy.subscribing.inbox import Inbox
from ipcpy.subscribing.intake import Intake

HERE, THERE = ("127.0.0.1", 5_001), ("10.0.0.7", 5_001)
NODE = NodeInfo("00000000000000aa", "arm", "h1", 1, "test", "10.0.0.7:1", "1", "alive", 0.0)


def publisher_info(number: int, **changes: Any) -> EndpointInfo:
    """Return what discovery says of a publisher: raw, best effort, on topic ``t``."""
    known = {"codec": "raw", "schema": {}, "reliable": False, "keep": 0, "topic": "t", "node": NODE, **changes}
    return EndpointInfo(id=f"{number:016x}", kind="publisher", **known)


class Socket:
    """A subscriber's socket: what it sends is kept.

    Attributes:
        sent: (datagram, address), in order.
        dropped: what the kernel is to have dropped.
    """

    def __init__(self, capacity: int = 212_992) -> None:
        self.capacity = capacity
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.dropped = 0

    def sendto(self, data: bytes, address: tuple[str, int]) -> None:
        """Keep a datagram."""
        self.sent.append((data, address))

    def drops(self) -> int:
        """Return what a test said."""
        return self.dropped


class Side:
    """One subscriber: feed it datagrams, look at what it has and what it answered.

    Attributes:
        now: the clock, in seconds; a test moves it.
        matched: how often a publisher was matched.
    """

    def __init__(self, codec: Any = None, *, number: int = 77, depth: int = 1_000, capacity: int = 212_992) -> None:
        self.now = 100.0
        self.wall_ns = 1_000_000_000
        self.matched = 0
        self.number = number
        self.socket = Socket(capacity)
        self.inbox = Inbox(depth)
        self.intake = Intake(
            number,
            self.socket,
            self.inbox,
            self._on_matched,
            clock=lambda: self.now,
            time_ns=lambda: self.wall_ns,
            seed=1,
        )
        self.inbound = Inbound(self.intake, codec)

    def _on_matched(self) -> None:
        self.matched += 1

    def meet(self, number: int, *, is_its_address: Callable[[str], bool] = lambda ip: True, **changes: Any) -> Flow:
        """Get to know a publisher."""
        return self.inbound.add(number, publisher_info(number, **changes), is_its_address)

    def match(self, number: int, first: int = 1, address: tuple[str, int] = HERE, **changes: Any) -> Flow:
        """Get to know a publisher, and be matched with it: challenge, answer, START."""
        flow = self.meet(number, **changes)
        verdict, _, token = ANSWER_BODY.unpack(self.challenge(number, address).body)
        assert verdict == TAKES_IT
        self.inbound.take(self.start(number, first, token), address)
        assert self.answers()[-1].kind == Kind.STARTED
        return flow

    def challenge(self, number: int, address: tuple[str, int] = HERE, nonce: int = 5) -> Frame:
        """Take a PROBE; return the answer."""
        self.inbound.take(pack_frame(Kind.PROBE, number, self.number, nonce, bytes(ANSWER_BODY.size)), address)
        (answer,) = self.answers()
        return answer

    def start(self, number: int, first: int, token: int, nonce: int = 5, flags: int = 0) -> bytes:
        """Build a START."""
        return pack_frame(Kind.START, number, first, self.number, START_BODY.pack(nonce, token), flags=flags)

    def data(self, number: int, seq: int, body: bytes, address: tuple[str, int] = HERE, codec: str = "raw") -> None:
        """Take a message."""
        frame = pack_frame(Kind.DATA, number, seq, self.wall_ns, body, codec=codec_number(codec))
        self.inbound.take(frame, address)

    def poll(self, number: int, last: int, lowest: int, position: int = 0, address: tuple[str, int] = HERE) -> None:
        """Take a POLL."""
        body = POLL_BODY.pack(position, lowest)
        self.inbound.take(pack_frame(Kind.POLL, number, last, position, body), address)

    def answers(self) -> list[Frame]:
        """Return the frames sent since the last look."""
        sent, self.socket.sent = self.socket.sent, []
        return [frame for data, _ in sent for frame in frames(data)]

    def bodies(self) -> list[Any]:
        """Take what is in the inbox; return the data."""
        return [message.data for message in self.messages()]

    def messages(self) -> list[Message]:
        """Take what is in the inbox."""
        taken = list(self.inbox.messages)
        self.inbox.messages.clear()
        return taken

    def lost(self, number: int) -> Mapping[str, int]:
        """Return what is counted as lost of a publisher."""
        _, each = self.inbound.stats()
        return each[f"{number:016x}"].lost
