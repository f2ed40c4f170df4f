"""The screen of one topic: its flows, its newest message as a tree, and a plot of one of its numbers. Knows widgets,
and who listens; nothing of how rates come about.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

from textual.binding import Binding
from textual.containers import Horizontal
from textual.css.query import NoMatches
from textual.strip import Strip
from textual.widget import Widget

import ipcpy as ipc

from ..overview.rows import TopicRow
from ..overview.text import duration, per_second, percent, printable, size
from ..overview.values import Path, text_of
from .cells import FLOW, Line, heads, line
from .lines import Lines, strip_of
from .listening import Listening
from .outline import Twig, outline
from .plot import plot
from .screens import Bar, TopScreen

__all__ = ["TopicScreen"]

LOOK = 0.2  # seconds between two looks at what came
SPANS = (2.0, 5.0, 10.0, 30.0, 60.0, 300.0)  # seconds that a plot shows


class Plot(Widget):
    """A plot of values over time."""

    def __init__(self, *, plain: bool) -> None:
        super().__init__(id="plot")
        self._plain = plain
        self._drawn: list[str] = []

    def show(self, points: Iterator[tuple[float, float]], end: float, seconds: float) -> None:
        """Show other values."""
        width, height = self.size
        if width > 12 and height > 1:
            self._drawn = plot(points, width, height, end=end, seconds=seconds, ascii=self._plain)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw a line of the screen."""
        text = self._drawn[y] if y < len(self._drawn) else ""
        return strip_of(((text, ""),), self.size.width, self.rich_style)


class TopicScreen(TopScreen):
    """One topic.

    Args:
        domain: the domain it is in.
        topic: its whole name.
    """

    KEYS = "q quit  esc back  tab flows/message  enter plot  + - time  space hold  ? help"
    BINDINGS = [
        Binding("escape,backspace,left", "dismiss", "back"),
        Binding("plus,equals_sign", "span(-1)", "less time"),
        Binding("minus", "span(1)", "more time"),
        Binding("tab", "other", "flows or message", priority=True),
    ]

    def __init__(self, domain: str, topic: str) -> None:
        super().__init__()
        self._domain, self._topic = domain, topic
        self._listening: Listening | None = None
        self._refused = ""
        self._turned: set[Path] = set()
        self._span = 2
        self._shown: ipc.Message | None = None
        self._end = time.time()

    def body(self) -> Iterator[Widget]:
        """Yield flows above, message and plot below."""
        plain = self.owner.plain
        yield Bar("heads", plain=plain)
        yield Lines(id="flows", plain=plain)
        yield Bar("what", plain=plain)
        yield Horizontal(Lines(id="message", plain=plain), Plot(plain=plain), id="below")

    def on_mount(self) -> None:
        """Listen."""
        node = self.owner.fleet.node(self._domain)
        try:
            self._listening = Listening(node, self._topic) if node is not None else None
        except ipc.IpcError as error:
            self._refused = str(error)
        super().on_mount()
        self.query_one("#message", Lines).focus()
        self.set_interval(LOOK, self.look)

    def on_unmount(self) -> None:
        """Listen no more."""
        if self._listening is not None:
            self._listening.close()

    @property
    def row(self) -> TopicRow | None:
        """The topic, as the newest reading has it; None once it is gone."""
        return self.owner.overview.topic(self._domain, self._topic)

    def title_pieces(self) -> Line:
        """Return the title: the topic, and how it fares."""
        row = self.row
        name = printable(self._topic) + (f" ({printable(self._domain)})" if self.owner.fleet.several else "")
        held = (("  HELD: space goes on", "bold reverse"),) if self.owner.held else ()
        if row is None:
            return ((name, "bold"), ("  is gone: nobody publishes it or subscribes to it", "yellow"), *held)
        known = [row.codec or "no publisher"]
        if row.rate is not None:
            known += [f"{per_second(row.rate)} Hz", f"{size(row.bandwidth or 0.0)}/s"]
        if row.latency is not None:
            known.append(f"latency {duration(row.latency[0])} to {duration(row.latency[2])}")
        lossy = (f"  loses {percent(row.loss)}", "bold yellow") if row.loss else ("", "")
        return ((name, "bold"), ("  " + "  ".join(known), ""), lossy, *held)

    def remark(self) -> Line:
        """Say why it does not arrive, and what was lost."""
        row = self.row
        if self._refused or self.owner.trouble():
            return ((printable(self._refused or self.owner.trouble()), "bold yellow"),)
        if row is not None and row.causes:
            lost = ", ".join(f"{cause} {number:,}" for cause, number in row.causes.items())
            return ((printable(f"lost {row.lost:,}: {lost}. {' '.join(row.why)}"), "yellow" if row.loss else ""),)
        if row is not None and row.why:
            return ((printable(" ".join(row.why)), ""),)
        if self._listening is not None and self._listening.newest is None:
            return ((printable(self._listening.why() or "nothing was published since you look"), ""),)
        return ()

    def draw(self) -> None:
        """Show the flows."""
        row, width = self.row, self.size.width
        flows = (*row.flows, *row.waiting) if row is not None else ()
        table = self.query_one("#flows", Lines)
        table.styles.height = max(1, min(len(flows), max(2, self.size.height // 3)))
        self.query_one("#heads", Bar).show(*heads(FLOW, width))
        table.show([line(FLOW, flow, width) for flow in flows], [(flow.publisher, flow.subscriber) for flow in flows])

    def look(self) -> None:
        """Take what came, and show it unless the picture is held."""
        listening = self._listening
        if listening is None:
            return
        listening.look()
        if self.owner.held:
            return
        self._end = time.time()
        with suppress(NoMatches):  # the screen is being taken down
            if listening.newest is not self._shown:
                self._shown = listening.newest
                self._draw_message()
            self._draw_plot()

    def _draw_message(self) -> None:
        listening, message = self._listening, self._shown
        if listening is None or message is None:
            return
        twigs = outline(message.data, self._turned)
        self.query_one("#message", Lines).show(
            [_twig_line(twig, chosen=twig.number and twig.path == listening.field) for twig in twigs],
            [twig.path for twig in twigs],
        )

    def _draw_plot(self) -> None:
        listening = self._listening
        if listening is None:
            return
        seconds = SPANS[self._span]
        self.query_one(Plot).show(iter(tuple(listening.points)), self._end, seconds)
        message, field = self._shown, listening.field
        what = f"message {message.seq:,}" if message is not None else "no message yet"
        plotted = f"plot of {text_of(field) or 'its value'}" if field is not None else "no number to plot"
        more = f"; {listening.skipped:,} too many to plot" if listening.skipped else ""
        half = max(1, self.size.width // 2)
        self.query_one("#what", Bar).show((f"{what}".ljust(half)[:half], "bold"), (printable(plotted + more), "bold"))

    # -- keys ----------------------------------------------------------------------------------------------------------

    def on_lines_chosen(self, event: Lines.Chosen) -> None:
        """Plot the number, or open and shut what is below a line."""
        if event.lines.id != "message" or self._listening is None or self._shown is None:
            return
        path: Path = event.key  # type: ignore[assignment]
        twig = next((twig for twig in outline(self._shown.data, self._turned) if twig.path == path), None)
        if twig is not None and twig.number:
            self._listening.plot(path)
        elif twig is not None and twig.folds:
            self._turned ^= {path}
        self._draw_message()
        self._draw_plot()

    def action_span(self, by: int) -> None:
        """Plot more or less time."""
        self._span = max(0, min(len(SPANS) - 1, self._span + by))
        self._draw_plot()

    def action_other(self) -> None:
        """Go from the flows to the message, and back."""
        flows = self.query_one("#flows", Lines)
        self.query_one("#message" if flows.has_focus else "#flows", Lines).focus()


def _twig_line(twig: Twig, *, chosen: bool) -> Line:
    sign = ("- " if twig.shown else "+ ") if twig.folds else "* " if chosen else "  "
    name = printable(f"{twig.name}: " if twig.name and twig.text else twig.name)
    return ((f"{'  ' * twig.depth}{sign}", "bold"), (name, "bold" if chosen else ""), (twig.text, "cyan"))
