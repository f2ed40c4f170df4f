"""Whether a message can be published without waiting, and without another one being given up for it.

Knows the pacing in a Publisher; sends nothing but its polls.
"""

from __future__ import annotations

from ..typed import Any
from .framing import parts_of
from .publisher import Publisher


def has_room(publisher: Publisher, body: Any) -> bool:
    """Tell whether all subscribers that answer can take a body now; those that cannot are asked how far they are.

    One that is closed has room, for nobody is to wait for it.
    """
    delivery = publisher._delivery  # noqa: SLF001 (here only)
    monitor = delivery.outlet.monitor
    size = len(body) if type(body) is bytes else parts_of(body)[1]
    return True if monitor.owned() else monitor.do(delivery.pacing.look(size))
