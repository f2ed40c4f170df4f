"""How far a publisher is with each of its subscribers, in plain words. Knows matches and nodes; changes
nothing."""

from __future__ import annotations

from ..graph import EndpointInfo
from ..node.core import Core
from ..node.picture import place, reasons, silence
from ..protocol.data.matching import Match, State
from .outlet import Outlet

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
    where = place("Subscriber", node)
    if match.state is State.REFUSED:
        differences = f": {'; '.join(info.mismatch)}" if info.mismatch else ""
        return f"{where}: it takes nothing, for the types differ{differences}."
    if node.state != "alive":
        return f"{where}: {silence(node, matched=match.confirmed)}"
    return f"{where}: {_HOW_FAR[match.state]}"


def why(topic: str, outlet: Outlet, core: Core) -> str:
    """Say in plain words why messages of a publisher are sent to somebody, or not: who is there, and who left."""
    if outlet.closed:
        return f"The publisher of {topic!r} is closed."
    picture = core.picture
    with outlet.monitor.lock:
        routes = [route for route in outlet.by_number.values() if picture.has(route.info)]
        known = [how_far(route.match, picture.endpoint(route.info)) for route in routes]
    return "\n".join(reasons("subscriber", topic, known, core))
