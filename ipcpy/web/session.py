"""One page: what it wants, what it has been sent, and what it is sent next. Knows no socket.

What is sent is made when there is room for it, of what is newest then. So a page that reads slowly is told less, and
there is no queue that grows: the page answers each round (``ping``, ``pong``), and two may be without an answer.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .picture import split_id
from .stage import Stage
from .wants import PlotWant, Wants, read_page

__all__ = ["Session", "dumps"]

UNANSWERED = 2  # rounds
ROUND = 4 << 20  # bytes of one, but for its last message
EVENTS = 200  # that a new page is told
TREE = 0.25  # seconds between two messages of one topic
PLOT = 2.0  # seconds that a line may be old
LINES = 400  # that are sent each second, of all plots


def dumps(value: object) -> str:
    """Return the shortest JSON of a value."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


@dataclass
class _Line:
    """What was sent of a plot's line."""

    want: PlotWant
    sent: float = -math.inf  # when
    added: int = -1  # how many samples the series had then; -1 before
    open: float = 0.0  # where its last column begins


class Session:
    """A page that is open.

    Args:
        stage: what there is to see.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.wants = Wants()
        self._lines: dict[str, _Line] = {}
        self._trees: dict[str, tuple[float, object]] = {}
        self._images: dict[str, int] = {}
        self._missed: dict[str, int] = {}
        self._graph = self._rows = self._record = 0
        self._event = max(0, stage.chronicle.last - EVENTS)
        self._greeted: tuple[str, ...] | None = None
        self._notices: deque[str] = deque(maxlen=20)
        self._round = self._answered = 0

    def take(self, text: str) -> None:
        """Take what the page said."""
        wants, pong, wrong = read_page(text)
        if pong is not None and self._answered < pong <= self._round:
            self._answered = pong
        if wants is not None:
            wrong += self._stage.hearing.want(self, wants.topics())
            if wants.hidden != self.wants.hidden:
                self._graph = 0
            self.wants = wants
            self._lines = {
                id: line if (line := self._lines.get(id)) is not None and line.want == want else _Line(want)
                for id, want in wants.plots.items()
            }
            self._trees = {id: self._trees[id] for id in wants.trees if id in self._trees}
            self._images = {id: self._images[id] for id in wants.images if id in self._images}
        for each in wrong[:10]:
            self._notices.append(dumps({"kind": "notice", "level": "warning", "text": each}))

    @property
    def waits(self) -> bool:
        """Whether the page has to answer before it is sent more."""
        return self._round - self._answered >= UNANSWERED

    def close(self) -> None:
        """Look at nothing any more."""
        self._stage.hearing.leave(self)

    def round(self, now: float) -> list[str | bytes]:
        """Return what is to be sent now; empty where there is no news, or the page is slow.

        Args:
            now: steady seconds.
        """
        if self.waits:
            return []
        made: list[str | bytes] = []
        size = 0
        for message in self._news(now):
            made.append(message)
            size += len(message)
            if size >= ROUND:
                break
        if made:
            self._round += 1
            made.append(f'{{"kind":"ping","n":{self._round}}}')
        return made

    def _news(self, now: float) -> Iterator[str | bytes]:
        """Yield what there is to say; what is not asked for stays to be said."""
        domains = self._stage.domains()
        if self._greeted != domains:  # also where a domain came later: all is told anew
            self._greeted, self._rows = domains, 0
            yield dumps(self._stage.hello())
        while self._notices:
            yield self._notices.popleft()
        version, graph = self._stage.graph(hidden=self.wants.hidden)
        if version > self._graph:
            self._graph = version
            yield graph
        reading, rows = self._stage.rows(self._rows)
        if rows:
            self._rows = reading
            yield rows
        version, record = self._stage.record()
        if version > self._record:
            self._record = version
            yield record
        for event in self._stage.chronicle.after(self._event, EVENTS):
            self._event = event["id"]
            yield dumps(event)
        yield from self._shown_losses()
        for line in self._lines.values():
            points = self._points(line, now)
            if points is not None:
                yield dumps(points)
        yield from self._shown_trees(now)
        yield from self._shown_images()

    def _points(self, line: _Line, now: float) -> dict[str, Any] | None:
        want = line.want
        ear = self._stage.hearing.ears.get(want.topic)
        series = None if ear is None else ear.series.get(want.field)
        if series is None or line.added == series.added or (want.begin is not None and line.added >= 0):
            return None
        if now - line.sent < min(PLOT, max(want.width / 4, len(self._lines) / LINES)):
            return None
        width, last, reset = want.width, series.last or 0.0, line.added < 0
        begin = line.open
        if want.begin is not None:
            begin, last = want.begin, want.end or 0.0
        elif reset:
            if series.last is None:
                return None
            begin = last - want.seconds
        columns = series.columns(begin, last, width)
        line.added, line.sent, line.open = series.added, now, math.floor(last / width) * width
        return {
            "kind": "points",
            "id": want.id,
            "reset": reset,
            "since": math.floor(begin / width) * width,
            "t": columns.t,
            "low": columns.low,
            "high": columns.high,
            "samples": columns.samples,
            "thinned": columns.thinned,
            "rate": round(series.rate(), 3),
        }

    def _shown_losses(self) -> Iterator[str]:
        """Say which messages are in no plot, since they did not arrive here."""
        for id in dict.fromkeys(plot.topic for plot in self.wants.plots.values()):
            ear = self._stage.hearing.ears.get(id)
            missed = sum(ear.missed.values()) if ear is not None else 0
            new = missed - self._missed.get(id, missed)
            self._missed[id] = missed
            if ear is not None and new > 0:
                causes = ", ".join(f"{count:,} {cause}" for cause, count in ear.missed.items() if count)
                what = f"{split_id(id)[1]}: {new:,} messages are in no plot: they did not reach this server"
                yield dumps({"kind": "notice", "level": "warning", "text": f"{what} ({causes} in all)"})

    def _shown_trees(self, now: float) -> Iterator[str]:
        for id in self.wants.trees:
            sent, shown = self._trees.get(id, (-math.inf, None))
            ear = self._stage.hearing.ears.get(id)
            if ear is None or ear.newest is None or ear.newest is shown or now - sent < TREE:
                continue
            self._trees[id] = now, ear.newest
            yield dumps(self._stage.shown_message(id))

    def _shown_images(self) -> Iterator[bytes]:
        for id, width in self.wants.images.items():
            frame = self._stage.gallery.frame(id, width)
            if frame is not None and frame.number != self._images.get(id):
                self._images[id] = frame.number
                yield frame.data
