"""How far a publisher is with each of its subscribers, in plain words. Knows matches and nodes; changes nothing."""

from __future__ import annotations

from ..graph import EndpointInfo
from ..protocol.data.matching import Match, State

_HOW_FAR = {
    State.PROBING: "it is known, but has not answered to UDP from here: is a firewall between?",
    State.STARTING: "it answered; that it is ready has not come yet.",
    State.MATCHED: "matched.",
    State.VERIFYING: "matched, and being asked whether it is still there.",
}


def how_far(match: Match, info: EndpointInfo) -> str:
    """Say how far a match is.

    Args:
        info: the subscriber, with its node as it is now.
    """
    node = info.node
    where = f"Subscriber {node.name!r} on {node.host} ({node.address or 'this process'})"
    if match.state is State.REFUSED:
        differences = f": {'; '.join(info.mismatch)}" if info.mismatch else ""
        return f"{where}: it takes nothing, for the types differ{differences}."
    if node.state != "alive":
        known = "matched" if match.confirmed else "known"
        return f"{where}: {known}, but its process has not answered for {node.age:.1f} s (stopped, or cut off)."
    return f"{where}: {_HOW_FAR[match.state]}"
