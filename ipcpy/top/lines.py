"""A list of lines with a cursor. Knows how a widget of textual draws and scrolls; nothing of what is in the lines.

Only the lines that are seen are drawn, so that a thousand of them cost no more than twenty.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar, overload

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from .cells import Line

__all__ = ["Lines", "MadeLines", "strip_of"]

R = TypeVar("R")

_ASCII = str.maketrans({"µ": "u", "×": "x", "±": "+", "·": "-", "…": "~", "↓": "v", "↑": "^"})


class MadeLines(Sequence[Line]):
    """Lines of which each is made when it is first looked at: of a thousand, those that are seen.

    Args:
        rows: what they are made of.
        make: makes the line of one.
    """

    def __init__(self, rows: Sequence[R], make: Callable[[R], Line]) -> None:
        self._rows, self._make = rows, make
        self._made: dict[int, Line] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, number: int) -> Line: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Line]: ...
    def __getitem__(self, number: int | slice) -> Line | Sequence[Line]:
        """Return a line, or some."""
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        if number not in self._made:
            self._made[number] = self._make(self._rows[number])
        return self._made[number]


class Lines(ScrollView, can_focus=True):
    """Lines, each with a key by which the cursor finds it again when lines come and go.

    Attributes:
        cursor: the number of the line that the cursor is on.
        plain: whether to show ASCII only.
    """

    BINDINGS = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home,g", "move(-1000000)", "first", show=False),
        Binding("end,G", "move(1000000)", "last", show=False),
        Binding("enter", "choose", "choose", show=False),
    ]

    DEFAULT_CSS = "Lines { scrollbar-size: 0 0; }"

    cursor = reactive(0)

    class Chosen(Message):
        """Enter was pressed on a line."""

        def __init__(self, lines: Lines, key: Hashable) -> None:
            super().__init__()
            self.lines, self.key = lines, key

        @property
        def control(self) -> Lines:
            """The list it was pressed in."""
            return self.lines

    class Moved(Message):
        """The cursor is on another line."""

    def __init__(self, *, plain: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: Sequence[Line] = ()
        self._keys: Sequence[Hashable] = ()
        self.plain = plain

    @property
    def key(self) -> Hashable | None:
        """The key of the line that the cursor is on; None without any."""
        return self._keys[self.cursor] if self.cursor < len(self._keys) else None

    def show(self, lines: Sequence[Line], keys: Sequence[Hashable]) -> None:
        """Show other lines; the cursor stays on the line of its key, and where that is gone at its place."""
        before = self.key
        self._touch(lines)
        self._lines, self._keys = lines, keys
        self.virtual_size = Size(self.size.width, len(lines))
        if before is not None and before in keys:
            self.cursor = keys.index(before)
        else:
            self.cursor = max(0, min(self.cursor, len(lines) - 1))
        self._follow()

    def render_line(self, y: int) -> Strip:
        """Draw a line of the screen."""
        number = self.scroll_offset.y + y
        width = self.size.width
        if number >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        here = number == self.cursor and self.has_focus
        return strip_of(self._lines[number], width, self.rich_style, reverse=here, plain=self.plain)

    def watch_cursor(self, before: int, now: int) -> None:
        """Take the cursor where it can be seen."""
        self._follow()
        self.refresh()
        if before != now:
            self.post_message(self.Moved())

    def on_focus(self) -> None:
        """Show the cursor."""
        self.refresh()

    def on_blur(self) -> None:
        """Hide the cursor."""
        self.refresh()

    def action_move(self, by: int) -> None:
        """Move the cursor by some lines."""
        self.cursor = max(0, min(len(self._lines) - 1, self.cursor + by))

    def action_page(self, by: int) -> None:
        """Move the cursor by some pages."""
        self.action_move(by * max(1, self.size.height - 1))

    def action_choose(self) -> None:
        """Tell that the line was chosen."""
        if self.key is not None:
            self.post_message(self.Chosen(self, self.key))

    def _touch(self, lines: Sequence[Line]) -> None:
        """Have those lines drawn again that are others now: over a slow connection each counts."""
        top, width = self.scroll_offset.y, self.size.width
        for y in range(self.size.height):
            number = top + y
            if self._lines[number : number + 1] != lines[number : number + 1]:
                self.refresh(Region(0, y, width, 1))

    def _follow(self) -> None:
        if self._lines and self.size.height:
            self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)


def strip_of(line: Line, width: int, base: Style, *, reverse: bool = False, plain: bool = False) -> Strip:
    """Make what textual draws of a line.

    Args:
        line: its pieces.
        width: how wide it is to be; 0 for as wide as it is.
        base: the style of all.
        reverse: whether the cursor is on it.
        plain: whether to show ASCII only.
    """
    over = base + Style(reverse=True) if reverse else base
    pieces = []
    for text, style in line:
        shown = text.translate(_ASCII).encode("ascii", "replace").decode() if plain else text
        pieces.append(Segment(shown, over if reverse else over + Style.parse(style)))
    strip = Strip(pieces)
    return strip.adjust_cell_length(width, over) if width else strip
