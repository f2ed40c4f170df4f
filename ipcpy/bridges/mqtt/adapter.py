"""The adapter for MQTT: offers are retained messages, parcels are messages, the last will says that a bridge is gone.

Knows what stands under which name at a broker; the connection is connection.py's, what crosses the core's.
docs/beyond.md says what one sees there.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

from ...errors import CodecError
from ..adapter import Ears, Identity, Key, Unsent
from ..offers import Offer, Parcel, pack_offer
from .asking import pack_end
from .beyond import Beyond, Call
from .connection import OLD, Connection
from .engine import Engine, Publication, load_engine
from .envelope import CONTENT, Writer, pack_head
from .names import Names, fewest
from .options import RAW, check_options, tls_of
from .strangers import broker_id

__all__ = ["MqttAdapter"]

log = logging.getLogger(__name__)

REFRESH = 60.0  # seconds after which offers are said again
EXPIRY = 180  # seconds after which the broker forgets an offer that is not said again
FAREWELL = 24 * 3600  # seconds for which the broker remembers that a bridge was lost
ONLINE, OFFLINE = b"online", b"offline"
SLOW = OLD  # seconds until a message is written, from which on the engine is behind
END = 0.7  # seconds in which what is under way may still arrive
ANSWERS = 64 << 20  # bytes of answers that may be on their way
CLEARED = 10_000  # names of offers that were withdrawn while there was no connection


class MqttAdapter:
    """Carries topics over an MQTT broker; for ``Bridge``.

    Args:
        connect: where the broker is: ``mqtt://host``, ``mqtts://host:8883``, ``wss://host/path``.
        prefix: what names beyond begin with, as the bridge's rules have it.
        username, password_file: who the bridge is there; the password may stand in ``IPCPY_MQTT_PASSWORD`` too.
        ca: a file with the certificates of who vouches for the broker; by default those of the system.
        cert, key: files with a certificate of this bridge, and its key.
        name: what the name of the client begins with there.
        keepalive: seconds after which a silent connection is asked whether it is there.
        format: ``json`` (the default) or ``raw``, how messages are written.
        qos: 0 or 1; by default 1 for reliable topics and 0 for others.
        topics: the two by topic or pattern: ``{"camera/**": {"format": "raw"}}``.
        map: topics with other names there: ``{"imu": "home/imu"}``.
        root: what bridges tell of themselves under.

    Raises:
        ArgumentError: (a ValueError) which of them is wrong, and what was expected.
        IpcError: aiomqtt is not installed.
    """

    engine = "mqtt"

    def __init__(self, connect: str | None = None, *, prefix: str = "", **options: Any) -> None:
        load_engine()
        given = {name: value for name, value in options.items() if value is not None}
        self._options = check_options(given if connect is None else {"connect": connect, **given})
        self._broker = broker_id(str(self._options.address))
        self._names = Names(prefix, self._options.map, self._options.root)
        self._ours: dict[Key, tuple[Offer, Writer]] = {}
        self._cleared: set[str] = set()
        self._slow: set[Key] = set()  # those whose last message had to wait
        self._refused: list[tuple[str, str]] = []
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self, identity: Identity, ears: Ears) -> None:
        """Begin to connect; see ``Adapter.open``."""
        self._identity, self._ears = identity, ears
        self._beyond = Beyond(identity, ears, self._names, self._options, self)
        self._status = self._names.bridge(identity.id)
        self._connection = Connection(
            self._options,
            f"{self._options.name or 'ipcpy'}-{identity.id}",
            (self._status, OFFLINE, FAREWELL),
            tls_of(self._options),
            incoming=self._beyond.take,
            up=self._up,
            linked=self._linked,
            down=self._down,
        )
        self._thread = threading.Thread(target=self._run, name="ipcpy bridge mqtt", daemon=True)
        self._thread.start()
        self._ready.wait()

    # -- called by the core ------------------------------------------------------------------------------------------

    def offer(self, offer: Offer) -> None:
        """Tell those beyond of a publisher."""
        if self._names.there(offer.topic) is None:
            log.warning("%s is not exported: a broker cannot have that name", offer.topic)
            return
        if self._broker in offer.path:
            return  # it came from this broker, by another bridge of this LAN
        self._ours[offer.key] = offer, Writer(offer, self._options.format(offer.topic))
        self._call(self._offer, offer)

    def _offer(self, offer: Offer) -> None:
        if offer.key in self._ours:
            self._connection.post(self._offering(offer))
            self._want(offer)

    def _want(self, offer: Offer) -> None:
        """Have it sent: who subscribes at a broker, nobody is told."""
        if self._connection.linked:
            self._ears.wanted(offer.key, True)

    def withdraw(self, key: Key) -> None:
        """Tell those beyond that a publisher is there no more."""
        found = self._ours.pop(key, None)
        self._slow.discard(key)
        if found is not None:
            self._call(self._withdraw, found[0])

    def _withdraw(self, offer: Offer) -> None:
        name = self._names.offer(offer.topic, *offer.key)
        if self._connection.linked:
            self._connection.post(_forgetting(name))
        elif len(self._cleared) < CLEARED:
            self._cleared.add(name)

    def want(self, offer: Offer) -> None:
        """Have what is offered from beyond handed to the core."""
        self._call(self._beyond.want, offer)

    def unwant(self, key: Key) -> None:
        """Have it handed over no more."""
        self._call(self._beyond.unwant, key)

    def room(self, key: Key, timeout: float) -> bool:
        """Wait until nothing waits to be written; False once after a message that had to wait, for others grew old."""
        if key in self._slow:
            self._slow.discard(key)
            return False
        return self._connection.room(timeout)

    def send(self, key: Key, parcel: Parcel) -> None:
        """Publish a message; see ``Adapter.send``."""
        found = self._ours.get(key)
        if found is None:
            raise Unsent("withdrawn")
        if parcel.body is None:
            self._call(self._connection.post, self._saying(self._names.begins(*key), pack_end(parcel.seq)))
            return
        offer, writer = found
        publication = self._message(offer, writer, parcel)
        self._connection.check_size(publication)
        began = time.monotonic()
        self._connection.publish(publication)
        if time.monotonic() - began > SLOW:
            self._slow.add(key)

    def status(self) -> dict[str, Any]:
        """Return what there is to say of the broker."""
        connection, beyond = self._connection, self._beyond
        engine = connection.engine
        return {
            "broker": str(self._options.address),
            "attempts": connection.attempts,
            "max_packet": engine.limit if engine is not None else None,
            "unacknowledged": connection.unacknowledged,
            "refused": connection.refused,
            "not_subscribed": dict(self._refused),
            "plain_topics": beyond.plain_topics,
        }

    def close(self) -> None:
        """Withdraw all and disconnect; idempotent, within a second."""
        if self._thread is None:
            return
        self._connection.stop()
        self._call(self._leave)
        self._thread.join(END + 0.2)

    # -- in the loop -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._left = asyncio.Event()
        self._task = self._loop.create_task(self._connection.run())
        beat = self._loop.create_task(self._refresh())
        self._ready.set()
        await self._left.wait()
        for task in (beat, self._task):
            task.cancel()
        await asyncio.wait((beat, self._task), timeout=END / 2)

    def _call(self, function: Any, *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # it has ended
            log.debug("the bridge is closed")

    def _leave(self) -> None:
        """Withdraw all, and end when that has arrived."""
        for offer, _ in list(self._ours.values()):
            self._connection.post(_forgetting(self._names.offer(offer.topic, *offer.key)))
        self._connection.post(_forgetting(self._status))
        self._ending = self._loop.create_task(self._end())

    async def _end(self) -> None:
        await self._connection.settle(END / 2)
        self._left.set()

    async def _up(self, engine: Engine) -> None:
        """Subscribe, and say what there is, before anybody else publishes."""
        wanted = self._identity.wanted
        await engine.publish((self._status, ONLINE, 1, True, "", "", EXPIRY))
        own = [self._names.ask(self._identity.id, "+"), self._names.answer(self._identity.id, "+", "+")]
        filters = [*own, *self._names.offer_filters(wanted), *self._names.filters(wanted)]
        self._refused = await engine.subscribe(fewest(filters))
        for name, why in self._refused:
            log.warning("the broker refuses to send %s: %s", name, why)
        await engine.publish_all([_forgetting(name) for name in self._cleared])
        self._cleared.clear()
        await engine.publish_all([self._offering(offer) for offer, _ in list(self._ours.values())])

    def _linked(self) -> None:
        self._beyond.linked()
        self._ears.linked(str(self._options.address))
        for offer, _ in list(self._ours.values()):
            self._want(offer)

    def _down(self, why: str) -> None:
        self._beyond.unlinked()
        self._ears.unlinked(why)

    # -- for Beyond, as its Wire says --------------------------------------------------------------------------------

    def watch(self, bridge: str) -> None:
        """See Wire."""
        names = [self._names.bridge(bridge), self._names.begins(bridge, "+")]
        self._connection.listen(names)

    def ask(self, key: Key) -> None:
        """See Wire."""
        self._connection.post(self._saying(self._names.ask(*key), self._identity.id.encode()))

    def answer(self, asker: str, key: Key) -> None:
        """See Wire."""
        if key not in self._ours:
            return
        if self._connection.saying > ANSWERS:  # who asks again and again is not to fill our memory
            self._ears.dropped("crowded")
            return
        name = self._names.answer(asker, *key)
        beginning = self._ears.beginning_of(key)
        for parcel in beginning.kept:
            head = pack_head(key, parcel, RAW)
            self._connection.post((name, bytes(parcel.body), 1, False, head, CONTENT[RAW], 0))
        self._connection.post(self._saying(name, pack_end(beginning.seq)))

    def later(self, seconds: float, function: Call) -> None:
        """See Wire."""
        self._loop.call_later(seconds, function)

    def elsewhere(self, function: Call, then: Call) -> None:
        """See Wire."""
        self._loop.run_in_executor(None, function).add_done_callback(lambda done: done.exception() or then())

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH)
            self._connection.post((self._status, ONLINE, 1, True, "", "", EXPIRY))
            for offer, _ in list(self._ours.values()):
                self._connection.post(self._offering(offer))
            self._beyond.sweep(EXPIRY)

    # -- what stands at the broker -----------------------------------------------------------------------------------

    @staticmethod
    def _saying(name: str, payload: bytes) -> Publication:
        return name, payload, 1, False, "", "", 0

    def _offering(self, offer: Offer) -> Publication:
        return self._names.offer(offer.topic, *offer.key), pack_offer(offer), 1, True, "", CONTENT["json"], EXPIRY

    def _message(self, offer: Offer, writer: Writer, parcel: Parcel) -> Publication:
        try:
            payload = writer.payload(parcel.body)
        except CodecError:
            raise Unsent("codec") from None
        qos = self._options.qos(offer.topic, reliable=offer.reliable)
        name = self._names.there(offer.topic) or ""
        return name, payload, qos, offer.keep > 0, pack_head(offer.key, parcel, writer.form), CONTENT[writer.form], 0


def _forgetting(name: str) -> Publication:
    """Return what has the broker forget a retained message."""
    return name, b"", 1, True, "", "", 0
