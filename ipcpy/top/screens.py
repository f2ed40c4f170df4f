"""What all screens have: a title, a body, a line of remarks and one of keys; the screens of nodes and of help. Knows
the widgets of textual; nothing of single topics.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from ..overview.rows import NodeRow
from ..overview.text import plural, printable
from .cells import NODE, Line, heads, line
from .lines import Lines, strip_of

if TYPE_CHECKING:
    from textual.strip import Strip

    from .app import Top

__all__ = ["Bar", "HelpScreen", "NodesScreen", "TopScreen"]


class Bar(Widget):
    """A line of text; one that is higher goes on in its next lines."""

    DEFAULT_CSS = "Bar { height: 1; width: 100%; }"

    def __init__(self, id: str, *, plain: bool = False) -> None:
        super().__init__(id=id)
        self.line: Line = ()
        self._plain = plain

    def show(self, *pieces: tuple[str, str]) -> None:
        """Show pieces of text, each with its style."""
        if pieces != self.line:
            self.line = pieces
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the line, or the part of it that falls on this one."""
        width = self.size.width
        rest = strip_of(self.line, 0, self.rich_style, plain=self._plain)
        for _ in range(y):
            at = _break(rest.text, width) if rest.cell_length > width else rest.cell_length
            rest = rest.crop(at)
        shown = _break(rest.text, width) if rest.cell_length > width and y + 1 < self.size.height else width
        return rest.crop(0, shown).adjust_cell_length(width, self.rich_style)


def _break(text: str, width: int) -> int:
    """Return how many cells of a text that is too wide go on a line: up to behind a blank, if there is one."""
    blank = text.rfind(" ", 0, width)
    return blank + 1 if blank > 0 and text.isascii() else width


class TopScreen(Screen[None]):
    """A screen of ours: title above, remarks and keys below, and what its ``body`` yields between."""

    KEYS = ""
    top: Top

    @property
    def owner(self) -> Top:
        """The program."""
        app: Any = self.app
        return app  # type: ignore[no-any-return]

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        plain = self.owner.plain
        yield Bar("title", plain=plain)
        yield from self.body()
        yield Bar("remark", plain=plain)
        yield Bar("keys", plain=plain)

    def body(self) -> Iterator[Widget]:
        """Yield what stands between."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Show what is known."""
        self.query_one("#keys", Bar).show(*_keys(self.KEYS))
        self.renew()

    def on_resize(self) -> None:
        """Lay out for another size."""
        self.renew()

    def on_screen_resume(self) -> None:
        """Show what came while another screen was there."""
        self.renew()

    def renew(self) -> None:
        """Show the newest reading."""
        if self.size.width:
            with suppress(NoMatches):  # it is not laid out yet, or being taken down
                self.query_one("#title", Bar).show(*self.title_pieces())
                self.query_one("#remark", Bar).show(*self.remark())
                self.draw()

    def draw(self) -> None:
        """Show it in the body."""

    def title_pieces(self) -> Line:
        """Return the title."""
        raise NotImplementedError

    def remark(self) -> Line:
        """Return the line of remarks: of what went wrong, else of what the cursor is on."""
        trouble = self.owner.trouble()
        return ((printable(trouble), "bold yellow"),) if trouble else ()


def _keys(text: str) -> Iterator[tuple[str, str]]:
    """Yield keys in bold and what they do, from ``q quit  n nodes``."""
    for part in text.split("  "):
        key, _, does = part.partition(" ")
        yield key, "bold"
        yield f" {does}  ", ""


class NodesScreen(TopScreen):
    """The nodes, and what each sends and takes."""

    KEYS = "q quit  esc back  enter its topics  ? help"
    BINDINGS = [Binding("escape,backspace,n,left", "dismiss", "back")]

    def body(self) -> Iterator[Widget]:
        """Yield the table."""
        yield Bar("heads", plain=self.owner.plain)
        yield Lines(id="nodes", plain=self.owner.plain)

    def title_pieces(self) -> Line:
        """Return the title."""
        rows = self.owner.overview.nodes()
        silent = sum(row.state != "alive" for row in rows)
        said = f"  {silent} of them silent" if silent else ""
        return (("ipcpy top", "bold"), (f"  {plural(len(rows), 'node')} {self.owner.where}{said}", ""))

    def draw(self) -> None:
        """Show the nodes."""
        rows = self.owner.overview.nodes()
        width = self.size.width
        self.query_one("#heads", Bar).show(*heads(NODE, width))
        self.query_one(Lines).show([line(NODE, row, width) for row in rows], [row.id for row in rows])

    def remark(self) -> Line:
        """Say of the node under the cursor what it publishes and subscribes to."""
        row = self.row
        if row is None or self.owner.trouble():
            return super().remark()
        said = f"{row.name}: ipcpy {row.version} at {row.address or 'here'}, domain {row.domain}"
        topics = "; ".join(
            f"{what} {', '.join(names)}"
            for what, names in (("publishes", row.publishes), ("subscribes to", row.subscribes))
            if names
        )
        return ((printable(f"{said}; {topics}" if topics else said), ""),)

    @property
    def row(self) -> NodeRow | None:
        """The node that the cursor is on."""
        key: Hashable = self.query_one(Lines).key
        return next((row for row in self.owner.overview.nodes() if row.id == key), None)

    def on_lines_moved(self) -> None:
        """Tell of the node that the cursor is on now."""
        self.query_one("#remark", Bar).show(*self.remark())

    def on_lines_chosen(self) -> None:
        """Go back to the topics of this node alone."""
        if (row := self.row) is not None:
            self.owner.filter_by(row.name)
            self.dismiss()


HELP = """\
Topics    up down pgup pgdn home end   move, as j k g G do
          enter                        a topic: its flows, message, plot
          s S                          sort by the next, the last column
          r                            the other way round
          /                            filter; esc ends it, empty shows all
          n                            nodes
A topic   tab                          from flows to message and back
          enter                        plot a number, open a list
          + -                          plot less, more time
          esc                          back
All       space                        hold the picture, and go on
          q, ctrl+c                    quit

A filter's words are found in topic, domain, codec and nodes; robot/* is the
whole name of a topic; !word leaves out.
! before a topic: messages get lost. ?: something is amiss; the line below
says what. P, S: publishers and subscribers. HZ, BYTES/S: as published.
LOSS: of the subscriber that loses most, in the last 5 s. LATENCY: the
median of the slowest. LAST 16 S: how HZ went, a second each."""


class HelpScreen(TopScreen):
    """The keys."""

    KEYS = "q quit  esc back"
    BINDINGS = [Binding("escape,backspace,enter,question_mark,left", "dismiss", "back")]

    def body(self) -> Iterator[Widget]:
        """Yield the text."""
        yield Static(HELP, markup=False, id="help")

    def title_pieces(self) -> Line:
        """Return the title."""
        return (("ipcpy top: keys", "bold"),)
