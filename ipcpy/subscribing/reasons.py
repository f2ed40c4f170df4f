"""How far a subscriber is with one of its publishers, in plain words. Knows flows and nodes; changes nothing."""

from __future__ import annotations

from ..graph import NodeInfo
from ..node.core import Core
from ..node.picture import place, reasons, silence
from ..timeouts import NEVER
from ..typed import TYPE_CHECKING

if TYPE_CHECKING:
    from .flow import Flow
    from .subscription import Subscription


def how_far(flow: Flow, node: NodeInfo, *, named: bool = False) -> str:
    """Say how far a match is.

    Args:
        node: the publisher's, as it is now.
        named: whether to say of which topic: there may be several.
    """
    where = f"{flow.topic}: {place('publisher', node)}" if named else place("Publisher", node)
    if flow.left_at != NEVER:
        return f"{where}: it went a moment ago."
    if flow.mismatch:
        return f"{where}: the types differ: {'; '.join(flow.mismatch)}."
    if node.state != "alive":
        return f"{where}: {silence(node, matched=flow.matched)}"
    if flow.matched:
        return f"{where}: matched." + (" Large messages come through shared memory." if flow.shared else "")
    if flow.address is not None:
        return f"{where}: it is known and was answered; its START has not come yet."
    return f"{where}: it is known, but nothing has come from it to UDP here: is a firewall between?"


def why(topic: str, told: str, subscription: Subscription, core: Core) -> str:
    """Say in plain words why messages come, or do not: who is there, what is late, what was lost."""
    if subscription.closed:
        lines = [f"The subscriber of {told} is closed."]
    else:
        lines = reasons("publisher", topic, subscription.why(), core, told) + subscription.timekeeper.sentences()
    stats = subscription.stats()
    if stats.unread:
        lines.append(
            f"Unread: {stats.unread}, {stats.unread_bytes:,} bytes in all; "
            f"the oldest has been waiting for {stats.unread_age:.1f} s."
        )
    if subscription.slow:
        lines.append(subscription.slow)
    lines += [f"{count} lost: {cause}." for cause, count in sorted(stats.lost.items())]
    lines += [f"{count} datagrams dropped: {cause}." for cause, count in sorted(stats.dropped.items())]
    return "\n".join(lines)
