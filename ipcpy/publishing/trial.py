"""Encodes the first message of each type for nobody, so that what the codec does not take is said early.

Knows types, ids and the codec; nothing of subscribers.
"""

from __future__ import annotations

from collections.abc import Callable

from ..typed import Any
from .framing import parts_of

MAX_KINDS = 1_000  # types and ids that are remembered


class Trial:
    """What was tried of one publisher's messages.

    Args:
        encode: the codec's.

    Attributes:
        type, id: of the message looked at last: another one of these need not be looked at.
    """

    def __init__(self, encode: Callable[..., Any]) -> None:
        self.type: type | None = None
        self.id: int | None = None
        self._encode = encode
        self._kinds: set[tuple[type, int | None]] = set()

    def look_at(self, data: Any, id: int | None) -> None:
        """Encode a message, unless one of its type and id was.

        Raises:
            CodecError: if the codec does not take it.
            ArgumentError: if it is larger than subscribers take.
        """
        kind = type(data), id
        if kind not in self._kinds:
            parts_of(self._encode(data) if id is None else self._encode(data, id))
            if len(self._kinds) < MAX_KINDS:
                self._kinds.add(kind)
        self.type, self.id = kind
