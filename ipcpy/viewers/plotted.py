"""The numbers of a message as datagrams that PlotJuggler's UDP server reads. Knows values and its JSON; pure.

PlotJuggler's parser makes a series of each number and bool, and names it by the way to it: keys behind ``/``, places in
arrays as ``[2]``; so ``/arm/joints[2]`` is the third number of ``joints`` on the topic ``arm``. A way that is written
out as a key makes the same series, so a message that does not fit into a datagram is shared out to several. One whose
JSON it cannot parse stops that server: no NaN, no number beyond a double, no broken text is ever sent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["STAMP", "datagrams", "numbers"]

STAMP = "timestamp"  # the field with the time
SIZE = 2048  # bytes of a datagram: releases of PlotJuggler read no more of one
MAX_NUMBERS = 4096  # of a message
MAX_ARRAY = 256  # numbers of an array that are plotted: an image is none
_MAX_NAME = 512  # bytes of the way to a number
_MAX_DEPTH = 16
_MAX_INT = 1 << 63


def numbers(data: Any) -> list[tuple[str, float | int | bool]]:
    """Return the ways to the numbers of a message, each with its number, in order.

    What is no finite number, lies deeper than 16 levels or under a very long name is left out, and so is an array of
    more than 256 numbers; of all of them 4,096 are returned.

    >>> numbers({"gz": 0.5, "ok": True, "name": "imu", "acc": [1, 2]})
    [('/gz', 0.5), ('/ok', True), ('/acc[0]', 1), ('/acc[1]', 2)]
    """
    found: list[tuple[str, float | int | bool]] = []
    for way, number in _walk("", data, 0):
        if len(way) <= _MAX_NAME:
            found.append((way, number))
            if len(found) == MAX_NUMBERS:
                break
    return found


def _walk(way: str, value: Any, depth: int) -> Iterator[tuple[str, float | int | bool]]:
    if isinstance(value, bool | int):
        if -_MAX_INT <= value < _MAX_INT:
            yield way, value
        return
    if isinstance(value, float):
        if math.isfinite(value):
            yield way, value
        return
    if value is None or isinstance(value, str | bytes | bytearray | memoryview) or depth == _MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(f"{way}/{key if isinstance(key, str | int) else ''}", item, depth + 1)
    elif hasattr(value, "dtype"):
        if value.size <= MAX_ARRAY:
            yield from _walk(way, value.tolist(), depth + 1)
    elif hasattr(value, "_fields"):
        for key, item in zip(value._fields, value, strict=True):
            yield from _walk(f"{way}/{key}", item, depth + 1)
    elif isinstance(value, list | tuple) and len(value) <= MAX_NUMBERS:
        for n, item in enumerate(value):
            yield from _walk(f"{way}[{n}]", item, depth + 1)


def datagrams(topic: str, stamp: float, found: list[tuple[str, float | int | bool]]) -> list[bytes]:
    """Return the datagrams that carry numbers; none for no numbers.

    Args:
        topic: their topic.
        stamp: their time, in seconds.
        found: what ``numbers`` returned.
    """
    if not found:
        return []
    head = f'{{"{STAMP}":{stamp!r}'
    # the number of a topic that is called as the time would be taken for it
    named = [(topic + way if way or topic != STAMP else f"{topic}/data", number) for way, number in found]
    made: list[bytes] = []
    parts, size = [head], len(head) + 1
    for name, number in named:
        part = f",{_text(name)}:{json.dumps(number)}"
        if len(part) + size > SIZE and len(parts) > 1:
            made.append(_close(parts))
            parts, size = [head], len(head) + 1
        parts.append(part)
        size += len(part)
    made.append(_close(parts))
    return made


def _close(parts: list[str]) -> bytes:
    return ("".join(parts) + "}").encode("ascii")


def _text(name: str) -> str:
    """Return a name as JSON, in ASCII: a lone half of a character, which no parser takes, becomes ``?``."""
    return json.dumps(name.encode("utf-8", "replace").decode())
