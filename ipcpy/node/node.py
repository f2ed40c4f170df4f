"""Node: what users hold of a node. Checks arguments and says what they mean; all work is done in core.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from types import TracebackType

from ..clock import Clock
from ..graph import EndpointInfo, Flow, NodeInfo, Stranger, TopicInfo
from ..settings import KeyChoice, Remap, from_environment
from ..stats import NodeStats
from ..timeouts import seconds
from ..transport.sockets import Sockets
from ..typed import TYPE_CHECKING
from .core import Core
from .watch import Watch

if TYPE_CHECKING:
    from ..events import Event

__all__ = ["Node"]


class Node:
    """A participant: one identity, one I/O thread, any number of publishers and subscribers.

    Most programs need none: ``Publisher`` and ``Subscriber`` share one that is made on first use. In a forked child it
    begins anew, with a new id, when it is first used. One that nobody holds any more is closed; its publishers,
    subscribers and watches hold it.

    Args:
        name: what others see; by default the program's name.
        domain: nodes of different domains neither see nor hear each other; by default ``IPCPY_DOMAIN``, or "default".
        interfaces: names or addresses of the network interfaces to use, comma-separated or one each; by default
            ``IPCPY_INTERFACES``, or all. ``lo`` alone keeps everything on this host.
        peers: static addresses, ``host`` or ``host:port``, for networks without multicast; by default ``IPCPY_PEERS``.
        namespace: a name such as ``robot1`` that its topics, services and parameters are put under: ``imu`` is
            ``robot1/imu``, and ``/imu`` is ``imu``; by default ``IPCPY_NAMESPACE``, or none. "" for none.
        remap: what names are called instead, as a dict or ``imu:=front/imu``, comma-separated or one each; by default
            ``IPCPY_REMAP``. Both sides are put under the namespace. ``camera/**:=front/**`` is for all below camera.
        key: path of the key file (``ipcpy key new``): all that the node sends is sealed with it, and who has another
            key or none is not heard. By default ``IPCPY_KEY_FILE``; where that is not set, ``ipcpy.key`` among
            systemd's credentials, or the user's own key file, if there is one. False for none. See docs/security.md.

    Raises:
        ArgumentError: (a ValueError) which argument or environment variable is wrong, or what is wrong with the key
            file.
        IpcError: if there is a key, and the extra ``secure`` is not installed.
        TransportError: (an OSError) if there is no UDP socket to be had.

    >>> import ipcpy as ipc
    >>> with ipc.Node("arm", interfaces="lo") as node:
    ...     node.name, node.closed
    ('arm', False)
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        domain: str | None = None,
        interfaces: str | Iterable[str] | None = None,
        peers: str | Iterable[str] | None = None,
        namespace: str | None = None,
        remap: Remap | None = None,
        key: KeyChoice = None,
    ) -> None:
        settings = from_environment(domain, interfaces, peers, namespace=namespace, remap=remap, key=key)
        self._core = Core(name, settings, Sockets())
        self._core.ensure_open()  # now, when this can close it, whatever comes

    @property
    def id(self) -> str:
        """16 hexadecimal digits, new with every start."""
        return f"{self._core.id:016x}"

    @property
    def name(self) -> str:
        """What others see."""
        return self._core.name

    @property
    def domain(self) -> str:
        """The domain it belongs to."""
        return self._core.domain

    @property
    def namespace(self) -> str:
        """What its topics, services and parameters are put under; empty for nothing."""
        return self._core.naming.namespace

    @property
    def keys(self) -> tuple[str, ...]:
        """The fingerprints of its keys, as words; the first one seals. Empty for a node that has none."""
        ring = self._core.keys.keyring
        return tuple(key.fingerprint for key in ring.keys) if ring is not None else ()

    def resolve(self, name: str) -> str:
        """Return what a name or pattern becomes here: the whole name, as other nodes see it.

        Raises:
            ArgumentError: (a ValueError) if it is neither.

        >>> import ipcpy as ipc
        >>> with ipc.Node(interfaces="lo", namespace="robot1", remap="imu:=front/imu") as node:
        ...     node.resolve("gps"), node.resolve("imu"), node.resolve("/gps")
        ('robot1/gps', 'robot1/front/imu', 'gps')
        """
        return self._core.naming.pattern(name).topic

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._core.closed

    @property
    def stats(self) -> NodeStats:
        """What its link received, sent and dropped, and why; after ``close`` the last counts."""
        return self._core.stats()

    def topics(self, *, hidden: bool = False) -> tuple[TopicInfo, ...]:
        """Return the topics known now, by name; a new node needs a moment, see ``wait_complete``.

        Args:
            hidden: ipcpy's own topics too, which begin with ``@ipcpy/``; services are made of them.

        Raises:
            ClosedError: (an OSError) if it is closed.
        """
        return self._core.topics(hidden=hidden)

    def nodes(self) -> tuple[NodeInfo, ...]:
        """Return the nodes known now, this one included.

        Raises:
            ClosedError: (an OSError) if it is closed.
        """
        self._core.ensure_open()
        return self._core.picture.nodes()

    def flows(self, *, hidden: bool = False, timeout: float | None = 0.5) -> tuple[Flow, ...]:
        """Ask all nodes who sends what to whom, how fast, and what gets lost; by topic.

        Nothing is subscribed to for it, and publishers and subscribers are not slowed down. Rates are those since the
        call before; latencies are noted for 3 s after a call. So the first call has neither.

        Args:
            hidden: ipcpy's own topics too, which begin with ``@ipcpy/``; services are made of them.
            timeout: seconds that all may take to answer; None for 2 s. Of a node that does not, what it told last is
                returned, with its ``age``.

        Raises:
            ClosedError: (an OSError) if it is closed.
            ArgumentError: (a ValueError) if timeout is no number.
        """
        wait = seconds(timeout)
        self._core.ensure_open()
        found = self._core.ledger().flows(wait, hidden=hidden)
        self._core.ensure_open()
        return found

    async def flows_async(self, *, hidden: bool = False, timeout: float | None = 0.5) -> tuple[Flow, ...]:
        """Ask as ``flows``, in a coroutine; other coroutines run meanwhile."""
        wait = seconds(timeout)
        self._core.ensure_open()
        found = await self._core.ledger().flows_async(wait, hidden=hidden)
        self._core.ensure_open()
        return found

    def why(self, topic: str, *, timeout: float | None = 0.5) -> str:
        """Ask the publishers and subscribers of a topic, wherever they are, why messages come, or do not.

        Args:
            topic: a name or pattern, under the namespace of this node.
            timeout: seconds that they may take to answer; None for 2 s.

        Returns:
            What ``why()`` of each says, and what is known of those that say nothing, in lines.

        Raises:
            ArgumentError: (a ValueError) if it is no topic, or timeout no number.
            ClosedError: (an OSError) if it is closed.
        """
        name, wait = self.resolve(topic), seconds(timeout)
        self._core.ensure_open()
        said = self._core.ledger().why(name, wait)
        self._core.ensure_open()
        return said

    async def why_async(self, topic: str, *, timeout: float | None = 0.5) -> str:
        """Ask as ``why``, in a coroutine; other coroutines run meanwhile."""
        name, wait = self.resolve(topic), seconds(timeout)
        self._core.ensure_open()
        said = await self._core.ledger().why_async(name, wait)
        self._core.ensure_open()
        return said

    def strangers(self) -> tuple[Stranger, ...]:
        """Return who is here and shares no key with this node, by key, most nodes first: neither hears the other.

        Raises:
            ClosedError: (an OSError) if it is closed.
        """
        self._core.ensure_open()
        return self._core.picture.strangers()

    def watch(self, *, hidden: bool = False) -> Watch[Event]:
        """Watch nodes, publishers and subscribers come and go; what is there comes first.

        Args:
            hidden: those of ipcpy's own topics too, which begin with ``@ipcpy/``.

        Raises:
            ClosedError: (an OSError) if it is closed.
        """
        return self._core.watch(self, hidden=hidden)

    def domains(self) -> tuple[str, ...]:
        """Return its domain, and behind it the others of which nodes were heard by mDNS, those with most nodes first.

        The first call has it ask for them: nodes answer within a second or so. A domain is named for up to 120 s after
        its last node went. Where mDNS does not pass, other domains are not heard of.

        Raises:
            ClosedError: (an OSError) if it is closed.
        """
        self._core.ensure_open()
        return self._core.rendezvous.domains()

    def clock(self, peer: NodeInfo | EndpointInfo | str) -> Clock:
        """Return how far the wall clock of a node is ahead of this host's, and how wrong that can be.

        The first answer of a node comes within milliseconds. The estimate is renewed once a second, and twenty times
        while somebody asks for it. Nodes of this host have its clock: offset, bound and age are 0.0.

        Args:
            peer: a node, a publisher or subscriber of it, the id of one of them, or the name of one node.

        Returns:
            Offset, bound and age, in seconds. Bound and age are ``inf`` while nothing is known: the node is not there,
            has not answered yet, or runs an ipcpy that is too old to.

        Raises:
            ArgumentError: (a ValueError) if that is no peer.
            ClosedError: (an OSError) if it is closed.
        """
        self._core.ensure_open()
        return self._core.clocks.of(self._core.picture.node_number(peer))

    def wait_complete(self, timeout: float | None = 0.5) -> bool:
        """Wait until the first picture of the graph is complete.

        It is when every node that answered has told all it has, and nothing new came for 100 ms.

        Args:
            timeout: seconds; None waits for ever.

        Returns:
            Whether it was complete in time.

        Raises:
            ClosedError: (an OSError) if it is closed, also while waiting.
            ArgumentError: (a ValueError) if timeout is no number.
        """
        return self._core.wait_complete(seconds(timeout))

    async def wait_complete_async(self, timeout: float | None = 0.5) -> bool:
        """Wait as ``wait_complete``, in a coroutine; other coroutines run meanwhile."""
        return await self._core.wait_complete_async(seconds(timeout))

    def close(self) -> None:
        """Close its publishers and subscribers, say goodbye, stop the thread; within 100 ms, idempotent."""
        self._core.close()

    def __enter__(self) -> Node:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # one whose arguments were refused has no core
            self._core.forget()

    def __repr__(self) -> str:
        return f"<ipcpy.Node {self.name!r} {self.id} domain {self.domain!r}{' closed' if self.closed else ''}>"
