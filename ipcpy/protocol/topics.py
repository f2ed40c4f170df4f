"""Topic names and patterns. Knows strings only; nothing of who publishes or subscribes.

A name is 1 to 255 bytes of UTF-8: segments joined by ``/``, none of them empty, without control characters,
spaces or ``*``. In a pattern a segment may be ``*`` (any one segment) or ``**`` (any number of them, none included).

What a user asks for may begin with ``/``, which says that it is whole already: naming.py makes names of that.

Unicode has two ways to write an ``é``, and which one a user types is the keyboard's and the file system's choice. So
every name is brought to one of them, NFC, wherever it comes in: from a user, and from a peer.

Names that begin with ``@ipcpy/`` are ipcpy's own: no user's topic can have one, and no user's pattern stands for one.
"""

from __future__ import annotations

from ..errors import ArgumentError
from ..importing import import_once

MAX_BYTES = 255
OWN = "@ipcpy"  # the first segment of ipcpy's own topics
_MQTT = {"#": "**", "+": "*"}  # what others write for the same


class OwnTopic(str):
    """A topic of ipcpy's own: ``check_topic`` lets it pass, and no namespace or remapping changes it."""

    __slots__ = ()


def own_topic(*segments: str) -> OwnTopic:
    """Return the name of a topic of ipcpy's own.

    >>> own_topic("answer", "7")
    '@ipcpy/answer/7'
    """
    return OwnTopic("/".join((OWN, *segments)))


def is_own(topic: str) -> bool:
    """Tell whether a topic is one of ipcpy's own, which is shown to nobody who does not ask for it."""
    return topic.startswith(OWN) and topic[len(OWN) : len(OWN) + 1] in ("", "/")


def check_topic(topic: object) -> str:
    """Return the topic name, in NFC, if it is one.

    Raises:
        ArgumentError: if it is not, or is a pattern.
    """
    return _name(check_pattern(topic))


def check_pattern(topic: object) -> str:
    """Return the topic name or pattern, in NFC, if it is one that a user may choose.

    Raises:
        ArgumentError: if it is neither, or is ipcpy's own, or has MQTT's ``#`` or ``+`` for a segment, which are names
            here and would match nothing.
    """
    name = _checked(topic)
    if is_own(name) and not isinstance(topic, OwnTopic):
        raise ArgumentError(f"names that begin with '{OWN}/' are ipcpy's own, got {topic!r}")
    for segment in name.split("/"):
        if segment in _MQTT:
            raise ArgumentError(f"a segment {segment!r} is MQTT's: use {_MQTT[segment]} here, got {topic!r}")
    return name


def check_asked(asked: object) -> tuple[bool, str]:
    """Return whether what a user asked for is absolute, and the name or pattern that it has, in NFC.

    Raises:
        ArgumentError: as ``check_pattern``.

    >>> check_asked("imu"), check_asked("/robot2/imu")
    ((False, 'imu'), (True, 'robot2/imu'))
    """
    absolute = isinstance(asked, str) and asked.startswith("/") and asked[1:2] not in ("", "/")
    return absolute, check_pattern(asked[1:] if absolute and isinstance(asked, str) else asked)


def told_topic(topic: str) -> str:
    """Return a topic name that a peer told, in NFC.

    Raises:
        ArgumentError: if it is none.
    """
    return _name(_checked(topic))


def told_pattern(topic: str) -> str:
    """Return a topic name or pattern that a peer told, in NFC.

    Raises:
        ArgumentError: if it is neither.
    """
    return _checked(topic)


def _name(topic: str) -> str:
    if is_pattern(topic):
        raise ArgumentError(f"a publisher's topic cannot be a pattern, got {topic!r}")
    return topic


def _checked(topic: object) -> str:
    if not isinstance(topic, str):
        raise ArgumentError(f"a topic is a str such as 'robot/imu', got {type(topic).__name__}")
    name = topic if topic.isascii() else _composed(topic)
    problem = _problem(name)
    if problem:
        raise ArgumentError(f"a topic is a name such as 'robot/imu': {problem}, got {topic!r}")
    return name


def _composed(topic: str) -> str:
    """Return a text in NFC, which ASCII always is."""
    import_once("unicodedata")  # in the I/O thread, if a peer tells such a topic first
    import unicodedata

    return unicodedata.normalize("NFC", topic)


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
    if is_own(topic) and not is_own(pattern):
        return False
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
