"""Which topics are shown. Knows names and patterns, under a node's namespace; nothing of what is published."""

from __future__ import annotations

from collections.abc import Iterable

import ipcpy as ipc

__all__ = ["Choice", "patterns"]


def patterns(node: ipc.Node, names: str | Iterable[str]) -> tuple[str, ...]:
    """Return names and patterns as others see them.

    Raises:
        ArgumentError: one is neither.
    """
    return tuple(node.resolve(name) for name in ((names,) if isinstance(names, str) else names))


class Choice:
    """Topics that were asked for.

    Args:
        node: under whose namespace they are.
        topics: names and patterns.
        exclude: those that are left out.

    Raises:
        ArgumentError: one of them is no name or pattern, or nothing is asked for.
    """

    def __init__(self, node: ipc.Node, topics: str | Iterable[str], exclude: str | Iterable[str] = ()) -> None:
        self._topics = patterns(node, topics)
        self._exclude = patterns(node, exclude)
        if not self._topics:
            raise ipc.ArgumentError("topics are names or patterns, such as ['imu', 'camera/**']; got none")

    def takes(self, topic: str) -> bool:
        """Tell whether a topic is shown."""
        return _among(self._topics, topic) and not _among(self._exclude, topic)


def _among(patterns: Iterable[str], topic: str) -> bool:
    return any(ipc.matches(pattern, topic) for pattern in patterns)
