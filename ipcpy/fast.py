"""Whether the compiled part is there and may be used. Knows nothing of what it does.

Python is the specification: whatever uses the compiled part does the same without it.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

from .typed import TYPE_CHECKING
from .version import __version__

__all__ = [
    "AccountFields",
    "BooksFields",
    "COMPILED",
    "FlowFields",
    "FramingFields",
    "InboundFields",
    "InboxFields",
    "IntakeFields",
    "LeaseFields",
    "MatchFields",
    "OutletFields",
    "PublisherFields",
    "PublishingAccountFields",
    "ReaderFields",
    "ReceiverFields",
    "RouteFields",
    "SealFields",
    "SenderFields",
    "SessionFields",
    "SharingFields",
    "SubscriberFields",
    "TurnFields",
    "WaitFields",
    "WindowFields",
    "compiled",
    "implementation",
    "slots",
    "why_pure",
]


def _load() -> tuple[ModuleType | None, str]:
    if os.environ.get("IPCPY_PURE", "0") not in ("", "0"):
        return None, "IPCPY_PURE is set"
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return None, "this Python runs without its GIL"
    try:
        import _ipcpy_fast as module
    except ModuleNotFoundError:
        return None, "ipcpy was installed without its compiled part"
    except ImportError as error:
        return None, f"the compiled part cannot be loaded: {error}"
    sources = getattr(module, "SOURCES", "")
    version = getattr(module, "VERSION", "")
    if version != __version__ or sources != _fingerprint(sources):  # of an editable installation, made earlier
        return None, "the compiled part is of another version: install this one again (pip install -e .)"
    return module, ""


def _fingerprint(otherwise: str) -> str:
    """Return that of the C that lies beside an editable installation, as hatch_build.py does; else what is given."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not os.path.exists(os.path.join(root, "hatch_build.py")):
        return otherwise
    from zlib import crc32

    folder, check = os.path.join(root, "fast"), 0
    for name in sorted(name for name in os.listdir(folder) if name.endswith((".c", ".h"))):
        with open(os.path.join(folder, name), "rb") as file:
            check = crc32(file.read(), check)
    return f"{check:08x}"


def implementation() -> str:
    """Return what this program runs: ``compiled``, or ``pure Python`` with the reason; and whose CRC-32 it takes.

    >>> implementation().partition("CRC-32 of ")[2] in ("its own", "zlib", "zlib-ng")
    True
    """
    from .checksum import LIBRARY

    return f"{'compiled' if COMPILED else f'pure Python: {why_pure}'}; CRC-32 of {LIBRARY}"


compiled, why_pure = _load()
"""The module, or None; and why there is none, as half a sentence."""

COMPILED = compiled is not None


# Bases of the classes whose fields the compiled part reads too: they hold these, as ``__slots__`` would.
if TYPE_CHECKING:
    AccountFields = object
    BooksFields = object
    FlowFields = object
    FramingFields = object
    InboundFields = object
    InboxFields = object
    IntakeFields = object
    LeaseFields = object
    MatchFields = object
    OutletFields = object
    PublisherFields = object
    PublishingAccountFields = object
    ReaderFields = object
    ReceiverFields = object
    RouteFields = object
    SealFields = object
    SenderFields = object
    SessionFields = object
    SharingFields = object
    SubscriberFields = object
    TurnFields = object
    WaitFields = object
    WindowFields = object
else:
    AccountFields = getattr(compiled, "AccountFields", object)
    BooksFields = getattr(compiled, "BooksFields", object)
    FlowFields = getattr(compiled, "FlowFields", object)
    FramingFields = getattr(compiled, "FramingFields", object)
    InboundFields = getattr(compiled, "InboundFields", object)
    InboxFields = getattr(compiled, "InboxFields", object)
    IntakeFields = getattr(compiled, "IntakeFields", object)
    LeaseFields = getattr(compiled, "LeaseFields", object)
    MatchFields = getattr(compiled, "MatchFields", object)
    OutletFields = getattr(compiled, "OutletFields", object)
    PublisherFields = getattr(compiled, "PublisherFields", object)
    PublishingAccountFields = getattr(compiled, "PublishingAccountFields", object)
    ReaderFields = getattr(compiled, "ReaderFields", object)
    ReceiverFields = getattr(compiled, "ReceiverFields", object)
    RouteFields = getattr(compiled, "RouteFields", object)
    SealFields = getattr(compiled, "SealFields", object)
    SenderFields = getattr(compiled, "SenderFields", object)
    SessionFields = getattr(compiled, "SessionFields", object)
    SharingFields = getattr(compiled, "SharingFields", object)
    SubscriberFields = getattr(compiled, "SubscriberFields", object)
    TurnFields = getattr(compiled, "TurnFields", object)
    WaitFields = getattr(compiled, "WaitFields", object)
    WindowFields = getattr(compiled, "WindowFields", object)


def slots(names: str, base: type) -> tuple[str, ...]:
    """Return the fields of a class for its ``__slots__``: those that its base has not."""
    return tuple(name for name in names.split() if not hasattr(base, name))
