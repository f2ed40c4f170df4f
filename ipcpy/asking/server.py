"""The interior of a service: who asks, what becomes of requests, and how answers get back. Who does the work, and when,
is crew.py's (threads) or chorus.py's (coroutines).

Joins the pure duties with the topics. The node's I/O thread tells of clients that come and go; each client has a
publisher of answers of its own here. All methods may be called from any thread.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..codec import MsgPack
from ..errors import ClosedError, CodecError, IpcError, SchemaError
from ..events import PublisherFound, PublisherLost, SubscriberFound, SubscriberLost
from ..graph import EndpointInfo
from ..log import get_logger
from ..message import Message
from ..node.core import Core
from ..node.identity import new_id
from ..node.node import Node
from ..publishing.aside import Aside
from ..publishing.publisher import Publisher
from ..publishing.room import has_room
from ..subscribing.asides import take_asides
from ..subscribing.subscriber import Subscriber
from . import envelope
from .awaited import Requests
from .duties import Cancel, Duties, Found, Job, Tell
from .envelope import (
    ERROR,
    LOST,
    RESULT,
    SMALL,
    STEP,
    TRACE,
    Failure,
    pack_failure,
    pack_header,
    pack_lost,
    seal,
    seal_all,
)
from .names import answers_topic, client_of, requests_topic
from .request import Request
from .types import AnyEnvelopes, Decode, Envelopes, Kind, Told, encoder, kind_of, reader, schema_of

if TYPE_CHECKING:
    from ..codec.codec import Codec
    from ..events import Event

log = get_logger(__name__)

DEPTH = 20_000  # requests that nobody has taken yet
DEPTH_BYTES = 256 << 20


class Terms(NamedTuple):
    """What a user asked for.

    Attributes:
        steps: whether the function answers in steps.
        goals: how many calls may be open where it does.
        block: seconds that an answer waits for a client that cannot follow.
    """

    name: str
    function: Callable[[Request], Any]
    request: Codec | None
    reply: Codec | None
    steps: bool
    goals: int
    block: float


class _Client:
    """A client, as far as it has announced itself: it can ask once it has told both of its topics."""

    def __init__(self) -> None:
        self.asks: EndpointInfo | None = None  # the publisher of its requests
        self.hears: set[str] = set()  # the nodes that have a subscriber of its answers: its own, if nobody forges
        self.answers: Publisher | None = None
        self.aside: Callable[[bytes], bool] | None = None  # the way beside the order of these
        self.decode: Decode | None = None


class Server:
    """One server at work; a Listener of the graph.

    Args:
        via: where a bridge has it from, see ``EndpointInfo``; empty for a server of this LAN.

    Attributes:
        terms: what it does.
        requests: the subscriber of its requests.
        inlet: the same in its parts, for threads.
        asked: what a thread that waited there was asked aside.
        own: it is told of ipcpy's own topics.
        closed: set when it was closed.
        counts: what became of calls: answered, failed, cancelled.
    """

    own = True

    def __init__(self, terms: Terms, node: Node, core: Core, via: Mapping[str, Any] | None = None) -> None:
        self.terms = terms
        self.closed = threading.Event()
        self.counts = {"answered": 0, "failed": 0, "cancelled": 0}
        self._node, self._core = node, core
        self._id = f"{new_id():016x}"
        self._topic = requests_topic(terms.name, self._id)
        self._lock = threading.RLock()  # over the clients
        self._short = threading.RLock()  # over the duties and counts; with it held nothing else is taken
        self._duties = Duties(terms.name, terms.goals if terms.steps else None)
        self._clients: dict[str, _Client] = {}
        self._reply = terms.reply or MsgPack()
        self._encode = encoder(self._reply)
        told = Told(kind_of(terms.request, "any"), kind_of(self._reply, ""), terms.steps, asides=True)
        schema = schema_of(told) | ({"via": dict(via)} if via else {})
        self.requests = Subscriber(self._topic, AnyEnvelopes(schema), depth=DEPTH, depth_bytes=DEPTH_BYTES, node=node)
        self.asked = Requests(self._duties, self._short)
        self.inlet = take_asides(self.requests, self.asked.claim)
        try:
            core.listen(self)
        except BaseException:
            self.requests.close()
            raise

    # -- what the graph tells, with its lock held: the I/O thread does it next ----------------------------------------

    def put(self, event: Event) -> None:
        """Take a change of the graph."""
        call = self._core.loop.call
        if isinstance(event, PublisherFound | PublisherLost):
            if event.publisher.topic == self._topic:
                came = isinstance(event, PublisherFound)
                call(self._on_asking if came else self._on_gone, event.publisher, event.publisher.id)
        elif isinstance(event, SubscriberFound | SubscriberLost):
            client = client_of(event.subscriber.topic, self._id)
            if client is not None:
                came = isinstance(event, SubscriberFound)
                call(self._on_hearing if came else self._on_gone, event.subscriber, client)

    def end(self) -> None:
        """The node is closed, and closes what is ours; what is being done is cancelled."""
        self.closed.set()
        self._cancel_all()

    def abandon(self) -> None:
        """The process is a forked child: there the threads are not, and the parent's server answers on."""
        self.closed = threading.Event()
        self.closed.set()
        self._lock = self._short = threading.RLock()

    def _on_asking(self, publisher: EndpointInfo, id: str) -> None:
        with self._lock:
            known = self._clients.setdefault(id, _Client())
            known.asks = known.asks or publisher
        self._welcome(id)

    def _on_hearing(self, subscriber: EndpointInfo, id: str) -> None:
        with self._lock:
            self._clients.setdefault(id, _Client()).hears.add(subscriber.node.id)
        self._welcome(id)

    def _welcome(self, id: str) -> None:
        """Open a client's way back, once it has told both of its topics; both must be of one node."""
        with self._lock:
            known = self._clients[id]
            if self.closed.is_set() or known.answers is not None or known.asks is None or not known.hears:
                return
            if known.asks.node.id not in known.hears:
                with self._short:
                    self._duties.dropped["forged"] += 1
                return
            with self._short:
                joined = self._duties.join(id)
            if not joined:
                log.warning("service %s: too many clients; %s is not answered", self.terms.name, known.asks.node.name)
                return
            known.decode = _reader(self.terms, known.asks)
            topic, kind = answers_topic(self._id, id), Kind(self._reply.name, {})
            try:
                known.answers = Publisher(
                    topic, Envelopes(kind), reliable=True, multicast=False, node=self._node, block=self.terms.block
                )
                known.aside = Aside(known.answers).send
            except OSError as error:  # the node is being closed, or there is no socket to be had
                log.warning("service %s: %s cannot be answered: %s", self.terms.name, known.asks.node.name, error)

    def _on_gone(self, endpoint: EndpointInfo, id: str) -> None:
        """Forget a client, and cancel what it asked: nobody waits for that any more. Its place is another one's."""
        with self._lock:
            known = self._clients.get(id)
            if known is not None and known.asks is not None and known.asks.node.id != endpoint.node.id:
                known.hears.discard(endpoint.node.id)  # another node's, which it concerns in nothing
                return
            self._clients.pop(id, None)
            with self._short:
                jobs = self._duties.leave(id)
        for job in jobs:
            self._cancel(job)
        if known is not None and known.answers is not None:
            known.answers.close()
            with self._lock:
                waiting = (id for id, each in self._clients.items() if each.answers is None and each.hears)
                next_one = next(waiting, None)
            if next_one is not None:
                self._welcome(next_one)

    # -- what is asked -------------------------------------------------------------------------------------------------

    def take(self, message: Message) -> Job | None:
        """Take a request; return the job that is to be done, if there is one."""
        with self._short:
            found = self._duties.arrived(message.publisher, message.data, aside=not message.seq)
        job = None
        for each in found:
            if type(each) is Job:
                job = each
            else:
                self.see_to(each)
        return job

    def see_to(self, found: Found | None) -> None:
        """Tell clients what they are to be told, cancel what is to be cancelled."""
        if type(found) is Tell:
            self.tell(found.client, found.data)
        elif type(found) is Cancel:
            self._cancel(found.job)

    def _cancel(self, job: Job) -> None:
        on_cancel = job.on_cancel
        if on_cancel is not None:
            on_cancel()

    def request_of(self, job: Job) -> Request:
        """Return what the function is given.

        Raises:
            CodecError: the request cannot be decoded, or its types are others.
        """
        known = self._clients.get(job.client)
        if known is None or known.decode is None:  # it is gone, and hears nothing of this
            raise CodecError("the client is gone")
        data, job.body = known.decode(job.body), None
        return Request(data, self.terms.name, known.asks, job)

    # -- what is answered ----------------------------------------------------------------------------------------------

    def step(self, job: Job, number: int, value: Any) -> list[Any]:
        """Return what is to be told of a step: nothing if the client does not want to know.

        Raises:
            CodecError: the value cannot be sent.
        """
        if not (job.wanted and job.flags & envelope.STEPS):
            return []
        return [seal(STEP, job.number, self._encode(value), step=number)]

    def answer(self, job: Job, value: Any) -> list[Any]:
        """Take note that a call is done; return what is to be told of it by the topic. A small answer goes aside, now.

        Raises:
            CodecError: the value cannot be sent.
        """
        if type(value) is Request:
            value = value.data
        small, data = _sealed(job, value, self._encode, self.terms.steps)
        with self._short:
            wanted = self._duties.finished(job, small)
            self.counts["cancelled" if job.cancelled else "answered"] += 1
        known = self._clients.get(job.client)
        if small is not None and job.aside and known is not None and known.aside is not None:
            known.aside(small)
            return []
        return data if wanted else []

    def has_room(self, job: Job, data: Any) -> bool:
        """Tell whether a client can take an answer now: else one that it was not sent yet would be given up for it."""
        known = self._clients.get(job.client)
        return known is None or known.answers is None or has_room(known.answers, data)

    def fail(self, job: Job, error: BaseException) -> None:
        """Answer a call with what went wrong."""
        if not isinstance(error, IpcError) and not job.cancelled:
            log.info("service %s: a call failed", self.terms.name, exc_info=error)
        self.fail_as(job, _failure(error, traced=bool(job.flags & TRACE)))

    def fail_as(self, job: Job, failure: Failure) -> None:
        """Answer a call with a failure as it is told."""
        count = "cancelled" if job.cancelled else "failed"
        self._end(job, count, seal(ERROR, job.number, pack_failure(failure)))

    def lose(self, job: Job) -> None:
        """Answer a call of which nothing is known any more: it was done once or not at all."""
        self._end(job, "failed", seal(LOST, job.number, pack_lost(job.number)))

    def _end(self, job: Job, count: str, data: Any) -> None:
        with self._short:
            wanted = self._duties.finished(job)
            self.counts[count] += 1
        if not wanted:
            return
        try:
            self.tell(job.client, data)
        except Exception:  # no memory, or no descriptors: what asks again is told that it is lost
            log.exception("service %s: an answer could not be sent", self.terms.name)
        finally:
            self.told(job)

    def asks(self, job: Job) -> EndpointInfo | None:
        """Return the publisher of a call's request; None if it is gone."""
        known = self._clients.get(job.client)
        return None if known is None else known.asks

    def tell(self, client: str, data: Any) -> None:
        """Tell a client something; one that is gone meanwhile hears nothing.

        Raises:
            ArgumentError: it is larger than what is sent.
        """
        known = self._clients.get(client)
        if known is None or known.answers is None:
            return
        try:
            known.answers.publish(data)
        except ClosedError:  # it is gone meanwhile
            pass

    def told(self, job: Job) -> None:
        """Take note that what ``answer`` returned was told, or cannot be."""
        with self._short:
            self._duties.told(job)

    # -- questions, and the end ----------------------------------------------------------------------------------------

    def clients(self) -> tuple[EndpointInfo, ...]:
        """Return the clients that can ask now: the publishers of their requests."""
        with self._lock:
            asks = [known.asks for known in self._clients.values() if known.answers is not None and known.asks]
        return tuple(map(self._core.picture.endpoint, asks))

    def books(self) -> tuple[dict[str, int], int, int, dict[str, int]]:
        """Return what became of calls, how many are open, how many were refused, and what was dropped, by cause."""
        with self._short:
            return dict(self.counts), self._duties.open, self._duties.refused, dict(self._duties.dropped)

    def close(self) -> None:
        """Take no more calls, cancel those that are open; idempotent. Their clients hear that the server is gone."""
        self.closed.set()
        self.requests.close()
        for answers in self._cancel_all():
            answers.close()

    def _cancel_all(self) -> list[Publisher]:
        """Forget all clients, and cancel what they asked; return the publishers of their answers."""
        with self._lock:
            clients, self._clients = self._clients, {}
            with self._short:
                jobs = [job for id in clients for job in self._duties.leave(id)]
        for job in jobs:
            self._cancel(job)
        return [known.answers for known in clients.values() if known.answers is not None]


def _sealed(job: Job, value: Any, encode: Callable[[Any], Any], steps: bool) -> tuple[bytes | None, list[Any]]:
    """Return an answer as it goes aside, None if it may not, and as it goes by the topic."""
    nothing = value is None and (steps or job.cancelled)
    flags = (envelope.NOTHING if nothing else 0) | (envelope.CANCELLED if job.cancelled else 0)
    body = b"" if nothing else encode(value)
    if job.aside and type(body) is bytes and len(body) <= SMALL:
        small = pack_header(RESULT, flags, 0, 0, job.number) + body
        return small, [small]
    return None, seal_all(RESULT, job.number, body, flags=flags)


def _failure(error: BaseException, *, traced: bool) -> Failure:
    trace = "".join(traceback.format_exception(error)) if traced else ""
    try:
        text = str(error)
    except Exception:  # a type's own __str__ may raise anything
        text = ""
    return Failure(type(error).__name__, text, trace)


def _reader(terms: Terms, client: EndpointInfo) -> Decode:
    """Return what decodes the requests of a client; if its types are others, what decodes nothing, and says why."""
    try:
        return reader(terms.name, "the request", terms.request, Kind(client.codec, client.schema))
    except SchemaError as error:
        said, differences = str(error), error.differences

    def decode(_: Any) -> Any:
        raise SchemaError(said, differences)

    return decode
