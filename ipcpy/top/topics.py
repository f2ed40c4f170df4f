"""The screen with all topics: a table, sorted and filtered. Knows widgets; nothing of how rates come about."""

from __future__ import annotations

from collections.abc import Iterator

from textual.binding import Binding
from textual.widget import Widget
from textual.widgets import Input

from ..overview.rows import KEYS, TopicRow, matching, ordered
from ..overview.text import plural, printable
from .cells import Line, heads, line, topic_columns
from .lines import Lines, MadeLines
from .screens import Bar, TopScreen

__all__ = ["TopicsScreen"]

ORDER = ("topic", "publishers", "subscribers", "rate", "bandwidth", "loss", "latency")


class TopicsScreen(TopScreen):
    """All topics, one a line."""

    KEYS = "q quit  enter look  / filter  s sort  r reverse  n nodes  space hold  ? help"
    BINDINGS = [
        Binding("slash", "filter", "filter"),
        Binding("s", "sort(1)", "sort"),
        Binding("S", "sort(-1)", "sort", show=False),
        Binding("r", "reverse", "reverse"),
        Binding("n", "nodes", "nodes"),
        Binding("escape", "unfilter", "all", show=False),
    ]

    def body(self) -> Iterator[Widget]:
        """Yield the table, and the line to type a filter in."""
        yield Bar("heads", plain=self.owner.plain)
        yield Lines(id="topics", plain=self.owner.plain)
        typed = Input(id="filter", placeholder="words of topics, domains or nodes; robot/*; !without")
        typed.display = False
        yield typed

    def on_mount(self) -> None:
        """Begin in the table."""
        super().on_mount()
        self.query_one(Lines).focus()

    def title_pieces(self) -> Line:
        """Return the title: how much there is, and how it is shown."""
        owner = self.owner
        everything = owner.rows
        shown = matching(everything, owner.filter)
        count = plural(len(everything), "topic")
        count = f"{len(shown)} of {count}" if owner.filter else count
        lossy = sum(bool(row.loss) for row in everything)
        pieces = [("ipcpy top", "bold"), (f"  {count} {owner.where}", "")]
        if lossy:
            pieces.append((f"  {lossy} losing", "bold yellow"))
        if owner.filter:
            pieces.append((f"  filter: {printable(owner.filter)}", "bold"))
        if owner.held:
            pieces.append(("  HELD: space goes on", "bold reverse"))
        return tuple(pieces)

    def draw(self) -> None:
        """Show the topics."""
        owner = self.owner
        columns = topic_columns(self.size.width, domains=owner.fleet.several, bars=owner.bars)
        rows = ordered(matching(owner.rows, owner.filter), owner.sort, reverse=owner.reverse)
        width = self.size.width
        self.query_one("#heads", Bar).show(*heads(columns, width, owner.sort, reverse=owner.reverse))
        made = MadeLines(rows, lambda row: line(columns, row, width))
        self.query_one(Lines).show(made, [row.key for row in rows])

    @property
    def row(self) -> TopicRow | None:
        """The topic that the cursor is on."""
        key = self.query_one(Lines).key
        return next((row for row in self.owner.rows if row.key == key), None)

    def remark(self) -> Line:
        """Say of the topic under the cursor what is amiss, or what it is."""
        row = self.row
        if self.owner.trouble():
            return super().remark()
        if row is None:
            nobody = f"Nobody publishes or subscribes {self.owner.where}. Does a program run there? Try: ipcpy doctor"
            return ((nobody, ""),) if not self.owner.rows and self.owner.read else ()
        if row.causes and row.loss:
            lost = ", ".join(f"{cause} {number:,}" for cause, number in row.causes.items())
            return ((printable(f"{row.topic} lost {row.lost:,}: {lost}. {' '.join(row.why)}"), "bold yellow"),)
        if row.why:
            return ((printable(" ".join(row.why)), "yellow" if row.publishers and row.subscribers else ""),)
        return ((printable(f"{row.topic}: {row.codec or 'no publisher'}, by {', '.join(row.ways) or 'nobody'}"), ""),)

    # -- keys ----------------------------------------------------------------------------------------------------------

    def on_lines_moved(self) -> None:
        """Tell of the topic that the cursor is on now."""
        self.query_one("#remark", Bar).show(*self.remark())

    def on_lines_chosen(self) -> None:
        """Look at the topic."""
        if (row := self.row) is not None:
            self.owner.look_at(row.domain, row.topic)

    def action_nodes(self) -> None:
        """Show the nodes."""
        self.owner.push_screen("nodes")

    def action_sort(self, by: int) -> None:
        """Sort by the next column."""
        order = [*ORDER, "domain"] if self.owner.fleet.several else list(ORDER)
        at = order.index(self.owner.sort) if self.owner.sort in order else 0
        self.owner.sort = order[(at + by) % len(order)]
        assert self.owner.sort in KEYS
        self.owner.reverse = False
        self.renew()

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self.owner.reverse = not self.owner.reverse
        self.renew()

    def action_filter(self) -> None:
        """Let a filter be typed."""
        typed = self.query_one("#filter", Input)
        typed.value = self.owner.filter
        typed.display = True
        typed.focus()

    def action_unfilter(self) -> None:
        """End typing, or show all topics again."""
        typed = self.query_one("#filter", Input)
        if typed.display:
            self._end_typing()
        self.owner.filter = ""
        self.renew()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        if event.input.display:
            self.owner.filter = event.value
            self.renew()

    def on_input_submitted(self) -> None:
        """Keep what was typed."""
        self._end_typing()

    def _end_typing(self) -> None:
        self.query_one("#filter", Input).display = False
        self.query_one(Lines).focus()
