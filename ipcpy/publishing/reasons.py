"""How far a publisher is with each of its subscribers, in plain words. Knows matches and nodes; changes
nothing."""

from __future__ import annotations

from ..graph import EndpointInfo
from ..node.core import Core
from ..node.picture import place, reasons, silence
from ..protocol.data.matching import Match, State
from ..protocol.naming import Resolved
from .outlet import Outlet

_HOW_FAR = {
    State.PROBING: "it is known, but has not answered to UDP from here: is a firewall between?",
    State.STARTING: "it answered; that it is ready has not come yet.",
    State.MATCHED: "matched.",
    State.VERIFYING: "matched, and being asked whether it is still there.",
}

_WAYS = {
    "shared": " Messages of 32 KiB and more go through shared memory.",
    "refused": " Large messages go by UDP: no shared memory is to be had with it (other user, IPCPY_SHM=0, none left).",
}


def how_far(match: Match, info: EndpointInfo, way: str = "") -> str:
    """Say how far a match is.

    Args:
        info: the subscriber, with its node as it is now.
        way: which large messages go: ``shared``, ``refused`` where they might but it takes no memory; else empty.
    """
    node = info.node
    where = place("Subscriber", node)
    if match.state is State.REFUSED:
        differences = f": {'; '.join(info.mismatch)}" if info.mismatch else ""
        return f"{where}: it takes nothing, for the types differ{differences}."
    if node.state != "alive":
        return f"{where}: {silence(node, matched=match.confirmed)}"
    said = _HOW_FAR[match.state]
    return f"{where}: {said}{_WAYS.get(way, '') if match.state is State.MATCHED else ''}"


def why(name: Resolved, outlet: Outlet, core: Core) -> str:
    """Say in plain words why messages of a publisher are sent to somebody, or not: who is there, and who left."""
    if outlet.closed:
        return f"The publisher of {name.told} is closed."
    picture = core.picture
    with outlet.monitor.lock:
        routes = [route for route in outlet.by_number.values() if picture.has(route.info)]
        known = [how_far(route.match, picture.endpoint(route.info), route.sharing.way) for route in routes]
    return "\n".join(reasons("subscriber", name.topic, known, core, name.told))
