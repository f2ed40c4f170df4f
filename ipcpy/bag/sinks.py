"""The publishers that a recording is played on: as those were that it was recorded from. Knows publishers; no time."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ..codec.bodies import Verbatim
from ..errors import ArgumentError, RecvTimeout
from ..node.node import Node
from ..protocol.topics import check_asked, check_topic
from ..publishing.publisher import Publisher
from .records import Entry
from .tracks import Track

__all__ = ["Sinks", "check_remap"]

MAX_PUBLISHERS = 4096  # of one player: each has its own entry in what the node announces
SETTLE = 0.5  # s to find out who is there
MEET = 2.0  # s for those who are there to answer


class Sinks:
    """Publishers for tracks; tracks of one publisher share one.

    Args:
        node: where they are.
        remap: what topics are called instead.
        keep: how many messages publishers keep; None as many as they did.
    """

    def __init__(self, node: Node, remap: Mapping[str, str], keep: int | None) -> None:
        self._node = node
        self._remap = remap
        self._keep = keep
        self._of: dict[int, tuple[Publisher, Any]] = {}  # by the number of a track: its publisher, what makes bodies
        self._publishers: dict[Any, Publisher] = {}

    def open(self, tracks: Mapping[int, Track]) -> None:
        """Announce publishers for tracks.

        Raises:
            ArgumentError: they would be too many.
        """
        try:
            for number, track in tracks.items():
                self._of[number] = (self._publisher(track), track.reading.body)
        except BaseException:
            self.close()
            raise

    def _publisher(self, track: Track) -> Publisher:
        codec = track.reading.codec
        topic = self._remap.get(track.topic, track.topic)
        keep = track.keep if self._keep is None else self._keep
        key = (topic, track.publisher, codec.name, json.dumps(dict(codec.schema)), track.reliable, keep)
        if key not in self._publishers:
            if len(self._publishers) >= MAX_PUBLISHERS:
                raise ArgumentError(
                    f"the recording has more than {MAX_PUBLISHERS:,} publishers: choose some of its topics (--topics)"
                )
            told = Verbatim(codec.name, codec.schema)
            self._publishers[key] = Publisher(f"/{topic}", told, reliable=track.reliable, keep=keep, node=self._node)
        return self._publishers[key]

    def body(self, entry: Entry) -> Any:
        """Make what is published of a message.

        Raises:
            CodecError: it cannot be made.
        """
        return self._of[entry.channel][1](entry)

    def publish(self, entry: Entry, body: Any) -> int:
        """Publish a body on the publisher of its track; return to how many subscribers it was handed."""
        return self._of[entry.channel][0].publish(body)

    def settle(self) -> None:
        """Wait shortly for subscribers that are there already, so that they get the first message."""
        self._node.wait_complete(SETTLE)
        wanted = {topic.name for topic in self._node.topics() if topic.subscribers}
        for publisher in self.publishers():
            if publisher.topic in wanted:
                with contextlib.suppress(RecvTimeout):  # it does not answer, or its types are others
                    publisher.wait_for_subscribers(1, MEET)

    def wait(self, count: int, timeout: float | None) -> None:
        """Wait until each topic has so many subscribers.

        Raises:
            RecvTimeout: (a TimeoutError) they did not come in time.
        """
        for publisher, left in self._one_by_one(timeout):
            publisher.wait_for_subscribers(count, left)

    async def wait_async(self, count: int, timeout: float | None) -> None:
        """Wait as ``wait``, in a coroutine."""
        for publisher, left in self._one_by_one(timeout):
            await publisher.wait_for_subscribers_async(count, left)

    def _one_by_one(self, timeout: float | None) -> Iterator[tuple[Publisher, float | None]]:
        """Yield the publishers, each with what is left of a time."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for publisher in self.publishers():
            yield publisher, None if deadline is None else round(max(0.0, deadline - time.monotonic()), 3)

    def publishers(self) -> tuple[Publisher, ...]:
        """Return the publishers; another thread may close them meanwhile."""
        return tuple(self._publishers.values())

    def close(self) -> None:
        """Withdraw them; idempotent."""
        for publisher in self.publishers():
            publisher.close()
        self._publishers.clear()


def check_remap(remap: object) -> dict[str, str]:
    """Return what topics are called instead.

    Raises:
        ArgumentError: it is no mapping from topics to topics.
    """
    if remap is None:
        return {}
    if not isinstance(remap, Mapping):
        raise ArgumentError(f"remap is a dict such as {{'imu': 'robot/imu'}}, got {remap!r:.80}")
    return {check_topic(check_asked(old)[1]): check_topic(check_asked(new)[1]) for old, new in remap.items()}
