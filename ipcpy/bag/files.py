"""The files of a recording: one, or several by size or time. Knows names and chunks; nothing of threads or messages."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from .chunk import Sealed
from .form import BOOKS, CLOCKS
from .mcapfile import McapFile

__all__ = ["Books", "Files", "Split"]

_SELDOM = 10.0  # seconds between two books in which nothing more is lost
_BYTES_A_SECOND = 64 << 10  # of books, where there are 100,000 publishers


class Books(NamedTuple):
    """What was received and lost.

    Attributes:
        told: JSON by publisher.
        lost: how many messages were lost in all.
        clocks: traces of the clocks, JSON by node.
    """

    told: Mapping[str, str]
    lost: int = 0
    clocks: Mapping[str, str] = {}


class Split(NamedTuple):
    """When a new file begins; 0 for never.

    Attributes:
        size: at so many bytes.
        ns: after so much time.
    """

    size: int = 0
    ns: int = 0


class Files:
    """The files of one recording.

    The first one is made at once, so that a path that cannot be written is known before anything is recorded.

    Args:
        path: the file; with a split ``run.mcap`` stands for ``run-001.mcap``, ``run-002.mcap`` and so on.
        about: what is said of the recording.
        books: returns the books, for the end of a file.
        split: when a new file begins.
        force: whether files that are there are overwritten.

    Attributes:
        paths: the files so far.

    Raises:
        ArgumentError, TransportError: as ``McapFile``.
    """

    def __init__(
        self,
        path: Path,
        about: Mapping[str, str],
        books: Callable[[], Books],
        *,
        split: Split = Split(),  # noqa: B008 (a value)
        force: bool = False,
    ) -> None:
        self.paths: list[Path] = []
        self._path = path
        self._about = about
        self._books = books
        self._split = split
        self._force = force
        self._before = 0  # bytes of the files that are done
        self._catalog: object = None
        self._told, self._told_at = Books({}), time.monotonic()
        self._file = self._next()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self._before + self._file.size

    @property
    def path(self) -> Path:
        """The file that is written now."""
        return self._file.path

    def add(self, chunk: Sealed) -> None:
        """Write a chunk; into a new file if the present one is full.

        Raises:
            TransportError: it cannot be written.
        """
        file = self._file
        if file.messages:
            full = self._split.size and file.size + chunk.size > self._split.size
            long = self._split.ns and chunk.end_ns - file.start_ns > self._split.ns
            if full or long or chunk.catalog is not self._catalog:
                self.close()
                self._before += file.size
                self._file = self._next()
        self._catalog = chunk.catalog
        self._file.add(chunk)

    def tick(self) -> None:
        """Write the books, if it is time: soon after a loss, seldom where all is well.

        Raises:
            TransportError: they cannot be written.
        """
        books = self._books()
        wait = _SELDOM if books.lost == self._told.lost else 0.0
        wait += sum(map(len, books.told.values())) / _BYTES_A_SECOND
        if time.monotonic() - self._told_at >= wait:
            self._tell(books)

    def _tell(self, books: Books) -> None:
        """Write the books, if they have changed.

        Raises:
            TransportError: they cannot be written.
        """
        self._told_at = time.monotonic()
        told, self._told = self._told, books
        if books[:2] != told[:2]:
            self._file.add_metadata(BOOKS, books.told)
        if books.clocks != told.clocks:
            self._file.add_metadata(CLOCKS, books.clocks)

    def sync(self) -> None:
        """Have the system write to the medium what it holds back.

        Raises:
            TransportError: the medium is gone or full.
        """
        self._file.sync()

    def close(self) -> None:
        """Write the books and the summary; idempotent.

        Raises:
            TransportError: one of them cannot be written; the messages are there.
        """
        if not self._file.closed:
            try:
                self._tell(self._books())
            finally:
                self._file.close()

    def discard(self) -> None:
        """Close without a summary, and remove what nobody has recorded into."""
        self._file.discard()

    def _next(self) -> McapFile:
        number = len(self.paths) + 1
        path = self._path
        if any(self._split):
            path = path.with_name(f"{path.stem}-{number:03}{path.suffix}")
        elif number > 1:  # more channels than a file may have
            path = path.with_name(f"{path.stem}-{number}{path.suffix}")
        self._told, self._told_at = Books({}), time.monotonic()
        file = McapFile(path, {**self._about, "part": str(number)}, force=self._force)
        self.paths.append(path)
        return file
