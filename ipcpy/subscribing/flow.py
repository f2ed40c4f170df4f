"""One publisher at one subscriber: who it is, where its data comes from, how it is decoded, and its books."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..addresses import LOOPBACK, Address
from ..codec import codec_for, variant
from ..errors import SchemaError
from ..graph import EndpointInfo
from ..protocol.data.batch import split
from ..protocol.data.receiver import Receiver
from ..protocol.wire import UNCHECKED, codec_number
from ..stats import FlowStats
from ..timeouts import NEVER


class Flow:
    """One publisher at one subscriber."""

    __slots__ = (
        "address",
        "bad",
        "base",
        "bytes",
        "codec_number",
        "decode",
        "decode_many",
        "id",
        "is_its_address",
        "kernel_drops",
        "info",
        "matched",
        "multicast",
        "left",
        "mismatch",
        "number",
        "poll",
        "receiver",
        "topic",
        "unchecked",
    )

    def __init__(self, number: int, info: EndpointInfo, is_its_address: Callable[[str], bool], codec: Any) -> None:
        self.number = number
        self.info = info
        self.id = info.id
        self.topic = info.topic
        self.is_its_address = is_its_address
        self.address: Address | None = None  # where its data comes from; None before it is challenged
        self.multicast: Address | None = None  # where its multicast comes from
        self.matched = False
        self.left = NEVER  # when the publisher went
        self.mismatch: tuple[str, ...] = ()
        self.receiver: Receiver[Any] = Receiver(reliable=info.reliable or info.keep > 0)
        self.bytes = 0
        self.bad = 0  # bodies that could not be decoded
        self.kernel_drops = 0  # of our sockets, when it was new
        self.base = 1 << 62  # ns: receive time less send time of the fastest message
        self.poll: tuple[int, int] = (0, 0)  # last position and lowest number it polled with
        self.codec_number = 0
        self.unchecked = -1  # the codec's number as it stands in DATA without a check; -1 where that is not taken
        self.decode: Callable[[Any], Any] = bytes
        self.decode_many: Callable[[bytes, int], list[Any]] = self._decode_each
        self._adapt(codec)

    def _adapt(self, codec: Any) -> None:
        try:
            codec = _codec_for(codec, self.info)
        except SchemaError as error:
            self.mismatch = error.differences or (str(error),)
            return
        self.decode = variant(codec, "decode_intact", "decode") or codec.decode
        self.decode_many = variant(codec, "decode_many", "decode") or self._decode_each
        self.codec_number = codec_number(self.info.codec)

    def comes_from(self, address: Address) -> None:
        """Learn where its data comes from."""
        self.address = address
        self.unchecked = self.codec_number | UNCHECKED if address[0] == LOOPBACK else -1

    def _decode_each(self, data: bytes, size: int) -> list[Any]:
        return list(map(self.decode, split(data, size)))

    def stats(self, dropped: int) -> FlowStats:
        """Give the counts; dropped are those that the inbox had no room for."""
        lost = {cause: count for cause, count in self.receiver.lost.items() if count}
        if dropped:
            lost["inbox"] = dropped
        if self.bad:
            lost["codec"] = self.bad
        received = self.receiver.received - dropped - self.bad
        return FlowStats(received, self.bytes, self.receiver.duplicates, self.receiver.reordered, lost)


def _codec_for(own: Any, info: EndpointInfo) -> Any:
    if own is None:
        return codec_for(info.codec, info.schema)
    if own.name != info.codec:
        raise SchemaError(f"the publisher's codec is {info.codec}, the subscriber's is {own.name}")
    adapt = getattr(type(own), "adapt", None)  # one that only hands on another's would give that away
    return own if adapt is None else adapt(own, info.schema)
