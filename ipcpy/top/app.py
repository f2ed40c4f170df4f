"""The program: which screen is shown, what all of them share, and how it ends. Knows textual's application; not what a
screen shows.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections import deque
from contextlib import suppress
from typing import Any, ClassVar

from textual.app import App, ScreenStackError
from textual.binding import Binding

from ..overview import Overview
from ..overview.fleet import Fleet
from ..overview.rows import TopicRow
from ..overview.text import ASCII_BARS, BARS, plural, printable
from .extra import without_colour
from .reading import Readings
from .screens import HelpScreen, NodesScreen, TopScreen
from .topic import TopicScreen
from .topics import TopicsScreen

__all__ = ["Top", "run"]

INTERRUPTED, TERMINATED = 130, 143
REMARKS = 20  # lines of the log that are kept
SAID = 10.0  # seconds that a line of the log is shown


class Top(App[int]):
    """The program.

    Args:
        fleet: nodes in the domains to look at.
        filter: which topics to show, see ``overview.rows.matching``.
        sort: what to sort them by.
        plain: whether the terminal can show ASCII only.

    Attributes:
        filter: which topics are shown.
        sort: what they are sorted by.
        reverse: whether it is the other way round.
        held: whether the picture stands still.
        read: whether there was a reading.
        rows: the topics, by the newest reading that is shown.
    """

    CSS = """
    * { background: ansi_default; color: ansi_default; scrollbar-size: 0 0; }
    Screen { layout: vertical; }
    Lines { height: 1fr; width: 100%; }
    #flows { height: 3; }
    #below { height: 1fr; }
    #remark { height: 2; }
    #message { width: 1fr; }
    #plot { width: 1fr; height: 100%; }
    #help { height: 1fr; }
    Input, Input:focus { border: none; height: 1; padding: 0; }
    """
    BINDINGS = [
        Binding("q", "leave(0)", "quit"),
        Binding("ctrl+c", f"leave({INTERRUPTED})", "quit", show=False, priority=True),
        Binding("ctrl+q", "leave(0)", "quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "stop", show=False, priority=True),
        Binding("question_mark", "help", "help"),
        Binding("space", "hold", "hold"),
    ]
    ENABLE_COMMAND_PALETTE = False
    SCREENS: ClassVar[dict[str, Any]] = {"nodes": NodesScreen, "help": HelpScreen}

    def __init__(self, fleet: Fleet, *, filter: str = "", sort: str = "topic", plain: bool = False) -> None:
        super().__init__(ansi_color=True)
        self.fleet, self.filter, self.sort, self.reverse = fleet, filter, sort, False
        self.plain, self.bars = plain, ASCII_BARS if plain else BARS
        self.held = self.read = False
        self.rows: tuple[TopicRow, ...] = ()
        self.remarks: deque[str] = deque(maxlen=REMARKS)
        self._readings = Readings(fleet, self._renew)
        self._in: asyncio.AbstractEventLoop | None = None

    @property
    def overview(self) -> Overview:
        """What was read."""
        return self._readings.overview

    @property
    def where(self) -> str:
        """The domains that are looked at, as a title says it."""
        domains = self.fleet.domains
        if len(domains) == 1:
            return f"in domain {printable(domains[0])}"
        return f"in {plural(len(domains), 'domain')}"

    def trouble(self) -> str:
        """Return what is wrong: with readings, or what the log said a moment ago."""
        left = self.fleet.left_out
        if said := self._readings.trouble or (self.remarks[-1] if self.remarks else ""):
            return said
        return f"{plural(len(left), 'domain')} are not looked at: too many; name some by --domain" if left else ""

    def get_default_screen(self) -> TopScreen:
        """Return the screen that is shown first."""
        return TopicsScreen()

    def on_mount(self) -> None:
        """Begin to read; what fails there ends the program with a traceback, once the terminal is as it was."""
        self._in = asyncio.get_running_loop()
        self.run_worker(self._readings.run())

    def _renew(self) -> None:
        self.read = True
        if not self.held:
            self.rows = self.overview.topics()
        with suppress(ScreenStackError):  # it is ending
            if not self.held and isinstance(self.screen, TopScreen):
                self.screen.renew()

    def note(self, said: str) -> None:
        """Show a line of the log, for a moment; from any thread."""
        self.remarks.append(said)
        if self._in is not None:
            with suppress(RuntimeError):  # it was closed just now
                self._in.call_soon_threadsafe(self.set_timer, SAID, self._forget)

    def _forget(self) -> None:
        if self.remarks:
            self.remarks.popleft()

    # -- keys ----------------------------------------------------------------------------------------------------------

    def action_leave(self, code: int) -> None:
        """Quit."""
        self.exit(code)

    def action_help(self) -> None:
        """Show the keys."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen("help")

    def action_hold(self) -> None:
        """Hold the picture, or go on."""
        self.held = not self.held
        if isinstance(self.screen, TopScreen):
            self.screen.renew()

    def look_at(self, domain: str, topic: str) -> None:
        """Show one topic."""
        self.push_screen(TopicScreen(domain, topic))

    def filter_by(self, text: str) -> None:
        """Show the topics of this text alone."""
        self.filter = text


class _Remarks(logging.Handler):
    """Has what the log says shown in the picture, rather than across it."""

    def __init__(self, top: Top) -> None:
        super().__init__(logging.WARNING)
        self._top = top

    def emit(self, record: logging.LogRecord) -> None:
        self._top.note(record.getMessage().partition("\n")[0][:300])


def run(fleet: Fleet, *, filter: str = "", sort: str = "topic") -> int:
    """Show a fleet until somebody quits; whatever ends it, the terminal is as it was before.

    Returns:
        The exit code: 0, 1 after an exception whose traceback was printed, 130 and 143 by a signal.
    """
    if without_colour():
        os.environ["NO_COLOR"] = "1"
    top = Top(fleet, filter=filter, sort=sort, plain=not _shows(BARS + "⣿µ"))
    log = logging.getLogger("ipcpy")
    before, passed_on = log.handlers[:], log.propagate
    log.handlers[:], log.propagate = [_Remarks(top)], False
    try:
        return asyncio.run(_run(top))
    finally:
        log.handlers[:], log.propagate = before, passed_on


async def _run(top: Top) -> int:
    loop = asyncio.get_running_loop()
    for number, code in ((signal.SIGTERM, TERMINATED), (signal.SIGINT, INTERRUPTED)):
        with suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, top.exit, code)
    left = await top.run_async(mouse=False)
    return left if left is not None else top.return_code or 0


def _shows(text: str) -> bool:
    """Tell whether the terminal's encoding has these characters."""
    try:
        text.encode(sys.__stderr__.encoding if sys.__stderr__ is not None else "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
