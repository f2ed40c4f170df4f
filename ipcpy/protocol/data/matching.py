"""How a publisher and a subscriber are matched: a challenge goes through the data path and comes back. Pure: frames and
``now`` come in, frames to send go out. Knows nothing of sockets, nor of what is published.

    publisher                     subscriber
    PROBE (nonce) ->                                  from the socket that will send, to the socket that will receive
                                <- ANSWER (nonce,     takes it, or why not; how much its socket holds
                                   token)
    START (first number, token) ->                    from here the subscriber takes what comes from that address
                                <- STARTED (nonce)

Before the ANSWER not one byte of topic data is sent, and no frame is longer than the one it answers. The token is a
keyed hash of the address that asks, so a PROBE that was captured and sent again from elsewhere changes nothing.
"""

from __future__ import annotations

from enum import Enum
from struct import Struct

from ...checksum import blake2b
from ...fast import MatchFields
from ...timeouts import NEVER
from ..wire import FLAG_MULTICAST, Frame, Kind, pack_frame

ANSWER_BODY = Struct("<IIQ")  # verdict, window, token
START_BODY = Struct("<QQ")  # nonce, token
TAKES_IT = 0
TYPES_DIFFER = 1
_PADDING = bytes(ANSWER_BODY.size)
FIRST_PAUSE = 0.005  # seconds until a frame without an answer is repeated; then twice as long each time
MAX_PAUSE = 0.5
REFUSED_PAUSE = 5.0  # the same after a refusal
MAX_CHALLENGES = 5  # unanswered ones within 155 ms: 5 + 10 + 20 + 40 + 80


class State(Enum):
    """How far a match is."""

    PROBING = "probing"
    STARTING = "starting"
    MATCHED = "matched"
    VERIFYING = "verifying"
    REFUSED = "refused"


class Match(MatchFields):
    """The publisher's side of one match.

    Attributes:
        first: the first number meant for the subscriber; set by the publisher once the answer has come.
    """

    def __init__(self, publisher: int, subscriber: int, nonce: int, now: float) -> None:
        self.publisher = publisher
        self.subscriber = subscriber
        self.state = State.PROBING
        self.first = 0
        self.window = 0
        self._nonce = nonce
        self._pause = FIRST_PAUSE
        self._at = now
        self._tries = 0
        self._token = 0
        self._was_started = False  # before it was verified

    @property
    def confirmed(self) -> bool:
        """Whether the subscriber is known to be ready: what is sent now is taken."""
        return self.state in (State.MATCHED, State.VERIFYING)

    @property
    def token(self) -> int:
        """What the subscriber gave with its answer, and only who reads what is sent to the publisher can know."""
        return self._token

    @property
    def open(self) -> bool:
        """Whether topic data may be sent."""
        return self.state in (State.STARTING, State.MATCHED, State.VERIFYING)

    def verify(self, now: float, *, forgotten: bool = False) -> None:
        """Challenge a subscriber that takes data: its host said, or somebody forged, that nobody listens there.

        Data are sent on meanwhile; without an answer to a few challenges they no longer are.

        Args:
            forgotten: whether it is sure that it takes nothing any more: data are sent from its next answer on.
        """
        if self.state in (State.STARTING, State.MATCHED):
            self._was_started = self.state is State.MATCHED
            self.state, self._tries = State.VERIFYING, 0
            self._pause, self._at = FIRST_PAUSE, now
        if forgotten:
            self._tries = MAX_CHALLENGES

    def next_timer(self) -> float:
        """Return when handle_timer wants to be called; ``inf`` for never."""
        return self._at

    def handle_timer(self, now: float) -> bytes | None:
        """Return the datagram that is due, None if none is."""
        if now < self._at:
            return None
        self._at = now + self._pause
        self._pause = min(2 * self._pause, MAX_PAUSE)
        if self.state is State.STARTING:
            return self.start_frame()
        if self.state is State.VERIFYING:
            self._tries += 1
            if self._tries > MAX_CHALLENGES:
                self.state = State.PROBING
        return self.probe_frame()

    def probe_frame(self) -> bytes:
        """Build the PROBE frame; subscriber 0 means every subscriber that hears it, by multicast."""
        return pack_frame(Kind.PROBE, self.publisher, self.subscriber, self._nonce, _PADDING)

    def start_frame(self, *, multicast: bool = False) -> bytes:
        """Build the START frame; one with ``multicast`` only tells from which address multicast comes."""
        body = START_BODY.pack(self._nonce, self._token)
        flags = FLAG_MULTICAST if multicast else 0
        return pack_frame(Kind.START, self.publisher, self.first, self.subscriber, body, flags=flags)

    def answered(self, frame: Frame, now: float) -> bool:
        """Take an ANSWER; return whether the subscriber may be sent topic data from now on."""
        if frame.sent_ns != self._nonce or len(frame.body) != ANSWER_BODY.size:
            return False
        if self.state is State.VERIFYING:
            self.state, self._at = (State.MATCHED, NEVER) if self._was_started else (State.STARTING, now)
        if self.open:
            return False
        verdict, self.window, self._token = ANSWER_BODY.unpack(frame.body)
        if verdict != TAKES_IT:
            self.state = State.REFUSED
            self._at = now + REFUSED_PAUSE
            return False
        self.state = State.STARTING
        self._pause, self._at = FIRST_PAUSE, now
        return True

    def started(self, frame: Frame) -> None:
        """Take a STARTED."""
        if frame.sent_ns == self._nonce and self.state is State.STARTING:
            self.state = State.MATCHED
            self._at = NEVER


def answer(probe: Frame, subscriber: int, verdict: int, window: int, token: int) -> bytes:
    """Build the ANSWER to a PROBE."""
    return pack_frame(Kind.ANSWER, probe.source, subscriber, probe.sent_ns, ANSWER_BODY.pack(verdict, window, token))


def started(start: Frame, token: int) -> bytes | None:
    """Build the STARTED that acknowledges a START; None if the START does not bear the token given to its sender."""
    if len(start.body) != START_BODY.size:
        return None
    nonce, echoed = START_BODY.unpack(start.body)
    if echoed != token:
        return None
    return pack_frame(Kind.STARTED, start.source, start.sent_ns, nonce)


def token_for(address: tuple[str, int], publisher: int, secret: bytes) -> int:
    """Return the token that only a publisher that reads what is sent to an address can know."""
    where = f"{address[0]} {address[1]} {publisher}"
    return int.from_bytes(blake2b(where.encode(), key=secret, digest_size=8).digest(), "little")
