"""The client of aiomqtt as bridges need it, and its errors as sentences. Knows the library; nothing of topics.

It is imported when a bridge is started.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from ...errors import IpcError
from .options import Options

__all__ = ["Engine", "Incoming", "Publication", "Will", "load_engine", "sentence"]

log = logging.getLogger(__name__)

TIMEOUT = 10.0  # seconds for the broker to answer
MANY = 100  # publications, or filters in one SUBSCRIBE
SESSION = 3600  # seconds for which the broker keeps what comes with quality of service 1 while the bridge is away
UNSENT = 32_768  # bytes that wait in the kernel: more only grow old there
_TCP, _TCP_NODELAY, _TCP_USER_TIMEOUT, _TCP_NOTSENT_LOWAT = 6, 1, 18, 25  # the last two of Linux (tcp(7))

Incoming = Callable[[str, bytes, bool, Mapping[str, str], str], None]
"""What is called with a message: its name, payload, whether it is retained, user properties, content type."""
Publication = tuple[str, bytes, int, bool, str, str, int]
"""A name, a payload, quality of service, whether it is retained, what it says of itself, content type, expiry."""
Will = tuple[str, bytes, int]
"""A name, a payload and seconds after which the broker forgets it."""


def load_engine() -> Any:
    """Return the module aiomqtt.

    Raises:
        IpcError: it is not installed.
    """
    try:
        import aiomqtt
    except ImportError as error:
        raise IpcError(
            f"'ipcpy bridge mqtt' needs aiomqtt, which comes with an extra: pip install 'ipcpy[mqtt]' ({error})"
        ) from None
    return aiomqtt


class Engine:
    """One connection to a broker, or the attempt.

    Args:
        options: where, and as whom.
        client_id: what the broker calls the client.
        will: what the broker publishes when the connection is lost.
        tls: what encrypts it.
        incoming: called with each message.
        again: whether the broker may know the client from before.

    Attributes:
        limit: the largest packet that the broker takes, in bytes; None if it did not say.
        refused: publications that the broker did not take.
        complaint: what the library said last of the connection.
    """

    def __init__(
        self,
        options: Options,
        client_id: str,
        will: Will,
        tls: ssl.SSLContext | None,
        incoming: Incoming,
        *,
        again: bool,
    ) -> None:
        self._aiomqtt = load_engine()
        self.limit: int | None = None
        self.refused = 0
        self.complaint = ""
        address = options.address
        self.client = _client_type(self._aiomqtt)(
            self,
            address.host,
            address.port,
            username=options.username,
            password=options.password,
            identifier=client_id,
            protocol=self._aiomqtt.ProtocolVersion.V5,
            will=self._will(will),
            transport="tcp" if address.path is None else "websockets",
            websocket_path=address.path,
            timeout=TIMEOUT,
            keepalive=options.keepalive,
            clean_start=not again,
            properties=_properties("CONNECT", SessionExpiryInterval=SESSION),
            tls_context=tls,
            socket_options=_socket_options(options.keepalive),
            queue_type=lambda maxsize: _inlet(incoming),
            logger=_listener(self),
        )
        self.client.pending_calls_threshold = 1 << 20  # how many may be on their way is ours to say

    def _will(self, will: Will) -> Any:
        name, payload, expiry = will
        properties = _properties("WILLMESSAGE", MessageExpiryInterval=expiry)
        return self._aiomqtt.Will(name, payload, 1, True, properties)

    async def unless_lost(self, doing: Coroutine[Any, Any, None]) -> None:
        """Do what waits for the broker's answers; the library lets it wait for ever where the connection is lost.

        Raises:
            MqttError: of aiomqtt: the connection was lost meanwhile.
        """
        task, lost = asyncio.ensure_future(doing), self.client.disconnection
        try:
            await asyncio.wait((task, lost), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise self._aiomqtt.MqttError("the connection was lost") from lost.exception()
            task.result()
        finally:
            task.cancel()

    async def subscribe(self, filters: list[str]) -> list[tuple[str, str]]:
        """Subscribe, and return the filters that the broker refuses, each with its words."""
        from paho.mqtt.subscribeoptions import SubscribeOptions

        refused = []
        for at in range(0, len(filters), MANY):
            some = filters[at : at + MANY]
            options = SubscribeOptions(qos=1, noLocal=True, retainAsPublished=True)
            codes = await self.client.subscribe([(each, options) for each in some])
            refused += [(each, str(code)) for each, code in zip(some, codes, strict=False) if code.value >= 128]
        return refused

    async def publish(self, publication: Publication) -> None:
        """Publish, and return when it is written, or with quality of service 1 when the broker has it."""
        name, payload, qos, retain, head, content, expiry = publication
        more: dict[str, Any] = {"UserProperty": [("ipcpy", head)]} if head else {}
        if content:
            more["ContentType"] = content
        if expiry:
            more["MessageExpiryInterval"] = expiry
        properties = _properties("PUBLISH", **more) if more else None
        await self.client.publish(name, payload, qos, retain, properties, timeout=float("inf"))

    async def publish_all(self, publications: list[Publication]) -> None:
        """Publish many, some at a time: each for itself would wait for the broker's answer."""
        for at in range(0, len(publications), MANY):
            tasks = [asyncio.ensure_future(self.publish(each)) for each in publications[at : at + MANY]]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:  # where one fails the others would wait for ever
                    task.cancel()


def sentence(error: BaseException, options: Options, complaint: str = "") -> str:
    """Say why a broker is out of reach.

    Args:
        error: what was raised.
        options: where it is.
        complaint: what the library said before, which has the reason where the error has none.
    """
    where = str(options.address)
    code = getattr(error, "rc", None)
    cause = error.__cause__
    text = str(code if code is not None and not isinstance(code, int) else cause or error)
    if "SSL" in complaint:
        text = complaint
    lower = text.lower()
    if "certificate verify failed" in lower:
        reason = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or "it is not trusted"
        return f"the certificate of the broker at {where} is refused: {reason}; --ca names who vouches for it"
    if "wrong version number" in lower or "record layer failure" in lower:
        return f"what answers at {where} does not speak TLS: connect to mqtt://, or to the broker's port for TLS"
    if "alert" in lower and ("certificate" in lower or "unknown ca" in lower):
        return f"the broker at {where} refuses our certificate: {_words(text)}; see --cert and --key"
    if "operation timed out" in lower or "timed out" in lower:
        return f"the broker at {where} does not answer"
    if "refused" in lower or "name or service" in lower or "no route" in lower or "unreachable" in lower:
        return f"no broker at {where}: {text.partition('] ')[2] or text}"
    if lower in ("bad user name or password", "not authorized"):
        return f"the broker at {where} lets us not in: {text}; see --username and IPCPY_MQTT_PASSWORD"
    if "protocol error" in lower:
        return f"what answers at {where} does not speak MQTT"
    if "taken over" in lower:
        return f"the broker at {where} has another client of our name: {text}"
    if "unsupported protocol version" in lower:
        return f"the broker at {where} does not speak MQTT 5"
    told = "" if "unspecified error" in lower else f": {text or type(error).__name__}"
    return f"the connection to the broker at {where} was lost{told}"


def _words(text: str) -> str:
    """Return the words of an error of TLS: ``[SSL: NAME] words (_ssl.c:2580)``."""
    return text.rpartition("] ")[2].partition(" (_ssl")[0] or text


def _listener(engine: Engine) -> logging.Logger:
    """Return a logger that keeps what the library says of errors, which it does not raise."""

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            engine.complaint = record.getMessage()
            log.debug("%s", engine.complaint)

    logger = logging.Logger("paho", logging.WARNING)
    logger.addHandler(Keep())
    return logger


def _properties(packet: str, **values: Any) -> Any:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    made: Any = Properties(getattr(PacketTypes, packet))  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(made, name, value)
    return made


def _socket_options(keepalive: int) -> list[tuple[int, int, int]]:
    """Return what lets nothing wait for an answer or grow old in the kernel, and tells soon that nothing arrives."""
    options = [(_TCP, _TCP_NODELAY, 1)]
    if sys.platform == "linux":
        options += [(_TCP, _TCP_NOTSENT_LOWAT, UNSENT), (_TCP, _TCP_USER_TIMEOUT, 1000 * keepalive)]
    return options


def _inlet(incoming: Incoming) -> Any:
    """Return a queue that hands on what is put into it, and so holds nothing."""

    class Inlet(asyncio.Queue[Any]):
        def put_nowait(self, message: Any) -> None:
            properties = message.properties
            try:
                incoming(
                    str(message.topic),
                    bytes(message.payload or b""),
                    bool(message.retain),
                    dict(getattr(properties, "UserProperty", ())),
                    str(getattr(properties, "ContentType", "")),
                )
            except Exception:  # a defect, which is to cost one message and no more
                log.exception("%.80s: a message could not be taken", message.topic)

    return Inlet()


def _unconfirmed(sock: Any) -> int:
    """Return how many bytes the other host has not confirmed to have; 0 where the system cannot tell."""
    if sock is None or sys.platform != "linux":
        return 0
    import fcntl
    import termios

    with contextlib.suppress(OSError, ValueError):
        return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    return 0


class _Ends:
    """What a client of aiomqtt lacks, so that a connection ends soon and leaves nothing behind."""

    _client: Any
    _loop: asyncio.AbstractEventLoop
    _misc_task: asyncio.Task[None] | None
    _disconnected: asyncio.Future[None]
    _begun: list[asyncio.Future[None]]
    timeout: float

    @property
    def disconnection(self) -> asyncio.Future[None]:
        """What is done when the connection has ended."""
        return self._disconnected

    def unconfirmed(self) -> int:
        """Return how many bytes the other host has not confirmed to have."""
        return _unconfirmed(self._client.socket())

    async def leave(self, timeout: float) -> None:
        """Disconnect, and have the broker keep nothing for us; for at most some seconds."""
        self.timeout = timeout
        if not self._client.disconnect(None, _properties("DISCONNECT", SessionExpiryInterval=0)):
            await asyncio.wait((self._disconnected,), timeout=timeout)

    def abandon(self) -> None:
        """Close what an attempt left open."""
        for end in (*self._begun, self._disconnected):  # else asyncio complains that nobody asked why
            if end.done() and not end.cancelled():
                end.exception()
        if self._misc_task is not None:
            self._misc_task.cancel()
        if (sock := self._client.socket()) is not None:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
            sock.close()
        self._client.on_socket_close = None  # it would be called when the loop is closed


def _client_type(aiomqtt: Any) -> Any:
    """Return a client that tells what the broker says of itself, and what it does not take."""

    class Client(_Ends, aiomqtt.Client):  # type: ignore[misc]
        def __init__(self, engine: Engine, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._engine = engine
            self._begun = [self._connected, self._disconnected]  # connecting replaces them

        def _on_connect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any = None) -> None:
            self._engine.limit = getattr(properties, "MaximumPacketSize", None)
            super()._on_connect(client, userdata, flags, reason, properties)

        def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any = None) -> None:
            if self._connected.cancelled():  # its time was up
                return
            if not self._connected.done():  # else who connects waits until its time is up
                self._connected.set_exception(aiomqtt.MqttCodeError(reason))
                return
            super()._on_disconnect(client, userdata, flags, reason, properties)

        def _on_publish(self, client: Any, userdata: Any, mid: int, reason: Any, properties: Any) -> None:
            if getattr(reason, "is_failure", False):
                if not self._engine.refused:
                    log.warning("the broker does not take all that is published: %s", reason)
                self._engine.refused += 1
            super()._on_publish(client, userdata, mid, reason, properties)

    return Client
