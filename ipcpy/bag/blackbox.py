"""BlackBox: what a user holds while the last seconds are kept. Checks arguments, and sees what ends a program.

Its interior is keeper.py.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType

from ..errors import ArgumentError, ClosedError
from ..node.node import Node
from .extra import need_extra
from .keeper import Keeper, Keeping, Place
from .recorder import RecorderStats, check_compression, disk_left, topic_stats
from .triggers import Wanted

__all__ = ["BlackBox"]

log = logging.getLogger(__name__)

SIZE = 512 << 20
MIN_SIZE = 1 << 20
AFTER = 5.0  # seconds


class BlackBox:
    """Keeps the last seconds of topics in memory, and writes them as an MCAP file when something happens.

    It goes on keeping after that. What happens while a file is written makes it longer, and no second one. In a
    program that an exception ends it writes before the traceback is shown; one that is forgotten goes on.
    Each file begins with what latched topics kept (64 MiB at most), though it is older.

    Args:
        seconds: how far back.
        path: the file, of which later ones are named ``crash-2.mcap`` and so on; or a folder. By default a name made
            of the time, ``blackbox-20261128-143000.mcap``.
        topics: names and patterns, by default all.
        exclude: names and patterns of topics that are left out.
        size: bytes that are kept at most, compressed; what is older gives way (512 MiB).
        after: seconds behind an event that are written too.
        compression: ``zstd``, ``lz4`` or ``none``.
        on_exception: write when an exception ends the program, or leaves the ``with`` block.
        on_death: write when a node dies: True for any, or its name. One that was closed has not died.
        on_silence: write when a topic falls silent that was not: seconds by topic.
        on_message: topics; write with each message on them.
        on_loss: write when a message was lost.
        on_dump: called with the file and the reasons when it is written.
        bgr: colours of images are blue, green, red, as OpenCV has them.
        node: the node it belongs to; by default one of its own.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong, and what was expected.
        TransportError: (an OSError) if there is no UDP socket to be had.
        IpcError: if what recordings need is not installed.
    """

    def __init__(
        self,
        seconds: float = 60.0,
        path: str | os.PathLike[str] | None = None,
        topics: str | Iterable[str] = "/**",
        *,
        exclude: str | Iterable[str] = (),
        size: int = SIZE,
        after: float = AFTER,
        compression: str = "zstd",
        on_exception: bool = True,
        on_death: bool | str = False,
        on_silence: Mapping[str, float] | None = None,
        on_message: str | Iterable[str] = (),
        on_loss: bool = False,
        on_dump: Callable[[Path, tuple[str, ...]], object] | None = None,
        bgr: bool = False,
        node: Node | None = None,
    ) -> None:
        need_extra()
        check_compression(compression)
        _check_seconds("seconds", seconds, above=True)
        _check_seconds("after", after)
        if not isinstance(size, int) or isinstance(size, bool) or size < MIN_SIZE:
            raise ArgumentError(f"size is a number of bytes from {MIN_SIZE}, got {size!r}")
        wanted = Wanted(on_death, on_silence, on_message, on_loss)
        self._place = Place(path)
        self._pid = os.getpid()
        self._closed = False
        self._exception: BaseException | None = None
        self._own_node = None if node is not None else Node()
        held = node or self._own_node
        assert held is not None
        keeping = Keeping(seconds, size, after, topics, exclude, compression, bgr)
        try:
            self._keeper = Keeper(held, keeping, self._place, wanted, on_dump)
        except BaseException:
            if self._own_node is not None:
                self._own_node.close()
            raise
        self._hook = sys.excepthook
        if on_exception:
            sys.excepthook = self._excepthook
        atexit.register(self.close)

    # -- what users ask ----------------------------------------------------------------------------------------------

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that were written."""
        return tuple(self._keeper.paths)

    @property
    def stats(self) -> RecorderStats:
        """What came since it was made; ``file_bytes`` are those that are kept now."""
        topics = topic_stats(self._keeper.capture)
        return RecorderStats(
            messages=sum(each.messages for each in topics.values()),
            bytes=sum(each.bytes for each in topics.values()),
            file_bytes=self._keeper.ring.size,
            waiting_bytes=self._keeper.press.pending,
            lost={cause: count for cause, count in self._keeper.capture.lost().items() if count},
            topics=topics,
            disk_left=disk_left(self._place.next()),
        )

    def dump(self, reason: str = "asked for", *, wait: bool = True) -> Path | None:
        """Write what there is, and the seconds after.

        Args:
            reason: stands in the file.
            wait: whether to wait until the file is complete.

        Returns:
            The file; None without waiting, or if it could not be written (the log says why).

        Raises:
            ClosedError: (an OSError) if it is closed.
        """
        if self._closed:
            raise ClosedError("the black box is closed")
        return self._keeper.dump(str(reason), wait=wait)

    def close(self) -> None:
        """Complete a file that is being written, with what has arrived, and end; idempotent."""
        if self._closed or os.getpid() != self._pid:
            return
        self._closed = True
        if sys.excepthook == self._excepthook:
            sys.excepthook = self._hook
        atexit.unregister(self.close)
        self._keeper.close()
        if self._own_node is not None:
            self._own_node.close()

    def __enter__(self) -> BlackBox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if value is not None and sys.excepthook == self._excepthook:
            self._on_exception(value)
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self._keeper.ring.seconds:.1f} s, {self._keeper.ring.size:,} bytes"
        return f"<ipcpy.BlackBox {state}>"

    # -- what happens ------------------------------------------------------------------------------------------------

    def _excepthook(self, kind: type[BaseException], value: BaseException, trace: TracebackType | None, /) -> None:
        self._on_exception(value)
        self._hook(kind, value, trace)

    def _on_exception(self, error: BaseException) -> None:
        told = isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit) or error is self._exception
        if told or self._closed or os.getpid() != self._pid:
            return
        self._exception = error
        try:
            self._keeper.dump(f"{type(error).__name__}: {error!s:.500}", wait=True, last=True)
        except Exception:
            log.exception("the black box could not be written")


def _check_seconds(name: str, seconds: object, *, above: bool = False) -> None:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < 1e6:
        raise ArgumentError(f"{name} is a number of seconds from 0, got {seconds!r}")
    if above and not seconds:
        raise ArgumentError(f"{name} is a number of seconds above 0, got {seconds!r}")
