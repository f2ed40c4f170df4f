"""Programs that draw on a terminal: textual's pilot, what stands on its screen, a real terminal around a process."""

from __future__ import annotations

import asyncio
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

SIZE = (80, 24)


def lines(app: Any) -> list[str]:
    """Return what stands on the screen of a textual program, line by line."""
    return ["".join(segment.text for segment in strip).rstrip() for strip in app.screen._compositor.render_strips()]


def text(app: Any) -> str:
    """Return the whole screen."""
    return "\n".join(lines(app))


def line_with(app: Any, words: str) -> str:
    """Return the first line that has these words; empty where none has."""
    return next((line for line in lines(app) if words in line), "")


def remark(app: Any) -> str:
    """Return what the two lines above the keys say."""
    return " ".join(lines(app)[-3:-1]).strip()


async def until(pilot: Any, condition: Callable[[], object], timeout: float = 20.0) -> None:
    """Let a program run until something is so."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"not within {timeout} s; the screen:\n{text(pilot.app)}"
        await pilot.pause(0.02)


def piloted(app: Any, test: Callable[[Any], Awaitable[None]], size: tuple[int, int] = SIZE) -> Any:
    """Run a textual program while a coroutine, given its pilot, presses keys and looks; return what it exits with."""

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await test(pilot)

    asyncio.run(run())
    return app.return_value


class Terminal:
    """A real terminal of 80 × 24 with a program on it.

    Args:
        command: the program and its arguments.
        env: what its environment has besides.

    Attributes:
        shown: the bytes that were sent to the terminal.
    """

    def __init__(self, command: list[str], **env: str) -> None:
        import fcntl
        import pty
        import termios

        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        self._before = termios.tcgetattr(self._slave)
        self.shown = b""
        ends = {"stdin": self._slave, "stdout": self._slave, "stderr": self._slave}
        environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLORTERM")}
        self.process = subprocess.Popen(command, **ends, env={**environment, **env}, start_new_session=True)

    def until(self, condition: Callable[[], object], timeout: float = 20.0) -> None:
        """Read what the program draws until something is so."""
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"not within {timeout} s: {self.shown[-2000:]!r}"
            self._read(0.05)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def end(self, timeout: float = 20.0) -> int:
        """Wait for the end of the program, and return its exit code."""
        self.until(lambda: self.process.poll() is not None, timeout)
        self._read(0.0)
        return int(self.process.returncode)

    @property
    def as_before(self) -> bool:
        """Whether the terminal echoes, breaks lines and so on as it did before the program."""
        import termios

        return termios.tcgetattr(self._slave) == self._before

    def switched(self, mode: int) -> bytes:
        """Return whether a private mode was switched on or off last: ``h``, ``l``, or nothing for never."""
        found = [(self.shown.rfind(b"\x1b[?%d%s" % (mode, way)), way) for way in (b"h", b"l")]
        place, way = max(found)
        return way if place >= 0 else b""

    def close(self) -> None:
        """End the program, if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)

    def _read(self, timeout: float) -> None:
        while select.select([self._master], [], [], timeout)[0]:
            self.shown += os.read(self._master, 65_536)
            timeout = 0.0


PYTHON = sys.executable
