"""Why a call is answered, or is not, in plain words. Knows the graph and who left; changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..graph import EndpointInfo
from ..node.core import Core
from ..node.departures import whereabouts
from ..node.picture import MAX_NAMES, place, shut_out, silence
from .names import place_of, requests_topic

if TYPE_CHECKING:
    from .line import Line

_HOW = {
    "closed": "was closed",
    "process died": "died: its process is gone",
    "host unreachable": "is not reachable any more",
    "timed out": "is not heard any more",
}


def gone(name: str, server: EndpointInfo, reason: str) -> str:
    """Say that a server is gone in the midst of a call."""
    how = _HOW.get(reason, f"is gone ({reason})")
    return f"the server of {name!r}, {whereabouts(server.node)}, {how}; whether it has done what was asked is not known"


def why(name: str, servers: list[EndpointInfo], line: Line | None, core: Core) -> str:
    """Say who is there to answer a service, or who was, and what else there is."""
    picture = core.picture
    if not servers:
        return _nobody(name, core)
    chosen = None if line is None or line.lost else line.server.topic
    said = []
    for server in map(picture.endpoint, servers):
        where = place("Server", server.node)
        if server.node.state != "alive":
            said.append(f"{where}: {silence(server.node, matched=server.topic == chosen)}")
        elif server.topic == chosen and line is not None:
            said.append(f"{where}: {'it is asked' if line.ready else f'it is being matched. {line.why()}'}.")
        else:
            said.append(f"{where}: it is there.")
    return "\n".join(said)


def _nobody(name: str, core: Core) -> str:
    before = requests_topic(name, "")
    left = core.picture.left("subscriber", lambda topic: topic.startswith(before))
    left = [each.replace("subscriber ", "server ", 1) for each in left]
    nobody = f"No server of {name!r} is known in domain {core.domain!r}"
    strangers = shut_out(core.picture)
    if left:
        return f"{nobody}: {'; '.join(left)}.{strangers}"
    topics = (topic.name for topic in core.topics(hidden=True))
    others = sorted({place.service for place in map(place_of, topics) if place is not None})
    if not others:
        return f"{nobody}. No service is known at all.{strangers}"
    more = len(others) - MAX_NAMES
    listed = ", ".join(others[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
    return f"{nobody}. Services: {listed}.{strangers}"
