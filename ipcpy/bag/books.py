"""What a recorder said of a recording, and what it counted by publisher, topic and cause. Believes no number."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..errors import CodecError
from .form import BOOKS, CLOCKS, LIBRARY
from .opened import Opened
from .records import METADATA, parse

__all__ = ["about", "last_books", "last_clocks", "lost_by_topic", "merged_books"]


def last_books(file: Opened) -> dict[str, str]:
    """Return the books of a file, JSON by publisher: those that were written last; empty without any."""
    return next((told for name, told in _metadata(file, reverse=True) if name == BOOKS), {})


def last_clocks(file: Opened) -> dict[str, str]:
    """Return the traces of the clocks of a file, JSON by node: those that were written last; empty without any."""
    return next((told for name, told in _metadata(file, reverse=True) if name == CLOCKS), {})


def about(file: Opened) -> dict[str, str]:
    """Return what the recorder said of a file: where and when it ran, why a black box wrote; else empty."""
    return next((told for name, told in _metadata(file, reverse=False) if name == LIBRARY), {})


def _metadata(file: Opened, *, reverse: bool) -> Iterator[tuple[str, dict[str, str]]]:
    from mcap.records import Metadata

    for offset in sorted(file.contents.metadata, reverse=reverse):
        try:
            opcode, content = file.record(offset)
            record = parse(Metadata.read, content, "METADATA")
        except CodecError as error:
            file.note(f"from byte {offset:,}: {error}")
            continue
        if opcode == METADATA:
            yield record.name, dict(record.metadata)


def merged_books(files: Iterable[Opened]) -> dict[str, str]:
    """Return the books of several files: of a publisher that is in more than one, those that go furthest."""
    merged: dict[str, str] = {}
    for file in files:
        for publisher, told in last_books(file).items():
            if publisher not in merged or _received(told) > _received(merged[publisher]):
                merged[publisher] = told
    return merged


def lost_by_topic(books: Mapping[str, str]) -> dict[str, Counter[str]]:
    """Return how many messages were lost, by topic and cause."""
    lost: dict[str, Counter[str]] = {}
    for told in books.values():
        read = _read(told)
        causes = read.get("lost")
        for cause, number in causes.items() if isinstance(causes, dict) else ():
            if isinstance(number, int) and number > 0:
                lost.setdefault(str(read.get("topic", "")), Counter())[cause] += number
    return lost


def _received(told: str) -> int:
    received = _read(told).get("received")
    return received if isinstance(received, int) else 0


def _read(told: str) -> dict[str, Any]:
    try:
        read = json.loads(told)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}
