"""The errors of ipcpy. Knows nothing of the rest.

IpcError
├── ArgumentError (ValueError)      a wrong argument: raised at once, says what was expected
├── CodecError (ValueError)         data that does not fit its codec, or bytes that are not what they claim
├── SchemaError (CodecError)        two ideas of one message type
├── ClosedError (OSError)           use after close()
├── TransportError (OSError)        the operating system refused what cannot be done without
├── RecvTimeout (TimeoutError)      nothing came in time
├── NoService (ConnectionError)     nobody there to answer a call, or not any more
└── ServiceError (RuntimeError)     the function that was to answer failed, or the call was refused

Bytes from the network never raise: they are dropped and counted by cause (see ``ipcpy.stats``).
"""

from __future__ import annotations

from collections.abc import Callable

from .typed import Any

__all__ = [
    "ArgumentError",
    "ClosedError",
    "CodecError",
    "IpcError",
    "NoService",
    "RecvTimeout",
    "SchemaError",
    "ServiceError",
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


class NoService(IpcError, ConnectionError):
    """Nobody answers a service: no server is there, or the one that was asked is there no more.

    In the second case the call was done once or not at all; which of them, its client cannot know.
    """


class ServiceError(IpcError, RuntimeError):
    """What a service answered instead of a reply: its function raised, or the call was refused.

    Attributes:
        service: the service's name.
        type: the name of the exception's class, such as ``ValueError``; ``Refused`` where the server did not begin.
        text: what the exception said.
        trace: the server's traceback, where the client asks for tracebacks; else empty.
    """

    def __init__(self, service: str, type: str, text: str, trace: str = "") -> None:
        super().__init__(service, type, text, trace)
        self.service = service
        self.type = type
        self.text = text
        self.trace = trace

    def __str__(self) -> str:
        said = (
            f"{self.service!r} answered {self.type}: {self.text}"
            if self.text
            else (f"{self.service!r} answered {self.type}")
        )
        return f"{said}\n{self.trace}" if self.trace else said
