"""The link of a node, alive: its sockets, when they rest, its timers. The link itself is protocol/link/link.py.

Knows sockets and times; nothing of topics, and not how others are found. Its constructor runs in any thread, the rest
in the I/O thread.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

from ..addresses import LOOPBACK, Address, Way
from ..importing import importing
from ..log import get_logger
from ..protocol.link.clocks import is_clock
from ..protocol.link.echo import is_echo
from ..protocol.link.entries import NodeEntry
from ..protocol.link.greeting import GREETINGS, domain_number
from ..protocol.link.inquiry import is_books, is_inquiry
from ..protocol.link.link import Link, LinkEvent, PeerFound, PeerLost
from ..settings import LINK_PORTS
from ..transport.group import GroupSocket
from ..transport.link import LinkSocket
from ..transport.sockets import Sockets
from ..typed import TYPE_CHECKING
from .books import Books
from .clocks import Clocks
from .echoes import Echoes
from .loop import Alarm, Loop
from .network import Network
from .processes import Processes

if TYPE_CHECKING:
    from .inquiries import Inquiries

log = get_logger(__name__)

REST = 0.0008  # seconds for each peer that the sockets rest after only what is known already came: to wake up costs
REST_MAX = 0.04  # more than to read, so what comes meanwhile is read together; less than half of Timing.verify
DRAIN = 256  # datagrams that are read before others have their turn
LOOKS = 16  # portions of DRAIN in which our own greeting is looked for
MAX_ASKED = 4_096  # addresses of which is remembered at which of ours they asked


class Peering:
    """Moves datagrams between the link and its sockets, and events from the link to whoever wants them.

    The sockets are open when it is made; they are read as soon as the loop runs.

    Args:
        entry: what the node says of itself.
        network: the interfaces to greet on.
        sockets: which kinds of sockets to make.
        on_event: called with every event of the link.

    Attributes:
        received: datagrams that came to the link's sockets.
        sent: datagrams of the link; one by multicast goes out on each interface and counts once.
        refused: sends that the system refused, by cause: unicast, multicast.
        clocks: those of the peers.
        books: tells peers what this node counted.

    Raises:
        TransportError: if there is no UDP port to be had.
    """

    def __init__(
        self,
        loop: Loop,
        entry: NodeEntry,
        link: Link,
        network: Network,
        sockets: Sockets,
        on_event: Callable[[LinkEvent], None],
    ) -> None:
        self._loop = loop
        self._link = link
        self._own = link.id.to_bytes(8, "little")  # as a frame has it from byte 8 on
        self._network = network
        self._sockets = sockets
        self._listeners: list[Callable[[LinkEvent], object]] = [on_event]
        self.received = self.sent = 0
        self.refused: Counter[str] = Counter()
        self._socket = self._open_socket(LINK_PORTS)
        self._group = self._open_group()
        number = domain_number(entry.domain)
        self._echoes = Echoes(loop, link.id, number, self._socket, lambda: self._open_socket(()), link.dropped)
        self._echoes.way_to = network.way_to
        self.clocks = Clocks(loop, link, self._send)
        self.books = Books(link, lambda id: self.clocks.seen(int(id, 16)), self._send)
        self._inquiries: Inquiries | None = None
        self._heard_itself = False
        self._asked: dict[Address, str] = {}  # our own address that the last datagram from each went to
        self._processes = Processes(loop, entry, self._died)
        self._alarm = Alarm(loop, self._on_timer)
        self._resting = False
        self._closed = False
        self._watch()

    def _open_socket(self, ports: Iterable[int]) -> LinkSocket:
        made = self._sockets.link(self._network.bind_host, ports)
        made.way_to = self._network.way_to
        return made

    def _open_group(self) -> GroupSocket | None:
        try:
            return self._sockets.greetings()
        except OSError as error:
            log.warning("no greeting by multicast: %s. Other hosts are found by mDNS and IPCPY_PEERS.", error)
            return None

    @property
    def port(self) -> int:
        """The UDP port of the link."""
        return self._socket.port

    def listen(self, on_event: Callable[[LinkEvent], object]) -> None:
        """Have somebody more called with every event of the link, after the others."""
        self._listeners.append(on_event)

    @property
    def inquiries(self) -> Inquiries:
        """What asks peers what they counted; made when it is first wanted, in any thread."""
        if self._inquiries is None:
            with importing.lock:
                from .inquiries import Inquiries

                self._inquiries = self._inquiries or Inquiries(self._loop, self._link, self._send)
            if self._closed:
                self._inquiries.close()
        return self._inquiries

    # -- what the node does ------------------------------------------------------------------------------------------

    def rejoin(self) -> None:
        """Listen and greet on the interfaces that there are now."""
        self._heard_itself = False
        if self._group is not None:
            self._group.rejoin(self._network.indexes())
        self._link.greet(time.monotonic())
        self.flush()

    def hears_itself(self) -> bool:
        """Tell whether our last greeting to all came back by loopback, after a look at what came."""
        for _ in range(LOOKS):
            if self._heard_itself or self._group is None or not self._receive(self._group)[0]:
                break
        return self._heard_itself

    def tell(self) -> None:
        """Send what changed in the node's table."""
        if not self._closed:
            self._link.changed(time.monotonic())
            self.flush()

    def doubt(self, id: int) -> None:
        """Learn that a host said that nobody listens at a port of a peer's other than that of its link."""
        self._link.doubt(id, time.monotonic())
        self.flush()

    def close(self) -> None:
        """Say goodbye and close the sockets."""
        self._link.close()
        if self._inquiries is not None:
            self._inquiries.close()
        self.flush()
        self.abandon()

    def abandon(self) -> None:
        """Close the descriptors without a word; what a forked child does with those of its parent."""
        self._closed = True
        self._echoes.close()
        for file in (self._socket, self._group):
            if file is not None:
                self._loop.unwatch(file)
                file.close()
        self._processes.close()

    # -- datagrams that come, and rests ------------------------------------------------------------------------------

    def _watch(self) -> None:
        self._loop.watch(self._socket, self._on_datagrams)
        if self._group is not None:
            self._loop.watch(self._group, self._on_group)

    def _on_datagrams(self) -> None:
        count, news = self._receive(self._socket)
        if 0 < count < DRAIN:
            self._rest_unless(news)
            return  # if something failed, this is called again for it
        self._receive_failures(time.monotonic())

    def _on_group(self) -> None:
        if self._group is not None:
            self._rest_unless(self._receive(self._group)[1])

    def _rest_unless(self, news: bool) -> None:
        if not news and not self._resting:
            self._resting = True
            for source in (self._socket, self._group):
                self._loop.unwatch(source)
            self._rest()

    def _rest(self) -> None:
        self._loop.call_at(time.monotonic() + min(REST * len(self._link.peers), REST_MAX), self._after_rest)

    def _after_rest(self) -> None:
        """Take what came while the sockets rested, and let them rest on if that was nothing new."""
        if self._closed:
            return
        self._resting = False
        try:
            count, news = self._receive(self._socket)
            greetings, new = self._receive(self._group) if self._group is not None else (0, False)
            # Nobody calls for failures while something comes in every rest.
            failed = self._receive_failures(time.monotonic())
            self._resting = 0 < count + greetings < DRAIN and not (news or new or failed)
        finally:
            self._rest() if self._resting else self._watch()

    def _receive(self, source: LinkSocket | GroupSocket) -> tuple[int, bool]:
        """Take what has come; return how many datagrams that were, and whether any said something new."""
        count, news, told = 0, False, False
        while count < DRAIN and (received := source.poll()) is not None:
            count += 1
            data, address = received
            if not data:  # refused by a seal
                continue
            asked = ""
            if source is self._socket:
                asked = self._note_asked(address)
            elif address[0] == LOOPBACK and data[8:16] == self._own:
                self._heard_itself = True
            if source is self._socket and is_echo(data):
                self._echoes.receive(data, address, self._socket)
                news = True
            elif source is self._socket and is_clock(data):
                self.clocks.receive(data, address)
                news = True
            elif source is self._socket and is_inquiry(data):
                self.books.receive(data, address)
                news = True
            elif source is self._socket and self._inquiries is not None and is_books(data):
                self._inquiries.receive(data, address)
                news = True
            else:
                told |= self._link.receive_datagram(data, address, time.monotonic(), asked)
        self.received += count
        if told:  # else the link has nothing to say
            self.flush()
        return count, news or told

    def _note_asked(self, address: Address) -> str:
        """Note at which of our addresses we were asked from an address, and return it."""
        asked, before = self._socket.asked, self._asked.get(address)
        if asked != before:
            if before is not None:
                self.flush()  # answers to what was asked before leave from where that was asked
            if len(self._asked) >= MAX_ASKED:
                self._asked.clear()
            self._asked[address] = asked
        return asked

    def _receive_failures(self, now: float) -> bool:
        """Take what the network said of what was sent; tell whether that was anything."""
        failures = self._socket.failures()
        for address, refused in failures:
            (self._link.receive_refusal if refused else self._link.receive_unreachable)(address, now)
        if failures:
            self.flush()
        return bool(failures)

    # -- what the link wants -----------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Pass on what the link wants to send and say."""
        while events := self._link.events():
            for event in events:
                self._pass_on(event)
        for datagram, address in self._link.datagrams_to_send():
            if address is None:
                self.sent += 1
                self._multicast(datagram)
            elif not self._send(datagram, address):
                self._link.receive_unreachable(address, time.monotonic())
        self._alarm.by(self._link.next_timer())

    def _send(self, datagram: bytes, address: Address) -> bool:
        self.sent += 1
        taken = self._socket.sendto(datagram, address, self._way_to(datagram, address))
        if not taken:
            self.refused["unicast"] += 1
        return taken

    def _way_to(self, datagram: bytes, address: Address) -> Way | None:
        """Return how a datagram leaves: a greeting from where we were asked, else from where the peer knows us."""
        peer = self._link.addresses.get(address)
        if peer is None or datagram[3] in GREETINGS:
            return self._network.way_to(address[0], self._asked.get(address, ""))
        return self._network.way_to(address[0], peer.paths[address].source)

    def _multicast(self, datagram: bytes) -> None:
        for interface, address in self._network.places():
            if not self._socket.multicast(datagram, interface, address):
                self.refused["multicast"] += 1

    def _pass_on(self, event: LinkEvent) -> None:
        if isinstance(event, PeerFound):
            self._link.watch(event.id, self._processes.add(event.id, event.entry))
        elif isinstance(event, PeerLost):
            self._processes.remove(event.id)
        self.clocks.on_event(event)
        for listener in self._listeners:
            listener(event)

    def _on_timer(self) -> None:
        self._link.handle_timer(time.monotonic())
        self.flush()

    def _died(self, id: int) -> None:
        if not self._closed:
            self._receive(self._socket)  # it may have said goodbye while the sockets rested
        self._link.process_died(id, time.monotonic())
        self.flush()
