"""What a bridge counts, and says of itself: values. Knows nothing of how they come about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["BridgeStatus", "ExportStats", "ImportStats", "ServiceStats"]


@dataclass(frozen=True, slots=True)
class ExportStats:
    """A publisher that is offered beyond.

    Attributes:
        topic: its topic here.
        beyond: its topic beyond.
        publisher: its id.
        node: the name of its node.
        host: the name of its host.
        wanted: whether somebody beyond subscribes to it; otherwise nothing of it crosses.
        sent: messages handed to the engine.
        bytes: bytes of their bodies.
        left_out: messages that were wanted and did not go out, by cause: ``rate`` and ``bandwidth`` (a limit was set),
            ``uplink`` (the way was too slow: the newest went), ``link`` (there was none), ``too large``; and as a
            subscriber counts them, for what did not even reach the bridge.
    """

    topic: str
    beyond: str
    publisher: str
    node: str
    host: str
    wanted: bool = False
    sent: int = 0
    bytes: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImportStats:
    """A publisher beyond.

    Attributes:
        topic: its topic here.
        beyond: its topic beyond.
        publisher: its id.
        node: the name of its node.
        host: the name of its host.
        bridge: the name of the bridge that offers it.
        hops: how many bridges it passed.
        there: whether it is offered now.
        wanted: whether somebody here subscribes to it.
        received: messages that arrived.
        bytes: bytes of their bodies.
        doubles: messages that were there already.
        missing: messages that did not arrive, by cause: ``left out`` (on purpose, by the bridge beyond: its books say
            why), ``link`` (it was away meanwhile), ``engine`` (lost on the way), ``queue`` (nobody here took them).
    """

    topic: str
    beyond: str
    publisher: str
    node: str
    host: str
    bridge: str
    hops: int
    there: bool = True
    wanted: bool = False
    received: int = 0
    bytes: int = 0
    doubles: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceStats:
    """A server on one side that can be called on the other.

    Attributes:
        service: its name here.
        beyond: its name beyond.
        server: its id.
        node: the name of its node.
        host: the name of its host.
        bridge: the name of the bridge that offers it; empty for a server of this LAN, which this bridge offers.
        calls: how many calls crossed this bridge.
        open: how many of them are not answered yet.
    """

    service: str
    beyond: str
    server: str
    node: str
    host: str
    bridge: str = ""
    calls: int = 0
    open: int = 0


@dataclass(frozen=True, slots=True)
class BridgeStatus:
    """A bridge at one moment.

    Attributes:
        name: its name.
        id: its id.
        engine: ``zenoh`` or ``mqtt``.
        state: ``linked`` or ``away``.
        detail: what it is linked to, or why it is not.
        since: seconds since that changed.
        outages: how often the link went away.
        offers: how many publishers beyond it hears of, wanted here or not.
        exports: what is offered.
        imports: what is taken.
        dropped: what came and was none of ours, by cause.
        more: what the engine says.
        pulse: seconds since the thread that decides came round; more than a few are a defect.
        services: servers of both sides that can be called on the other.
    """

    name: str
    id: str
    engine: str
    state: Literal["linked", "away"]
    detail: str
    since: float
    outages: int = 0
    offers: int = 0
    exports: tuple[ExportStats, ...] = ()
    imports: tuple[ImportStats, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    pulse: float = 0.0
    services: tuple[ServiceStats, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return what it says of itself to all on its LAN: the same in sums."""
        lists = ("exports", "imports", "services")
        told = {name: value for name, value in asdict(self).items() if name not in lists}
        left_out, missing = Counter[str](), Counter[str]()
        for out in self.exports:
            left_out.update(out.left_out)
        for into in self.imports:
            missing.update(into.missing)
        return {
            **told,
            "exported": len(self.exports),
            "imported": sum(into.there for into in self.imports),
            "sent": sum(out.sent for out in self.exports),
            "received": sum(into.received for into in self.imports),
            "doubles": sum(into.doubles for into in self.imports),
            "left_out": dict(left_out),
            "missing": dict(missing),
            "serving": len(self.services),
            "calls": sum(each.calls for each in self.services),
        }

    def record(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)
