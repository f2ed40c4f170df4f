"""What a page says that it wants to see. Pure: JSON that came from a browser in, values out; what is wrong is said."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["MAX_TEXT", "PlotWant", "Wants", "read_page"]

MAX_TEXT = 1 << 18  # bytes of what a page may say at once
MAX_PLOTS = 400
MAX_TREES = 32
MAX_IMAGES = 32
_LONGEST = 1000  # characters of an id, a topic or a field
_WIDTH = 1280  # pixels of an image where the page does not say


@dataclass(frozen=True)
class PlotWant:
    """A line of a plot.

    Attributes:
        id: what the page calls it.
        topic: the topic's id.
        field: the path of the field.
        seconds: how much time is shown.
        columns: how many columns of pixels there are for it.
        begin: what is shown begins here, where the page stands still; else None.
        end: and ends here.
    """

    id: str
    topic: str
    field: str
    seconds: float
    columns: int
    begin: float | None = None
    end: float | None = None

    @property
    def width(self) -> float:
        """Seconds of a column."""
        span = self.seconds if self.begin is None or self.end is None else self.end - self.begin
        return span / self.columns


@dataclass(frozen=True)
class Wants:
    """All that a page looks at.

    Attributes:
        plots: by their id.
        trees: ids of topics whose newest message is shown.
        images: by the id of the topic, how wide it is shown.
        hidden: whether ipcpy's own topics are shown.
    """

    plots: dict[str, PlotWant] = field(default_factory=dict)
    trees: tuple[str, ...] = ()
    images: dict[str, int] = field(default_factory=dict)
    hidden: bool = False

    def topics(self) -> dict[str, set[str]]:
        """Return what is to be heard: by topic, which fields are plotted."""
        made: dict[str, set[str]] = {id: set() for id in (*self.trees, *self.images)}
        for plot in self.plots.values():
            made.setdefault(plot.topic, set()).add(plot.field)
        return made


def read_page(text: str) -> tuple[Wants | None, int | None, list[str]]:
    """Read what a page said.

    Returns:
        What it wants, or None; the number of the round that it answers, or None; and what is wrong, in sentences.
    """
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None, None, ["what the page said is no JSON"]
    if not isinstance(said, dict):
        return None, None, ["what the page said is no JSON object"]
    pong = said.get("pong")
    number = pong if isinstance(pong, int) and not isinstance(pong, bool) else None
    if "want" not in said:
        return None, number, [] if number is not None else ["what the page said has neither want nor pong"]
    if not isinstance(said["want"], dict):
        return None, number, ["want is a JSON object"]
    wrong: list[str] = []
    return _wants(said["want"], wrong), number, wrong


def _wants(said: dict[str, Any], wrong: list[str]) -> Wants:
    plots = _each(said, "plots", MAX_PLOTS, _plot, wrong)
    trees = _each(said, "trees", MAX_TREES, _text, wrong)
    images = _each(said, "images", MAX_IMAGES, _image, wrong)
    return Wants({plot.id: plot for plot in plots}, tuple(dict.fromkeys(trees)), dict(images), bool(said.get("hidden")))


def _each(said: dict[str, Any], what: str, most: int, read: Callable[[Any], Any], wrong: list[str]) -> Iterable[Any]:
    items = said.get(what, [])
    if not isinstance(items, list):
        wrong.append(f"{what} is a list")
        return []
    if len(items) > most:
        wrong.append(f"{len(items)} {what} are wanted; the first {most} are shown")
    made = []
    for item in items[:most]:
        try:
            made.append(read(item))
        except (KeyError, TypeError, ValueError, OverflowError):
            wrong.append(f"this is none of {what}: {json.dumps(item):.200}")
    return made


def _text(item: Any) -> str:
    if not isinstance(item, str) or len(item) > _LONGEST:
        raise ValueError
    return item


def _image(item: Any) -> tuple[str, int]:
    if isinstance(item, str):
        return _text(item), _WIDTH
    if not isinstance(item, dict):
        raise ValueError
    return _text(item["topic"]), min(4096, max(16, int(item.get("width", _WIDTH))))


def _plot(item: Any) -> PlotWant:
    if not isinstance(item, dict):
        raise ValueError
    seconds, columns = float(item.get("seconds", 30.0)), int(item.get("columns", 800))
    if not (math.isfinite(seconds) and 0.01 <= seconds <= 1e6 and 1 <= columns <= 10_000):
        raise ValueError
    begin: Any = item.get("from")
    end: Any = item.get("to")
    if begin is not None or end is not None:
        begin, end = float(begin), float(end)
        if not (math.isfinite(begin) and math.isfinite(end) and 0 < end - begin <= 1e6):
            raise ValueError
    return PlotWant(_text(item["id"]), _text(item["topic"]), _text(item.get("field", "")), seconds, columns, begin, end)
