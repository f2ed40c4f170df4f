"""Topic tables: a log of changes on one side, its mirror on the other. Knows ids and bytes; nothing of time, peers, or
what an entry says.

Every change of a table has a version, 1, 2, 3, ... A TABLE frame carries the changes (base, to]: the mirror takes the
frame only if it stands at base, so loss, doubles and disorder cost a repetition and nothing else. A newcomer stands at
0 and is sent what exists. The table remembers a removal until every peer has acknowledged it; a mirror that comes back
from before that is sent (base, 0] first, which empties it. The frame that leads to today's version says how many
entries there are then: a mirror that holds another number began from something else, and begins anew.

An entry that is too large for one datagram takes as many versions as it has parts: each part is a frame of its own, so
what is known of loss, order and acknowledgement holds for parts too. A peer that knows no parts gets it whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import msgpack

from ...records import NamedTuple
from ..wire import Malformed

CHUNK = 1_120  # bytes of changes in a TABLE frame: 1,200 less 36 of the frame and 44 of base, to, count and place
CHANGE_COST = 16  # bytes of a change beside its data: id 9, header of the data 3, and what msgpack needs around them
PART = CHUNK - CHANGE_COST  # bytes of an entry that are sent in one frame; what is larger is sent in parts
MAX_WHOLE = 60_000  # bytes of an entry; what says that it has more is no entry
ENTRY_COST = 128  # bytes that an entry takes beside its data, about
MAX_REMOVED = 4_096  # removals that are remembered at most
MAX_PACKED = 1_024  # frames that are kept for the next peer
MAX_BYTES = 16 << 20  # of one peer's entries, costs included
KNOWN = 1_400  # bytes of a frame that is worth remembering, as all nodes of a process are sent the same
FREE_BYTES = 64 << 10  # what every peer may have; what goes beyond comes out of one pool, and peers may be hostile
POOL_BYTES = 128 << 20

_LIMITS = {"max_array_len": 4096, "max_bin_len": MAX_WHOLE, "max_map_len": 0, "max_str_len": 0, "max_ext_len": 0}


class Change(NamedTuple):
    """One change of a table: data is None for a removal."""

    id: int
    data: bytes | None


class Place(NamedTuple):
    """Where in its entry a part belongs, and bytes of the whole entry."""

    offset: int
    total: int


class _Body(NamedTuple):
    """A TABLE frame: what it leads from and to; with a place, its one change is a part of an entry."""

    base: int
    to: int
    changes: tuple[Change, ...]
    entries: int | None = None
    place: Place | None = None


class Table:
    """A node's own table, and what a peer at any version still has to be told of it."""

    def __init__(self) -> None:
        self.version = 0
        self._changes: dict[int, tuple[int, bytes | None]] = {}  # id -> version, data; in the order of versions
        self._removed: dict[int, int] = {}  # id -> version of its removal, in the order of versions
        self._forgotten = 0  # removals up to this version are remembered no more
        # (version, whether in parts) -> the frame after it: many peers want the same
        self._packed: dict[tuple[int, bool], tuple[int, bytes]] = {}

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
        self.version += _parts(data)
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

    def frames_after(
        self, version: int, forgotten_at_start: int = 0, *, split: bool = True
    ) -> Iterator[tuple[int, bytes]]:
        """Yield (to, body) of the TABLE frames that bring a mirror from a version to today's; none if it is there.

        Args:
            forgotten_at_start: what ``forgotten`` was when the mirror began at 0: it never held what was removed
                before. 0 if the mirror may not have begun at 0.
            split: whether the mirror takes large entries in parts.
        """
        if 0 < version < self._forgotten and forgotten_at_start < self._forgotten:  # it may hold what was removed since
            yield 0, _pack(version, 0, [])
            version = 0
        while (version, split) in self._packed:
            yield self._packed[version, split]
            version = self._packed[version, split][0]
        for frame in self._frames_after(version, split):
            if len(self._packed) >= MAX_PACKED:
                self._packed.clear()
            self._packed[version, split] = frame
            yield frame
            version = frame[0]

    def _frames_after(self, version: int, split: bool) -> Iterator[tuple[int, bytes]]:
        chunk: list[tuple[int, bytes | None]] = []
        base, last, size = version, version, 0
        for id, changed, data in self._changes_after(version):
            cost = CHANGE_COST + len(data or b"")
            if chunk and size + cost > CHUNK:
                yield last, _pack(base, last, chunk)
                base, chunk, size = last, [], 0
            if split and data is not None and len(data) > PART:
                yield from self._parts_after(base, id, changed, data)
                base = last = changed
                continue
            chunk.append((id, data))
            size += cost
            last = changed
        if base < self.version:
            yield self.version, _pack(base, self.version, chunk, self._count())

    def _parts_after(self, version: int, id: int, changed: int, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the frames of the parts of an entry that a mirror at a version lacks."""
        first = changed - _parts(data)  # the version before its first part
        for number in range(max(0, version - first), _parts(data)):
            to, offset = first + number + 1, number * PART
            count = self._count() if to == self.version else None
            yield to, _pack(version, to, [(id, data[offset : offset + PART])], count, offset, len(data))
            version = to

    def _count(self) -> int:
        return len(self._changes) - len(self._removed)

    def _changes_after(self, version: int) -> list[tuple[int, int, bytes | None]]:
        found = []
        for id, (changed, data) in reversed(self._changes.items()):
            if changed <= version:
                break
            found.append((id, changed, data))
        found.reverse()
        return found


def _parts(data: bytes | None) -> int:
    """Return in how many parts an entry is sent, and so, how many versions it takes."""
    return max(1, -(-len(data or b"") // PART))


def _pack(base: int, to: int, chunk: list[tuple[int, bytes | None]], *rest: int | None) -> bytes:
    flat = [part for change in chunk for part in change]
    packed: bytes = msgpack.packb([base, to, flat, *rest])
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
    """What a peer told us of its table. What it holds is bounded whatever the peer sends.

    Attributes:
        whole: whether the last frame said that nothing is missing now.
    """

    def __init__(self, pool: Pool | None = None) -> None:
        self.version = 0
        self.entries: dict[int, bytes] = {}
        self.size = 0  # bytes, costs included
        self.whole = False
        self._begun: Change | None = None  # an entry of which the first parts are here
        self._begun_total = 0  # bytes that it will have
        self._pool = pool or Pool()

    def apply(self, body: bytes | memoryview) -> list[Change]:
        """Take a TABLE frame's body; return the changes it made, none if it does not follow on what is here.

        Raises:
            Malformed: the body is not of the form, or has too much; then it changed nothing.
        """
        base, to, changes, count, place = (_unpack_known if len(body) <= KNOWN else _unpack)(bytes(body))
        if base != self.version or to == base:
            return []
        if to == 0 and not changes:
            return self.clear()
        if to < base:
            raise Malformed("malformed")
        begun: Change | None = None
        if place is not None:
            whole = self._joined(changes[0], place)
            if whole is None:  # the parts before are not here: this mirror began from something else
                return self.clear()
            complete = len(whole.data or b"") == place.total
            changes, begun = ((whole,), None) if complete else ((), whole)
        most = self.size + sum(map(_cost, changes)) + _cost(begun)
        if not self._pool.take(self.size, most):
            raise Malformed("table full")
        self.size += _cost(begun) - _cost(self._begun)
        self._begun, self._begun_total = begun, place.total if place else 0
        made = [change for change in changes if self._apply(change)]
        self._pool.take(most, self.size)
        self.version, self.whole = to, count is not None
        return made if count in (None, len(self.entries)) else made + self.clear()

    def _joined(self, part: Change, place: Place) -> Change | None:
        """Return an entry as far as it is here with one more part; None if the part does not follow on it."""
        if place.offset == 0:
            return part
        begun = self._begun
        if begun is None or begun.data is None or part.data is None:
            return None
        if (begun.id, len(begun.data), self._begun_total) != (part.id, *place):
            return None
        return Change(part.id, begun.data + part.data)

    def clear(self) -> list[Change]:
        """Forget everything; return the changes that makes."""
        made = [Change(id, None) for id in self.entries]
        self._pool.take(self.size, 0)
        self.entries.clear()
        self._begun = None
        self.whole = False
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


def _cost(change: Change | None) -> int:
    return 0 if change is None or change.data is None else len(change.data) + ENTRY_COST


def _unpack(body: bytes) -> _Body:
    try:
        base, to, flat, *rest = msgpack.unpackb(body, **_LIMITS)
        changes = tuple(map(Change, flat[::2], flat[1::2]))
        known = [value for value in rest if value is not None]
        numbers = all(type(value) is int and 0 <= value < 1 << 64 for value in (base, to, *flat[::2], *known))
    except Exception:  # whatever msgpack, or bytes that are no such list, may raise
        raise Malformed("malformed") from None
    if (
        len(flat) % 2
        or len(rest) not in (0, 1, 3)
        or not numbers
        or not all(data is None or type(data) is bytes for _, data in changes)
    ):
        raise Malformed("malformed")
    if len(rest) < 3:
        return _Body(base, to, changes, rest[0] if rest else None)
    count, offset, total = rest
    if len(changes) != 1 or offset is None or total is None or not _is_part(changes[0].data, Place(offset, total)):
        raise Malformed("malformed")
    return _Body(base, to, changes, count, Place(offset, total))


def _is_part(data: bytes | None, place: Place) -> bool:
    """Tell whether a part lies within its entry, and the entry within what an entry may have."""
    return bool(data) and place.offset + len(data or b"") <= place.total <= MAX_WHOLE


_unpack_known = lru_cache(64)(_unpack)
