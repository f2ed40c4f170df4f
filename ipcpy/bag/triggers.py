"""What makes a black box write: deaths, silences, messages, losses. Knows nothing of what is written.

Each waits in a thread of its own, and calls ``fire`` with a sentence, and with a kind where the same may happen again
and again.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from ..errors import ArgumentError, ClosedError
from ..events import Event, NodeLost
from ..message import Message
from ..node.node import Node
from ..node.watch import Watch
from ..subscribing.subscriber import Subscriber
from ..views import Bodies

__all__ = ["Triggers", "Wanted"]

_DEATHS = ("process died", "host unreachable", "timed out")  # ``closed`` is none
_LOOK = 0.25  # seconds between two looks at what was lost


class Wanted:
    """What a user wants to be told of.

    Args:
        death: True for the death of any node, or the name of one.
        silence: seconds by topic after which it has fallen silent.
        message: topics of which each message counts.
        loss: whether a loss counts.

    Raises:
        ArgumentError: one of them is wrong.
    """

    def __init__(
        self, death: bool | str, silence: Mapping[str, float] | None, message: str | Iterable[str], loss: bool
    ) -> None:
        if not isinstance(death, bool | str) or death == "":
            raise ArgumentError(f"on_death is True, or the name of a node; got {death!r:.60}")
        self.death = death
        self.silence = dict(silence or {})
        for topic, seconds in self.silence.items():
            if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 < seconds < 1e6:
                raise ArgumentError(f"on_silence of {topic!r} is a number of seconds above 0, got {seconds!r}")
        self.message = [message] if isinstance(message, str) else list(message)
        self.loss = bool(loss)


class Triggers:
    """Waits for what is wanted.

    Args:
        node: the node it belongs to.
        wanted: what for.
        fire: called with what happened.
        lost: returns what was lost so far, by cause.

    Raises:
        ArgumentError: a topic is none.
        TransportError: there is no socket to be had.
    """

    def __init__(
        self, node: Node, wanted: Wanted, fire: Callable[[str, str], object], lost: Callable[[], Counter[str]]
    ) -> None:
        self._fire = fire
        self._open: list[Subscriber | Watch[Event]] = []
        self._ended = threading.Event()
        threads: list[threading.Thread] = []
        try:
            for topic in wanted.message:
                self._open.append(Subscriber(topic, Bodies(), callback=self._on_message, node=node))
            for topic, seconds in wanted.silence.items():
                sub = Subscriber(topic, Bodies(), depth=1, node=node)
                self._open.append(sub)
                threads.append(threading.Thread(target=self._await_silence, args=(sub, seconds), daemon=True))
            if wanted.death:
                watch = node.watch()
                self._open.append(watch)
                threads.append(threading.Thread(target=self._await_death, args=(watch, wanted.death), daemon=True))
            if wanted.loss:
                threads.append(threading.Thread(target=self._await_loss, args=(lost,), daemon=True))
        except BaseException:
            self.close()
            raise
        for thread in threads:
            thread.start()

    def close(self) -> None:
        """Wait for nothing any more; idempotent."""
        self._ended.set()
        for each in self._open:
            each.close()

    def _on_message(self, message: Message) -> None:
        self._fire(f"a message on {message.topic}", "")

    def _await_silence(self, sub: Subscriber, seconds: float) -> None:
        heard = False
        while True:
            try:
                sub.recv(seconds if heard else None)
                heard = True
            except ClosedError:
                return
            except TimeoutError:
                heard = False
                self._fire(f"nothing on {sub.topic} for {seconds:g} s", f"silence {sub.topic}")

    def _await_death(self, watch: Watch[Event], name: bool | str) -> None:
        with contextlib.suppress(ClosedError):
            for event in watch:
                if isinstance(event, NodeLost) and event.reason in _DEATHS and name in (True, event.node.name):
                    self._fire(f"node {event.node.name} of {event.node.host}: {event.reason}", "")

    def _await_loss(self, lost: Callable[[], Counter[str]]) -> None:
        before = lost()
        while not self._ended.wait(_LOOK):
            now = lost()
            more = {cause: count - before[cause] for cause, count in now.items() if count > before[cause]}
            before = now
            if more:
                told = ", ".join(f"{count} by {cause}" for cause, count in sorted(more.items()))
                self._fire(f"messages were lost: {told}", "loss")
