"""Topic names and patterns. Knows strings only.

A name is 1 to 255 bytes of UTF-8: segments joined by ``/``, none of them empty, without control characters,
spaces or ``*``. In a pattern a segment may be ``*`` (any one segment) or ``**`` (any number of them, none included).
"""

from __future__ import annotations

from ..errors import ArgumentError

MAX_BYTES = 255


def check_topic(topic: object) -> str:
    """Return the topic name if it is one.

    Raises:
        ArgumentError: if it is not, or is a pattern.
    """
    name = check_pattern(topic)
    if is_pattern(name):
        raise ArgumentError(f"a publisher's topic cannot be a pattern, got {name!r}")
    return name


def check_pattern(topic: object) -> str:
    """Return the topic name or pattern if it is one.

    Raises:
        ArgumentError: if it is neither.
    """
    if not isinstance(topic, str):
        raise ArgumentError(f"a topic is a str such as 'robot/imu', got {type(topic).__name__}")
    problem = _problem(topic)
    if problem:
        raise ArgumentError(f"a topic is a name such as 'robot/imu': {problem}, got {topic!r}")
    return topic


def is_pattern(topic: str) -> bool:
    """Tell whether a topic is a pattern rather than a name."""
    return "*" in topic


def _problem(topic: str) -> str:
    if not topic:
        return "it is empty"
    if len(topic.encode(errors="replace")) > MAX_BYTES:
        return f"it is longer than {MAX_BYTES} bytes"
    if not topic.isprintable() or " " in topic:
        return "it has a space or a character that does not print"
    for segment in topic.split("/"):
        if not segment:
            return "it begins or ends with '/', or has '//'"
        if "*" in segment and segment not in ("*", "**"):
            return "'*' and '**' stand for whole segments only"
    return ""


def matches(pattern: str, topic: str) -> bool:
    """Tell whether a name (not a pattern) is one that the pattern stands for.

    >>> matches("robot/*/imu", "robot/7/imu"), matches("robot/**", "robot"), matches("imu", "gps")
    (True, True, False)
    """
    if "*" not in pattern:
        return pattern == topic
    names = topic.split("/")
    reached = {0}  # how many names the segments so far can have eaten: no backtracking, so no blow-up
    for segment in pattern.split("/"):
        if segment == "**":
            reached = set(range(min(reached), len(names) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(names) and segment in ("*", names[at])}
        if not reached:
            return False
    return len(names) in reached
