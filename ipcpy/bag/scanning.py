"""A file without a usable summary, looked through record by record. Keeps what is whole and says where it broke off."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import CodecError
from .opened import MAX_RECORD, Block, Contents
from .records import (
    ATTACHMENT,
    CHANNEL,
    CHUNK,
    DATA_END,
    FOOTER,
    HEAD,
    MESSAGE,
    METADATA,
    SCHEMA,
    Entry,
    decompress,
    walk,
)

if TYPE_CHECKING:
    from .opened import Opened

__all__ = ["scan"]

RUN = 1 << 22  # bytes of records that lie in the file as they are, and are looked at together
WINDOW = 1 << 22  # bytes that are searched at a time
SEARCH = 4  # times the file: a file may be full of what looks like chunks
_CHUNK = re.compile(rb"\x06.{4}\0{4}.{28}(?:\0{4}|\x03\0{3}lz4|\x04\0{3}zstd)", re.DOTALL)
_CHUNK_SIZE = 45  # bytes of that: opcode, length below 4 GiB, times, size, check, compression


def scan(file: Opened, start: int) -> Contents:
    """Look through a file from a record on, and return what is in it."""
    scanner = _Scanner(file)
    try:
        scanner.run(start)
    except CodecError as error:
        scanner.end_run()
        file.note(str(error))
    return scanner.contents


class _Scanner:
    def __init__(self, file: Opened) -> None:
        self.contents = Contents()
        self._file = file
        self._run = (0, 0)  # first byte, and the one after the last, of records that lie as they are
        self._left = SEARCH * file.size  # bytes that may be looked at in search of chunks

    def run(self, at: int) -> None:
        """Go from record to record until the data ends.

        Raises:
            CodecError: the file ends before, and no whole chunk is behind what is wrong.
        """
        while at < self._file.size:
            try:
                opcode, end = self._head(at)
            except CodecError as error:
                self.end_run()
                found = self._next_chunk(at + 1)
                if found is None:
                    raise
                self._file.note(f"{error}; it goes on at byte {found:,}")
                at = found
                continue
            if opcode in (DATA_END, FOOTER):
                break
            if end - at > MAX_RECORD:
                size = end - at - HEAD.size
                self._file.note(f"the record at byte {at:,} is lost: it has {size:,} bytes; {MAX_RECORD:,} are allowed")
            else:
                self._take(opcode, at, end)
            at = end
        self.end_run()

    def _head(self, at: int) -> tuple[int, int]:
        """Return the opcode of the record at a byte, and where it ends.

        Raises:
            CodecError: there is none, or the file ends before it does.
        """
        size, head = self._file.size, self._file.read(at, HEAD.size)
        opcode, length = HEAD.unpack(head) if len(head) == HEAD.size else (0, 0)
        if not opcode:
            raise CodecError(f"from byte {at:,} on the file holds no record")
        end = at + HEAD.size + length
        if end > size:
            raise CodecError(
                f"the file ends at byte {size:,}, in the midst of a record of {length:,} bytes at byte {at:,}"
            )
        return opcode, end

    def _next_chunk(self, at: int) -> int | None:
        """Return where the next chunk begins that is whole, from a byte on; None if there is none.

        A disk, or a copy, may have lost a part in the midst.
        """
        while at < self._file.size and self._left > 0:
            window = self._file.read(at, WINDOW + _CHUNK_SIZE)
            self._left -= len(window)
            for found in _CHUNK.finditer(window):
                place = at + found.start()
                if found.start() < WINDOW and self._left > 0 and self._is_whole(place):
                    return place
            at += WINDOW
        return None

    def _is_whole(self, at: int) -> bool:
        try:
            opcode, end = self._head(at)
            self._left -= end - at
            return opcode == CHUNK and not walk(decompress(self._file.record(at)[1]))[1]
        except CodecError:
            return False

    def _take(self, opcode: int, at: int, end: int) -> None:
        if opcode in (MESSAGE, SCHEMA, CHANNEL):
            first, last = self._run
            if last != at or end - first > RUN:
                self.end_run()
                first = at
            self._run = first, end
        elif opcode == CHUNK:
            self._take_chunk(at, end)
        elif opcode == METADATA:
            self.contents.metadata.append(at)
        elif opcode == ATTACHMENT:
            self.contents.attachments.append(at)

    def _take_chunk(self, at: int, end: int) -> None:
        try:
            records = decompress(self._file.read(at + HEAD.size, end - at - HEAD.size))
        except CodecError as error:
            self._file.note(f"the chunk at byte {at:,} is lost: {error}")
            return
        self._add(Block(0, 0, at, end - at), records)

    def end_run(self) -> None:
        """Take over the records that lie in the file as they are."""
        first, last = self._run
        self._run = (0, 0)
        if last > first:
            self._add(Block(0, 0, first, last - first, loose=True), self._file.read(first, last - first))

    def _add(self, block: Block, records: bytes | memoryview) -> None:
        entries, fault = walk(records, self.contents.definitions)
        if fault:
            self._file.note(f"from byte {block.offset:,}: {fault}")
        if not entries:
            return
        self.contents.counts.update(entry.channel for entry in entries)
        times = [entry.log_ns for entry in entries]
        self.contents.blocks.append(Block(min(times), max(times), *block[2:4], _channels(entries), block.loose))


def _channels(entries: list[Entry]) -> frozenset[int]:
    return frozenset(entry.channel for entry in entries)
