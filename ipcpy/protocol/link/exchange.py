"""The delivery of our table to one peer: what is on its way, when to send it again. Knows ``now`` and frame bodies;
nothing of addresses, nor of what entries say."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from ...records import dataclass, field
from ...timeouts import NEVER
from .table import Table

WINDOW = 16  # TABLE frames on the way to one peer
RESEND = 0.03  # seconds until the first repetition: the round trip of a LAN, and the time a busy peer takes
RESEND_EACH = 0.002  # seconds more for each peer: who has many is busier, and so, most likely, are they
RESEND_USUAL_EACH = 0.01  # seconds for each peer: up to this, twice what acknowledgements usually take is waited for
RESEND_MAX = 0.25  # seconds; the pause doubles up to this: what a peer that was stopped or cut off then waits at most
RESEND_MAX_EACH = 0.0075  # seconds more for each peer, up to 100


@dataclass(slots=True)
class TableDelivery:
    """How far a table has got.

    Attributes:
        acked: the version that the peer has.
        resend_at: when ``again`` wants to be called, unless ``overdue`` says otherwise then.
        peers: how many peers there are.
        usual: seconds that the acknowledgements of all peers took of late.
        split: whether the peer takes large entries in parts.
        anew: whether the peer, by what it acknowledged last, has nothing any more of what it had: it gave us up.
    """

    acked: int = 0
    resend_at: float = NEVER
    peers: int = 0
    usual: float = 0.0
    split: bool = False
    anew: bool = False
    _last_told: int = 0  # the version that the peer last said it has: ``acked``, but for disorder
    _pause: float = RESEND
    _sent_at: float = 0.0  # when the first frame of the flight was last sent
    _begun: float = 0.0  # when the first frame of the flight was first sent
    _forgotten_at_start: int = 0  # ``forgotten`` of the table when the peer began at 0; 0 if it may not have done so
    _forgotten_at_start_then: int = 0  # the same for when what is on its way has come
    _flight: deque[int] = field(default_factory=deque)  # the versions that the frames on their way lead to

    def send(self, table: Table, now: float) -> Iterator[bytes]:
        """Yield the bodies of the TABLE frames that may go out now."""
        flight = self._flight
        base = flight[-1] if flight else self.acked  # the version that the next frame follows on
        if not flight and self._pause == RESEND:
            self._begun = now
        if not flight:
            self._forgotten_at_start_then = self._forgotten_at_start if base else table.forgotten
        frames = table.frames_after(base, self._forgotten_at_start_then, split=self.split)
        for to, body in islice(frames, WINDOW - len(flight)):
            flight.append(to)
            if to == 0:
                self._forgotten_at_start_then = table.forgotten
            yield body
        if not flight:
            self.resend_at = NEVER
        elif self.resend_at == NEVER:
            self._sent_at = now
            self.resend_at = now + self._patience()

    def _patience(self) -> float:
        usual = min(2 * self.usual, RESEND_USUAL_EACH * self.peers)
        return max(self._pause + RESEND_EACH * self.peers, usual)

    def overdue(self, now: float) -> bool:
        """Tell whether it is time for ``again``: by now there may be more peers, and slower ones."""
        self.resend_at = self._sent_at + self._patience()
        return now >= self.resend_at

    def acknowledge(self, version: int) -> bool:
        """Learn which version the peer has; return whether that is news."""
        self._last_told, self.anew = version, False
        if version == self.acked or (0 < version < self.acked and self._flight and version not in self._flight):
            return False  # most likely an older acknowledgement was overtaken; if not, it counts when we begin again
        if version in self._flight:
            self._forgotten_at_start = self._forgotten_at_start_then
            while self._flight.popleft() != version:
                pass
        else:  # the peer began anew
            self._flight.clear()
            self._forgotten_at_start, self.anew = 0, version == 0
        self.acked = version
        self._pause, self.resend_at = RESEND, NEVER
        return True

    def again(self, table: Table, now: float) -> Iterator[bytes]:
        """Begin again after what the peer has: frames or their acknowledgements were lost."""
        self._flight.clear()
        if self.acked != self._last_told:
            self._forgotten_at_start = 0
        self.acked = self._last_told
        self._pause = min(2 * self._pause, RESEND_MAX + RESEND_MAX_EACH * min(self.peers, 100))
        self.resend_at = NEVER
        return self.send(table, now)

    def took(self, now: float) -> float:
        """Return the seconds that what was acknowledged just now took, from when it was first sent."""
        took, self._begun = now - self._begun, now
        return took

    def rest(self) -> None:
        """Send nothing more until ``again`` is called: the peer does not read."""
        self.resend_at = NEVER
