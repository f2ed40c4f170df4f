"""Replay: plays a recording into nodes under test, message by message, as fast as they go. Knows no interiors.

After each message it waits until everything that was published has arrived, and until whoever reads a subscriber has
come back for more. So what a node publishes does not depend on how fast the computer is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from .. import ArgumentError, Bag, Message, Player, RecvTimeout, Subscriber
from .network import MemoryNetwork, core_of, cores_of
from .quiet import Quiet

__all__ = ["Replay"]

Path = str | os.PathLike[str]
DEPTH = 1_000_000  # messages that are collected between two looks
DEPTH_BYTES = 1 << 32
_OPTIONS = ("topics", "start", "end", "remap", "keep")


class Replay:
    """Plays recordings on a MemoryNetwork, and keeps what the nodes under test publish meanwhile.

    Args:
        network: where the nodes under test are.
        timeout: seconds that they may take for one message.

    Attributes:
        published: what the nodes under test published while the last recording was played.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong.

    Example::

        with MemoryNetwork() as net:
            start_my_filter(net.node("filter"))  # subscribes to imu, publishes pose
            poses = Replay(net)("drive.mcap", topics="imu", collect="pose")
    """

    def __init__(self, network: MemoryNetwork, timeout: float = 10.0) -> None:
        if not isinstance(network, MemoryNetwork):
            raise ArgumentError(f"a recording is replayed on a MemoryNetwork, got {network!r:.80}")
        self.published: list[Message] = []
        self._network = network
        self._timeout = timeout

    def __call__(self, *paths: Path, collect: str = "**", **options: Any) -> list[Message]:
        """Play a recording, and return what the nodes under test published.

        Their subscribers have to be read by callbacks, threads or tasks that wait for messages; where the test itself
        reads, it takes ``steps``. Their publishers are made before.

        Args:
            paths: the files, which are played as one.
            collect: the topic, or pattern, of what is returned.
            options: ``topics``, ``start``, ``end``, ``remap`` and ``keep``, as of ``ipcpy.Player``.

        Raises:
            TimeoutError: a node did not come back for more in time, or never met the publishers, as where types
                differ; the text says at which topic.
            ArgumentError, CodecError, OSError: as ``ipcpy.Bag`` and ``ipcpy.Player``.
        """
        for _ in self._steps(paths, collect, options, served=True):
            pass
        return self.published

    def steps(self, *paths: Path, collect: str = "**", **options: Any) -> Iterator[Message]:
        """Play a recording, and yield each message, as it was recorded, when it has arrived at all subscribers.

        The test has its node read in the loop; afterwards ``published`` has what came of it.

        Args:
            paths: as when it is called.
            collect: likewise.
            options: likewise.

        Raises:
            TimeoutError: a message did not arrive in time.
        """
        return self._steps(paths, collect, options, served=False)

    def _steps(
        self, paths: tuple[Path, ...], collect: str, options: Mapping[str, Any], *, served: bool
    ) -> Iterator[Message]:
        wrong = sorted(options.keys() - set(_OPTIONS))
        if wrong:
            raise ArgumentError(f"a replay takes {', '.join(_OPTIONS)} and collect, got {', '.join(wrong)}")
        self.published = []
        with contextlib.ExitStack() as stack:
            bag = stack.enter_context(Bag(*paths))
            node = stack.enter_context(self._network.node("replay"))
            player = stack.enter_context(Player(bag, node=node, **options))
            own = set(player.publishers)
            collector = Subscriber(
                collect,
                callback=lambda message: self._take(message, own),
                depth=DEPTH,
                depth_bytes=DEPTH_BYTES,
                node=node,
            )
            stack.callback(collector.close)
            quiet = Quiet(lambda: cores_of(self._network), core_of(node), served=served)
            unmet = quiet.meet(self._timeout)
            if unmet:
                raise RecvTimeout(f"the subscriber of {unmet!r} did not meet its publisher within {self._timeout:g} s")
            player.pause()
            done = 0
            for _ in chain(player.steps(), (0.0,)):  # once more at the end, for the last message
                self._await(quiet, player)
                if player.stats.published > done and player.last is not None:
                    yield player.last
                done = player.stats.published
                player.step()
            self._await(quiet, player)

    def _await(self, quiet: Quiet, player: Player) -> None:
        busy = quiet.wait(self._timeout)
        if busy:
            played = player.stats.published
            raise RecvTimeout(
                f"after message {played} of the recording {busy!r} was not done within {self._timeout:g} s: its "
                "subscriber takes longer, or nobody waits there for the next message (then use steps)"
            )

    def _take(self, message: Message, own: set[str]) -> None:
        """Keep a message of a node under test; in the thread of the callback, while nobody looks."""
        if message.publisher not in own:
            self.published.append(message)
