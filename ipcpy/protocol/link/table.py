"""Topic tables: a log of changes on one side, its mirror on the other. Knows ids and bytes; nothing of time, peers, or
what an entry says.

Every change of a table has a version, 1, 2, 3, ... A TABLE frame carries the changes (base, to]: the mirror takes the
frame only if it stands at base, so loss, doubles and disorder cost a repetition and nothing else. A newcomer stands at
0 and is sent what exists. The table remembers a removal until every peer has acknowledged it; a mirror that comes back
from before that is sent (base, 0] first, which empties it. The frame that leads to today's version says how many
entries there are then: a mirror that holds another number began from something else, and begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import msgpack

from ..wire import Malformed

CHUNK = 1_200  # bytes of changes in a TABLE frame, a single larger one excepted: below any MTU in use
ENTRY_COST = 128  # bytes that an entry takes beside its data, about
MAX_REMOVED = 4_096  # removals that are remembered at most
MAX_PACKED = 1_024  # frames that are kept for the next peer
MAX_BYTES = 16 << 20  # of one peer's entries, costs included
KNOWN = 1_400  # bytes of a frame that is worth remembering, as all nodes of a process are sent the same
FREE_BYTES = 64 << 10  # what every peer may have; what goes beyond comes out of one pool, and peers may be hostile
POOL_BYTES = 128 << 20

_LIMITS = {"max_array_len": 4096, "max_bin_len": 60_000, "max_map_len": 0, "max_str_len": 0, "max_ext_len": 0}


class Change(NamedTuple):
    """One change of a table: data is None for a removal."""

    id: int
    data: bytes | None


class Table:
    """A node's own table, and what a peer at any version still has to be told of it."""

    def __init__(self) -> None:
        self.version = 0
        self._changes: dict[int, tuple[int, bytes | None]] = {}  # id -> version, data; in the order of versions
        self._removed: dict[int, int] = {}  # id -> version of its removal, in the order of versions
        self._forgotten = 0  # removals up to this version are remembered no more
        self._packed: dict[int, tuple[int, bytes]] = {}  # version -> the frame after it: many peers want the same

    def put(self, id: int, data: bytes) -> None:
        """Add or change an entry."""
        if self._changes.get(id, (0, None))[1] == data:
            return
        self._removed.pop(id, None)
        self._record(id, data)

    def remove(self, id: int) -> None:
        """Remove an entry; unknown ones are ignored."""
        if self._changes.get(id, (0, None))[1] is not None:
            self._record(id, None)
            self._removed[id] = self.version
            while len(self._removed) > MAX_REMOVED:
                self._forget_first()

    def _record(self, id: int, data: bytes | None) -> None:
        self._packed.clear()
        self.version += 1
        self._changes.pop(id, None)
        self._changes[id] = (self.version, data)

    @property
    def entries(self) -> dict[int, bytes]:
        """What is in the table, by id."""
        return {id: data for id, (_, data) in self._changes.items() if data is not None}

    @property
    def removals(self) -> int:
        """How many removals are remembered."""
        return len(self._removed)

    def forget(self, version: int) -> None:
        """Forget the removals up to a version that every peer has acknowledged."""
        while self._removed and next(iter(self._removed.values())) <= version:
            self._forget_first()

    def _forget_first(self) -> None:
        id = next(iter(self._removed))
        self._forgotten = self._removed.pop(id)
        del self._changes[id]
        self._packed.clear()

    @property
    def forgotten(self) -> int:
        """The version up to which removals are remembered no more."""
        return self._forgotten

    def frames_after(self, version: int, forgotten_at_start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield (to, body) of the TABLE frames that bring a mirror from a version to today's; none if it is there.

        Args:
            forgotten_at_start: what ``forgotten`` was when the mirror began at 0: it never held what was removed
                before. 0 if the mirror may not have begun at 0.
        """
        if 0 < version < self._forgotten and forgotten_at_start < self._forgotten:  # it may hold what was removed since
            yield 0, _pack(version, 0, [])
            version = 0
        while version in self._packed:
            yield self._packed[version]
            version = self._packed[version][0]
        for frame in self._frames_after(version):
            if len(self._packed) >= MAX_PACKED:
                self._packed.clear()
            self._packed[version] = frame
            yield frame
            version = frame[0]

    def _frames_after(self, version: int) -> Iterator[tuple[int, bytes]]:
        chunk: list[tuple[int, bytes | None]] = []
        base, last, size = version, version, 0
        for id, changed, data in self._changes_after(version):
            cost = 16 + len(data or b"")
            if chunk and size + cost > CHUNK:
                yield last, _pack(base, last, chunk)
                base, chunk, size = last, [], 0
            chunk.append((id, data))
            size += cost
            last = changed
        if base < self.version:
            yield self.version, _pack(base, self.version, chunk, len(self._changes) - len(self._removed))

    def _changes_after(self, version: int) -> list[tuple[int, int, bytes | None]]:
        found = []
        for id, (changed, data) in reversed(self._changes.items()):
            if changed <= version:
                break
            found.append((id, changed, data))
        found.reverse()
        return found


def _pack(base: int, to: int, chunk: list[tuple[int, bytes | None]], *count: int) -> bytes:
    flat = [part for change in chunk for part in change]
    packed: bytes = msgpack.packb([base, to, flat, *count])
    return packed


class Pool:
    """What is left for the peers that have more than FREE_BYTES."""

    def __init__(self) -> None:
        self.free = POOL_BYTES

    def take(self, before: int, after: int) -> bool:
        """Let a peer have another number of bytes than before; False if there is no room."""
        more = max(after, FREE_BYTES) - max(before, FREE_BYTES)
        if after > MAX_BYTES or more > self.free:
            return False
        self.free -= more
        return True


class Mirror:
    """What a peer told us of its table. What it holds is bounded whatever the peer sends."""

    def __init__(self, pool: Pool | None = None) -> None:
        self.version = 0
        self.entries: dict[int, bytes] = {}
        self.size = 0  # bytes, costs included
        self._pool = pool or Pool()

    def apply(self, body: bytes | memoryview) -> list[Change]:
        """Take a TABLE frame's body; return the changes it made, none if it does not follow on what is here.

        Raises:
            Malformed: the body is not of the form, or has too much; then it changed nothing.
        """
        base, to, changes, count = (_unpack_known if len(body) <= KNOWN else _unpack)(bytes(body))
        if base != self.version or to == base:
            return []
        if to == 0 and not changes:
            return self.clear()
        if to < base:
            raise Malformed("malformed")
        most = self.size + sum(map(_cost, changes))
        if not self._pool.take(self.size, most):
            raise Malformed("table full")
        made = [change for change in changes if self._apply(change)]
        self._pool.take(most, self.size)
        self.version = to
        return made if count in (None, len(self.entries)) else made + self.clear()

    def clear(self) -> list[Change]:
        """Forget everything; return the changes that makes."""
        made = [Change(id, None) for id in self.entries]
        self._pool.take(self.size, 0)
        self.entries.clear()
        self.version = self.size = 0
        return made

    def _apply(self, change: Change) -> bool:
        old = self.entries.get(change.id)
        if old == change.data:
            return False
        self.size += _cost(change) - _cost(Change(change.id, old))
        if change.data is None:
            del self.entries[change.id]
        else:
            self.entries[change.id] = change.data
        return True


def _cost(change: Change) -> int:
    return 0 if change.data is None else len(change.data) + ENTRY_COST


def _unpack(body: bytes) -> tuple[int, int, tuple[Change, ...], int | None]:
    try:
        base, to, flat, *rest = msgpack.unpackb(body, **_LIMITS)
        changes = tuple(map(Change, flat[::2], flat[1::2]))
        numbers = all(type(value) is int and 0 <= value < 1 << 64 for value in (base, to, *flat[::2], *rest))
    except Exception:  # whatever msgpack, or bytes that are no such list, may raise
        raise Malformed("malformed") from None
    if (
        len(flat) % 2
        or len(rest) > 1
        or not numbers
        or not all(data is None or type(data) is bytes for _, data in changes)
    ):
        raise Malformed("malformed")
    return base, to, changes, rest[0] if rest else None


_unpack_known = lru_cache(64)(_unpack)
