"""A message as lines of a tree. Knows what ``overview.values`` makes of messages; nothing of topics or of drawing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from ..overview.text import plural, printable
from ..overview.values import Path, tree

__all__ = ["Twig", "outline"]

MAX_LINES = 500
OPEN = 6  # items up to which a list is shown item by item, unless somebody opens it
ARRAY = 8  # values of an array that are shown in its line


class Twig(NamedTuple):
    """A line of the tree.

    Attributes:
        depth: how deep it lies.
        path: what leads there.
        name: the last step of it.
        text: its value, or what stands for it.
        number: whether it is a number, which can be plotted.
        folds: whether it has lines below it, shown or not.
        shown: whether they are shown.
    """

    depth: int
    path: Path
    name: str
    text: str
    number: bool = False
    folds: bool = False
    shown: bool = False


def outline(data: Any, turned: Collection[Path] = ()) -> list[Twig]:
    """Return the lines that show a message.

    Short lists and all mappings are shown with what is in them, long lists and arrays are not; for those in ``turned``
    it is the other way round. At most 500 lines.
    """
    lines: list[Twig] = []
    for twig in _twigs(tree(data), (), 0, turned):
        if len(lines) == MAX_LINES:
            lines.append(Twig(0, (), "...", "more is not shown"))
            break
        lines.append(twig)
    return lines


def _twigs(value: Any, path: Path, depth: int, turned: Collection[Path], name: str = "") -> Iterator[Twig]:
    number = isinstance(value, int | float) or (isinstance(value, dict) and bool({"$float", "$int"} & value.keys()))
    children = dict(_children(value))
    if not children:
        yield Twig(depth, path, name, _text(value), number)
        return
    shown = (not isinstance(value, list) or len(value) <= OPEN) and not _is_array(value)
    shown = shown != (path in turned)
    if path or not shown or _is_array(value):
        yield Twig(depth, path, name, _text(value) if _told(value, shown) else "", False, True, shown)
        depth += 1
    if shown:
        for step, child in children.items():
            yield from _twigs(child, (*path, step), depth, turned, f"[{step}]" if isinstance(step, int) else step)


def _children(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, list):
        yield from ((place, item) for place, item in enumerate(value) if not _more(item))
    elif _is_array(value):
        if len(value["shape"]) == 1:
            yield from enumerate(value["$array"])
    elif isinstance(value, dict) and "$map" in value:
        yield from ((key, item) for key, item in value["$map"] if isinstance(key, str | int))
    elif isinstance(value, dict) and not any(key.startswith("$") and key != "$more" for key in value):
        yield from ((key, item) for key, item in value.items() if key != "$more")


def _told(value: Any, shown: bool) -> bool:
    """Tell whether a line says what a value is, though its parts are shown: of fields they say enough."""
    return not shown or not isinstance(value, dict) or _is_array(value)


def _is_array(value: Any) -> bool:
    return isinstance(value, dict) and "$array" in value


def _more(item: Any) -> bool:
    return isinstance(item, dict) and item.keys() == {"$more"}


def _text(value: Any) -> str:
    """Write a value in a line."""
    if isinstance(value, list):
        left = value[-1]["$more"] if value and _more(value[-1]) else 0
        return plural(len(value) - bool(left) + left, "item")
    if not isinstance(value, dict):
        return (
            printable(value) if isinstance(value, str) else f"{value:.9g}" if isinstance(value, float) else str(value)
        )
    if _is_array(value):
        shape = "x".join(map(str, value["shape"]))
        values = ", ".join(_text(each) for each in value["$array"][:ARRAY])
        return printable(f"{value['dtype']}[{shape}]  {values}{', ...' if len(value['$array']) > ARRAY else ''}")
    if "$bytes" in value:
        return f"bytes[{value['size']:,}]  {bytes.fromhex(value['$bytes']).hex(' ')}"
    if "$text" in value:
        return f"{printable(value['$text'])} ({value['size']:,} characters)"
    for key in ("$float", "$int", "$datetime", "$deep"):
        if key in value:
            return printable(str(value[key]))
    return plural(len(value.get("$map", value)), "field")
