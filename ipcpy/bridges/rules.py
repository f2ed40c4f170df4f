"""Which topics cross a bridge, in which direction, under which name, and how much of them. Pure; knows names only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import ArgumentError
from ..protocol.topics import check_pattern, check_topic, is_own, matches

__all__ = ["OWN", "Limits", "Route", "Rules"]

OWN = "ipcpy"  # the first segment of what ipcpy tells of itself, which never crosses, as hidden topics do not
_DIRECTIONS = ("in", "out", "both")


class Limits(NamedTuple):
    """How much of a topic crosses.

    Attributes:
        rate: messages a second of each publisher; None for all.
        bandwidth: bytes a second of the topic; None for all.
    """

    rate: float | None = None
    bandwidth: float | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Topics that cross.

    Attributes:
        pattern: a topic or pattern, as it is called here.
        out: whether they are exported.
        into: whether they are imported.
        absolute: whether they have the same name beyond, whatever the prefix.
    """

    pattern: str
    out: bool = True
    into: bool = True
    absolute: bool = False

    @staticmethod
    def read(text: str) -> Route:
        """Return the route of a text: ``imu``, ``out:camera/**``, ``in:cmd``, or with ``/fleet/time`` without prefix.

        Raises:
            ArgumentError: (a ValueError) it is none.
        """
        if not isinstance(text, str):
            raise ArgumentError(f"a topic that crosses is a str such as 'imu' or 'out:camera/**', got {text!r:.80}")
        direction, colon, pattern = text.partition(":")
        if not colon or direction not in _DIRECTIONS:
            direction, pattern = "both", text
        absolute = pattern.startswith("/")
        pattern = check_pattern(pattern.removeprefix("/"))
        return Route(pattern, direction != "in", direction != "out", absolute)


class Rules:
    """What crosses.

    Args:
        topics: what crosses, as ``Route.read`` takes it; by default everything, both ways.
        exclude: topics and patterns that do not, as they are called here.
        prefix: what names beyond begin with: ``imu`` here is ``robot7/imu`` there, and the other way round.
        rate: topic or pattern -> messages a second of each publisher.
        bandwidth: topic or pattern -> bytes a second.

    Raises:
        ArgumentError: (a ValueError) which of them is wrong, and what was expected.
    """

    def __init__(
        self,
        topics: Iterable[str] = (),
        *,
        exclude: Iterable[str] = (),
        prefix: str = "",
        rate: Mapping[str, float] | None = None,
        bandwidth: Mapping[str, float] | None = None,
    ) -> None:
        self.routes = tuple(Route.read(topic) for topic in topics) or (Route("**"),)
        self._exclude = tuple(check_pattern(each) for each in exclude)
        self.prefix = check_topic(prefix.strip("/")) if prefix else ""
        self._rate = {check_pattern(topic): _positive("rate", value) for topic, value in (rate or {}).items()}
        self._bandwidth = {
            check_pattern(topic): _positive("bandwidth", value) for topic, value in (bandwidth or {}).items()
        }

    def beyond(self, topic: str) -> str | None:
        """Return what a topic of this LAN is called beyond; None if it is not exported."""
        for route in self.routes:
            if route.out and matches(route.pattern, topic) and not self._left_out(topic):
                name = self._name(route, topic)
                return name if len(name.encode()) <= 255 else None
        return None

    def here(self, topic: str) -> str | None:
        """Return what a topic from beyond is called here; None if it is not imported."""
        for route in self.routes:
            name = topic if route.absolute or not self.prefix else _without(self.prefix, topic)
            if route.into and name and matches(route.pattern, name) and not self._left_out(name):
                return name
        return None

    def wanted(self) -> tuple[str, ...]:
        """Return the patterns of what is imported, as it is called beyond."""
        own = [self._name(route, route.pattern) for route in self.routes if route.into]
        return tuple(dict.fromkeys(own))

    def limits(self, topic: str) -> Limits:
        """Return how much of a topic, as it is called here, crosses: the first rule that fits counts."""
        return Limits(_first(self._rate, topic), _first(self._bandwidth, topic))

    def _name(self, route: Route, topic: str) -> str:
        return topic if route.absolute or not self.prefix else f"{self.prefix}/{topic}"

    def _left_out(self, topic: str) -> bool:
        if is_own(topic) or topic.split("/", 1)[0] == OWN:
            return True
        return any(matches(each, topic) for each in self._exclude)


def _without(prefix: str, topic: str) -> str:
    return topic.removeprefix(f"{prefix}/") if topic.startswith(f"{prefix}/") else ""


def _first(values: Mapping[str, float], topic: str) -> float | None:
    return next((value for pattern, value in values.items() if matches(pattern, topic)), None)


def _positive(what: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e12:
        raise ArgumentError(f"{what} is a number a second above 0, got {value!r:.40}")
    return float(value)
