"""Codecs of those who take and publish messages as they are: bodies for data. Know nothing of what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import CodecError
from ..typed import Any
from .contract import Body

__all__ = ["Bodies", "Verbatim"]


class Bodies:
    """The codec of a subscriber that does not look into messages."""

    name = "any"
    schema: Mapping[str, Any] = {}

    def encode(self, data: Any) -> bytes:
        """Refuse: nothing is published with it.

        Raises:
            CodecError: always.
        """
        raise CodecError("a codec that only takes what others publish")

    def decode(self, body: Any) -> Any:
        """Return the body."""
        return body

    def decode_intact(self, body: Any) -> Any:
        """Return the body."""
        return body

    def decode_many(self, data: bytes, size: int) -> list[bytes]:
        """Return bodies of one size that are laid end to end."""
        return [data[at : at + size] for at in range(0, len(data), size)]


@dataclass(frozen=True, slots=True)
class Verbatim:
    """The codec that a publisher had, which takes bodies for data.

    Attributes:
        name: its name.
        schema: its schema.
    """

    name: str
    schema: Mapping[str, Any]

    def encode(self, data: Body) -> Body:
        """Return what is a body already."""
        return data

    def decode(self, body: Any) -> Any:
        """Return the body."""
        return body
