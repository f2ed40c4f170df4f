"""One session of Zenoh with all that a bridge declares on it, and whether it is linked to anybody."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from ..adapter import Ears, Identity, Key
from ..offers import Offer
from .access import Access
from .incoming import Incoming
from .keys import Keys
from .letters import Letters
from .outgoing import Outgoing

__all__ = ["Link"]


class Link:
    """A session, and what is declared on it.

    Args:
        session: Zenoh's.
        space: what all keys begin with.
        identity: whose offers these are.
        ears: who is told.
        on_seen: is told how far the messages of an offer of ours have come.

    Attributes:
        outgoing: what we offer.
        incoming: what others offer.
        letters: services, and what is asked of them.
        zid: the id of the session, as Zenoh's own tools show it.
    """

    def __init__(
        self, session: Any, space: str, identity: Identity, ears: Ears, on_seen: Callable[[Key, int], None]
    ) -> None:
        self._access = Access(session, Keys(space))
        self.outgoing = Outgoing(self._access, ears, on_seen)
        self.incoming = Incoming(self._access, identity, ears)
        self.letters = Letters(self._access, identity, ears)
        self.zid = str(session.zid())

    def to(self) -> str:
        """Return to what it is linked; empty while it is not."""
        with contextlib.suppress(self._access.zenoh.ZError):
            return ", ".join(sorted(str(link.dst) for link in self._access.session.info.links()))
        return ""

    def take_up(self, offers: Iterable[Offer], wants: Iterable[Offer]) -> None:
        """Declare all, for the first time."""
        self.incoming.listen()
        for offer in offers:
            self.outgoing.offer(offer)
        for offer in wants:
            self.incoming.want(offer)

    def look(self, now: float) -> None:
        """Ask for what is not known yet."""
        self.incoming.tokens.look(now)
        self.letters.tokens.look(now)

    def again(self) -> None:
        """Hear and tell all again: it was away, and Zenoh has brought it back."""
        self.incoming.listen()
        self.letters.listen()
        self.outgoing.again()

    def close(self) -> None:
        """Close it, and with it all that is declared."""
        self.letters.close()
        self._access.close()
