"""The errors of ipcpy. Knows nothing of the rest.

IpcError
├── ArgumentError (ValueError)      a wrong argument: raised at once, says what was expected
├── CodecError (ValueError)         data that does not fit its codec, or bytes that are not what they claim
├── SchemaError (CodecError)        two ideas of one message type
├── ClosedError (OSError)           use after close()
├── TransportError (OSError)        the operating system refused what cannot be done without
└── RecvTimeout (TimeoutError)      nothing came in time

Bytes from the network never raise: they are dropped and counted by cause (see ``ipcpy.stats``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = [
    "ArgumentError",
    "ClosedError",
    "CodecError",
    "IpcError",
    "RecvTimeout",
    "SchemaError",
    "TransportError",
]


class IpcError(Exception):
    """The root of every error raised by ipcpy."""


class ArgumentError(IpcError, ValueError):
    """An argument is wrong; the text says what was expected and what came."""


class CodecError(IpcError, ValueError):
    """Data that its codec cannot encode, or bytes that it cannot decode."""


class SchemaError(CodecError):
    """Two descriptions of one message differ.

    Attributes:
        differences: one sentence for each difference.
    """

    def __init__(self, message: str, differences: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.differences = differences


class ClosedError(IpcError, OSError):
    """The publisher, subscriber or node was closed."""


class TransportError(IpcError, OSError):
    """The operating system refused a socket or an address that is needed."""


class RecvTimeout(IpcError, TimeoutError):
    """Nothing arrived within the timeout. Its text says why, as far as that is known.

    Attributes:
        why: returns the reason, as whole sentences; it is called once, when the text is first asked for. None if there
            is no more to say. It is no argument, for an error that many short waits raise has to be made quickly.
    """

    why: Callable[[], str] | None = None

    def __str__(self) -> str:
        why, self.why = self.why, None
        if why is not None:
            try:
                self.args = (f"{self.args[0]}. {why()}",)
            except Exception:  # the text of an error is no place for another
                pass
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self),)
