"""Channels that ipcpy recorded: whose they are, and the published bytes again. Knows the form; reads no file."""

from __future__ import annotations

from collections.abc import Mapping, Set
from struct import Struct
from typing import TYPE_CHECKING, Any

from ..codec import MsgLibrary, codec_for, variant
from ..codec.bodies import Verbatim
from ..codec.schema import MessageSpec, parse_schema
from ..codec.stream import HEADER_SIZE
from ..errors import CodecError, SchemaError
from ..views import BESIDE, STRUCT, StructView, body_of
from .form import ORIGINALS, Origin, read_rest
from .reading import Reading
from .records import Entry

if TYPE_CHECKING:
    from mcap.records import Channel

__all__ = ["Pairing", "is_beside", "origin_of", "read_own"]

_KEY = Struct("<QI")  # of what stands beside a message: its publisher, the low bits of its seq
_KEY_BEGIN, _KEY_END = 4, 20  # behind the head of CDR; seq has 8 bytes
_WAITING = 1000


def origin_of(channel: Channel) -> Origin | None:
    """Return whose messages a channel has; None if ipcpy did not record it, or its metadata are damaged."""
    try:
        return Origin.of(channel.metadata)
    except ValueError:
        return None


def is_beside(channel: Channel) -> bool:
    """Tell whether a channel has what stands beside the messages of others."""
    return channel.topic == ORIGINALS


class Pairing:
    """Puts what stands beside messages to them; it comes before them, though perhaps in an earlier chunk.

    Args:
        beside: the channels of what stands beside.
        publishers: the publisher of each channel whose messages can have something beside them.
    """

    def __init__(self, beside: Set[int], publishers: Mapping[int, int]) -> None:
        self._beside = beside
        self._publishers = publishers
        self._waiting: dict[tuple[int, int], memoryview] = {}  # by publisher and low bits of seq

    def pair(self, entries: list[Entry]) -> list[Entry]:
        """Return the messages among some entries, which follow those that were paired before."""
        beside, waiting, publisher_of = self._beside, self._waiting, self._publishers.get
        found: list[Entry] = []
        append, new, key_of = found.append, tuple.__new__, _KEY.unpack_from
        for entry in entries:
            channel = entry[1]
            if channel in beside:
                if len(entry[4]) >= _KEY_END:
                    waiting[key_of(entry[4], _KEY_BEGIN)] = entry[4]
                continue
            if waiting:
                log_ns, _, sequence, publish_ns, data, _ = entry
                original = waiting.pop((publisher_of(channel, 0), sequence), None)
                if original is not None:
                    entry = new(Entry, (log_ns, channel, sequence, publish_ns, data, original))
            append(entry)
        while len(waiting) > _WAITING:  # of a file whose messages are not there
            del waiting[next(iter(waiting))]
        return found


def read_own(origin: Origin) -> Reading:
    """Return how the messages of a channel are read that ipcpy recorded."""
    told = Verbatim(origin.codec, origin.schema)
    try:
        known = codec_for(origin.codec, origin.schema)
    except SchemaError as error:
        return Reading(told, _Bodies(origin).body, _Bodies(origin).body, f"its messages are bytes here: {error}")
    if origin.body != STRUCT or not isinstance(known, MsgLibrary):
        bodies, decode = _Bodies(origin), variant(known, "decode_intact", "decode") or known.decode
        return Reading(told, lambda entry: decode(bodies.body(entry)), bodies.body)
    spec = next((spec for spec in parse_schema(origin.schema) if spec.id == origin.id), None)
    if spec is None:
        note = f"its schema has no message {origin.id}: its messages cannot be made again"
        return Reading(told, _Bodies(origin).body, _Bodies(origin).body, note)
    structs = _Structs(origin, spec, known)
    return Reading(told, structs.data, structs.body, "", spec, structs.payload)


class _Bodies:
    """Makes published bodies again."""

    def __init__(self, origin: Origin, view: StructView | None = None) -> None:
        self._origin = origin
        self._view = view
        self._able = view is not None or origin.body not in (BESIDE, STRUCT)

    def body(self, entry: Entry) -> bytes:
        """Return the body of a message.

        Raises:
            CodecError: what is in the file does not make one.
        """
        try:
            if entry.original is not None:
                rest = read_rest(entry.original)
                alone = rest.skip >= len(entry.data) and not rest.at  # nothing of it is in the view
                return bytes(rest.bytes) if alone else body_of(entry.data, rest)
            if not self._able:
                raise ValueError("what stood beside it is not there")
            return body_of(entry.data, None, self._view)
        except ValueError as error:
            raise self._fault(entry, error) from None

    def _fault(self, entry: Entry, error: ValueError) -> CodecError:
        seq = self._origin.high << 32 | entry.sequence
        return CodecError(f"message {seq} of {self._origin.topic!r:.80} cannot be made again: {error}")


class _Structs(_Bodies):
    """The same for struct messages, and what is quicker without their header."""

    def __init__(self, origin: Origin, spec: MessageSpec, library: MsgLibrary) -> None:
        view = StructView(spec)
        super().__init__(origin, view)
        self._payload_of = view.payload_of
        self._unpack = library.unpack
        self._decode = library.decode_intact
        self._id = spec.id

    def data(self, entry: Entry) -> Any:
        """Return the data of a message; raises CodecError as ``body``."""
        if entry.original is not None:
            return self._decode(self.body(entry))
        try:
            return self._unpack(self._id, self._payload_of(entry.data))
        except ValueError as error:
            raise self._fault(entry, error) from None

    def payload(self, entry: Entry) -> bytes:
        """Return the payload of a message; raises CodecError as ``body``."""
        if entry.original is not None:
            return self.body(entry)[HEADER_SIZE:]
        try:
            return self._payload_of(entry.data)
        except ValueError as error:
            raise self._fault(entry, error) from None
