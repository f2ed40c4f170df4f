"""What ``ipcpy pub`` publishes: of an argument, or of lines. Knows JSON and recordings; nothing of publishing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import click

from .jsonform import from_json, is_record, loads
from .streams import stdin_lines

__all__ = ["Item", "read_data", "read_lines"]

LONG = 1_000  # digits; Python reads 4,300 of them, and no codec takes more than 20


@dataclass(frozen=True)
class Item:
    """One message to publish.

    Attributes:
        data: the data.
        codec: ``msgpack``, ``raw`` or ``struct``.
        described: for struct, the message's description with its id.
        sent_ns: when it was published first, 0 if never.
        topic: on which it was published first; empty if never.
        line: the number of its line; 0 for an argument.
    """

    data: Any
    codec: str = "msgpack"
    described: dict[str, Any] = field(default_factory=dict)
    sent_ns: int = 0
    topic: str = ""
    line: int = 0

    def refusal(self, why: object) -> click.ClickException:
        """Make the error that says why it cannot be published, and which line it is."""
        return click.ClickException(f"line {self.line} of standard input: {why}" if self.line else str(why))


def read_data(text: str) -> Any:
    """Make data of an argument or a line: JSON if it is that, else the text itself.

    Raises:
        click.UsageError: it begins like a JSON object, array or string, and is none.
    """
    try:
        return from_json(loads(text))
    except RecursionError:
        raise click.UsageError(f"this is nested too deep: {text!r:.80}") from None
    except ValueError as error:
        is_long_number = len(text) > LONG and text.lstrip("-").isdigit()
        if text.lstrip()[:1] in ("{", "[", '"') or is_long_number:
            raise click.UsageError(f"this is neither JSON nor plain text: {text!r:.80}: {error}") from None
        return text


def read_lines() -> Iterator[Item]:
    """Yield a message for each line of standard input that is not blank.

    Raises:
        click.UsageError: standard input is closed.
        click.ClickException: a line is none; the text names it.
    """
    if sys.stdin is None:
        raise click.UsageError("no DATA, and standard input is closed: there is nothing to publish")
    return _read_lines()


def _read_lines() -> Iterator[Item]:
    lines, number = stdin_lines(), 0
    while True:
        number += 1
        try:
            line = next(lines, None)
            if line is None:
                return
            item = replace(_read_item(line), line=number) if line.strip() else None
        except RecursionError:
            raise Item(None, line=number).refusal("it is nested too deep") from None
        except (ValueError, click.UsageError) as error:
            raise Item(None, line=number).refusal(error) from None
        if item is not None:
            yield item


def _read_item(line: str) -> Item:
    try:
        read = loads(line)
    except ValueError:
        return Item(read_data(line))
    if not is_record(read):
        return Item(from_json(read))
    codec, described = read["codec"], read.get("struct") or {}
    if codec == "struct" and not (isinstance(described, dict) and isinstance(described.get("id"), int)):
        raise ValueError("a struct message without its id: its library has several messages of one type")
    if codec not in ("struct", "msgpack", "raw"):
        raise ValueError(f"codec {codec!r:.80} is not one of ipcpy's")
    if not isinstance(read["topic"], str):
        raise ValueError(f"its topic is {read['topic']!r:.80}, which is no text")
    sent_ns = read["sent_ns"]
    return Item(from_json(read["data"]), codec, described, sent_ns if isinstance(sent_ns, int) else 0, read["topic"])
