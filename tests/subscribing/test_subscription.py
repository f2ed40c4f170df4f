"""The interior of a subscriber: what it announces, what the node tells it, close and fork."""

from __future__ import annotations

import collections
import threading
import time
from types import SimpleNamespace

import pytest

import ipcpy as ipc
from handing import Giver
from ipcpy.node.loop import Loop
from ipcpy.protocol.data.matching import START_BODY
from ipcpy.protocol.wire import Kind, pack_frame
from ipcpy.subscribing.subscription import Subscription, Wanted
from ipcpy.timeouts import NEVER
from ipcpy.transport.data import DataSocket
from ipcpy.transport.group import GroupSocket
from ports import own_udp_ports
from receiving import publisher_info

Point = collections.namedtuple("Point", "x y")
FLOATS, DOUBLES = ipc.MsgLibrary({1: ("<2f", Point)}), ipc.MsgLibrary({1: ("<2d", Point)})
REASONS = 3  # two fields, and the size


@pytest.fixture
def nodes():
    with ipc.Node("reader") as reader, ipc.Node("writer") as writer:
        yield reader, writer


def told(node, topic):
    """Return what is announced of the subscribers of a topic."""
    return [subscriber for found in node.topics() if found.name == topic for subscriber in found.subscribers]


def mismatches(node):
    return [reason for subscriber in told(node, "points") for reason in subscriber.mismatch]


def test_what_differs_is_announced_and_only_while_the_publisher_is_there(nodes, wait_until):
    reader, writer = nodes
    subscriber = ipc.Subscriber("points", FLOATS, node=reader)
    for _ in range(3):  # restarts of a wrong publisher: what was wrong with those that went is not of interest
        publisher = ipc.Publisher("points", DOUBLES, node=writer)
        wait_until(lambda: len(mismatches(writer)) == REASONS)
        assert "types differ" in subscriber.why()
        publisher.close()
        wait_until(lambda: mismatches(writer) == [])
    subscriber.close()


def test_the_mismatches_of_several_publishers_are_told_apart(nodes, wait_until):
    reader, writer = nodes
    subscriber = ipc.Subscriber("points", FLOATS, node=reader)
    first, second = (ipc.Publisher("points", DOUBLES, node=writer) for _ in range(2))
    wait_until(lambda: len(mismatches(writer)) == 2 * REASONS)
    first.close()
    wait_until(lambda: len(mismatches(writer)) == REASONS)
    assert subscriber.why().count("types differ") == 1
    second.close()


class Core:
    """A node that keeps what is announced to it."""

    sockets = SimpleNamespace(data=DataSocket, group=GroupSocket)
    close_by = NEVER
    bind_host = "127.0.0.1"
    way_to = staticmethod(lambda *_: None)
    clocks = SimpleNamespace(is_here=lambda id: False, known=lambda id: None)  # of nobody

    def __init__(self):
        self.entries = []
        self.withdrawn = []
        self.loop = Loop("test")

    def ensure_open(self):
        pass

    def add_subscriber(self, subscription, entry):
        self.entries.append(entry)

    def withdraw(self, number):
        self.withdrawn.append(number)


@pytest.fixture
def core():
    core = Core()
    core.loop.start()
    yield core
    core.loop.call(core.loop.quit)
    core.loop.join(20)


def test_an_entry_that_was_announced_does_not_change_afterwards(core):
    subscription = Subscription(core, Wanted("t", FLOATS, 10, 1 << 20, 0.0))
    subscription.announce()
    wrong = publisher_info(5, codec="struct", schema=dict(DOUBLES.schema))
    subscription.publisher_found(5, wrong, lambda ip: True, None)
    subscription.publisher_found(5, wrong, lambda ip: True, None)
    subscription.publisher_lost(5)
    assert [list(entry.mismatch) for entry in core.entries] == [[], [wrong.id], []]
    subscription.close()
    subscription.close()
    assert core.withdrawn == [subscription.number]


def test_who_is_closed_announces_nothing_more(core):
    subscription = Subscription(core, Wanted("t", FLOATS, 10, 1 << 20, 0.0))
    subscription.announce()
    subscription.close()
    wrong = publisher_info(5, codec="struct", schema=dict(DOUBLES.schema))
    subscription.publisher_found(5, wrong, lambda ip: True, None)  # it was on its way when somebody closed
    subscription.publisher_lost(5)
    assert len(core.entries) == 1 and core.withdrawn == [subscription.number]


def test_what_cannot_be_announced_leaves_no_socket(nodes):
    class Wordy:
        name = "wordy"
        schema = {"all": "x" * 70_000}  # more than an entry can hold

        def encode(self, data): ...
        def decode(self, body): ...

    before = own_udp_ports()
    for _ in range(3):
        with pytest.raises(ValueError, match="too large"):
            ipc.Subscriber("t", Wordy(), node=nodes[0])
    assert own_udp_ports() <= before


def test_what_is_forgotten_is_gone_at_once_however_busy_the_io_thread_is(core):
    go_on = threading.Event()
    core.loop.call(go_on.wait, 20)
    before = own_udp_ports()
    for _ in range(20):
        subscription = Subscription(core, Wanted("t", None, 10, 1 << 20, 0.0))
        subscription.announce()
        subscription.forget()
    assert own_udp_ports() == before and len(core.withdrawn) >= 20
    go_on.set()


def test_what_is_forgotten_while_its_lock_is_held_is_closed_in_the_io_thread(core, wait_until):
    subscription = Subscription(core, Wanted("t", None, 10, 1 << 20, 0.0))
    subscription.announce()
    go_on = threading.Event()
    core.loop.call(go_on.wait, 20)
    with subscription._lock:  # as the collector may find it, in the thread that holds it
        subscription.forget()
        assert core.withdrawn == [subscription.number] and not subscription.closed
    go_on.set()
    wait_until(lambda: subscription.closed)


class Busy:
    """A callback's thread that does not end; it notes how long somebody waits for it."""

    def __init__(self):
        self.waits = []

    def join(self, timeout):
        self.waits.append(timeout)


def test_however_many_callbacks_are_busy_a_node_that_closes_waits_for_all_of_them_together(core):
    busy = Busy()
    core.close_by = time.monotonic() + 0.05
    for _ in range(5):
        subscription = Subscription(core, Wanted("t", None, 10, 1 << 20, 0.0))
        subscription.announce()
        subscription.threads.append(busy)
        subscription.close()
    assert len(busy.waits) == 5 and all(0 <= wait <= 0.05 for wait in busy.waits)
    core.close_by = time.monotonic() - 1
    subscription = Subscription(core, Wanted("t", None, 10, 1 << 20, 0.0))
    subscription.announce()
    subscription.threads.append(busy)
    subscription.close()
    assert busy.waits[-1] == 0


def test_a_node_that_closes_ends_its_subscribers_and_their_callbacks(nodes):
    reader, _ = nodes
    subscriber = ipc.Subscriber("t", node=reader, callback=lambda message: None)
    reader.close()
    with pytest.raises(ipc.ClosedError):
        subscriber.recv()
    assert list(subscriber) == []


def test_a_subscriber_that_is_forgotten_is_withdrawn(nodes, wait_until):
    reader, writer = nodes
    subscriber = ipc.Subscriber("forgotten", node=reader)
    wait_until(lambda: told(writer, "forgotten"))
    del subscriber
    wait_until(lambda: not [topic for topic in writer.topics() if topic.name == "forgotten"])


FORKED = """
import os
import ipcpy as ipc
node = ipc.Node("parent")
sub = ipc.Subscriber("t", node=node)
pub = ipc.Publisher("t", node=node)
pub.wait_for_subscribers(timeout=20)
before = sub.id
child = os.fork()
if child == 0:
    assert sub.stats.received == 0
    try:
        sub.recv(0)
    except TimeoutError:
        pass
    assert sub.id != before, "a new identity"
    other = ipc.Publisher("t", node=node)
    other.wait_for_subscribers(count=2, timeout=10)
    other.publish("to both")
    assert sub.recv(10).data == "to both"
    os._exit(0)
assert sub.recv(10).data == "to both"
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert sub.id == before
"""


def test_after_a_fork_the_child_begins_anew_and_the_parent_goes_on(spawn):
    spawn(FORKED).succeed()


@pytest.mark.parametrize("when", ["before", "after"])
def test_closing_is_brought_to_its_end_although_an_exception_from_outside_came_meanwhile(core, wait_until, when):
    before = own_udp_ports()
    subscription = Subscription(core, Wanted("t", None, 10, 1 << 20, 0.0))
    subscription.announce()
    withdraw = core.withdraw

    def interrupted(number):
        core.withdraw = withdraw
        if when == "after":
            withdraw(number)
        raise KeyboardInterrupt

    core.withdraw = interrupted
    with pytest.raises(KeyboardInterrupt):
        subscription.close()
    wait_until(lambda: own_udp_ports() == before)
    assert subscription.closed and subscription.number in core.withdrawn


def test_what_is_forgotten_after_an_interrupted_close_is_withdrawn(core, wait_until):
    subscription = Subscription(core, Wanted("t", None, 10, 1 << 20, 0.0))
    subscription.announce()
    subscription.closed = True  # as far as it came
    subscription.forget()
    wait_until(lambda: core.withdrawn)


# -- shared memory -----------------------------------------------------------------------------------------------------

P, PORT = 0xA1, 5_001


@pytest.fixture
def subscription(core):
    pytest.importorskip("fcntl")
    subscription = Subscription(core, Wanted("t", None, 10, 1 << 20, 0.0))
    yield subscription
    subscription.close()


def match(subscription, ip="127.0.0.1"):
    """Have a publisher known and matched; return the token that it was given."""
    subscription.publisher_found(P, publisher_info(P), lambda ip: True, None)
    inbound, token = subscription._inbound, subscription._intake.token_for((ip, PORT), P)
    start = pack_frame(Kind.START, P, 1, subscription.number, START_BODY.pack(5, token))
    inbound.take(start, (ip, PORT))
    assert subscription.count() == 1
    return token


def offered(subscription, giver, **changes):
    return subscription.memory_offered(giver.offer._replace(**changes), [giver.descriptor], giver.theirs)


def test_memory_is_taken_of_a_matched_publisher_that_reads_what_is_sent_to_it(subscription, wait_until):
    token = match(subscription)
    with Giver(P, subscription.number, token=token) as giver:
        assert offered(subscription, giver) == ""
        giver.read()
        assert len(giver.answers) == 1
        subscription._inbound.take(giver.frame(giver.lay(b"body"), 1), ("127.0.0.1", PORT))
        assert subscription.messages.popleft().data == b"body" and subscription.stats().shared == 1
        subscription.close()
        wait_until(lambda: giver.read() or giver.sock.ended)
        assert offered(subscription, giver) == "unknown", "it is closed"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"publisher": P + 1}, "unknown"),
        ({"token": 1}, "token"),
        ({"size": 1 << 19}, "memory"),
        ({"size": 1}, "memory"),
    ],
)
def test_what_is_not_taken_is_refused_by_its_cause_and_what_was_shared_goes_on(subscription, changes, cause):
    token = match(subscription)
    with Giver(P, subscription.number, token=token) as giver, Giver(P, subscription.number, token=token) as other:
        assert offered(subscription, giver) == ""
        assert offered(subscription, other, **changes) == cause
        giver.read()
        other.read()
        assert not giver.sock.ended and other.answers == []


def test_before_it_is_matched_and_on_another_host_a_publisher_has_no_token(subscription):
    subscription.publisher_found(P, publisher_info(P), lambda ip: True, None)
    with Giver(P, subscription.number) as giver:
        assert offered(subscription, giver) == "token"
        assert offered(subscription, giver, token=match(subscription, "127.0.0.9")) == "token"


def test_a_publisher_that_lies_later_is_counted(subscription, wait_until):
    token = match(subscription)
    with Giver(P, subscription.number, token=token) as giver:
        assert offered(subscription, giver) == ""
        giver.read()
        giver.send(giver.offer._replace(segment=5))
        wait_until(lambda: giver.read() or giver.sock.ended)
        assert subscription.stats().dropped == {"memory": 1}


# -- how old a message is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ip", "lag"), [("127.0.0.1", 0.25), ("10.0.0.7", 0.0)])
def test_how_long_a_message_was_on_its_way_is_known_on_one_host_and_not_between_clocks_that_nobody_compared(
    subscription, ip, lag
):
    match(subscription, ip)
    message = ipc.Message(None, "t", 1, 1_000_000_000, 1_250_000_000, f"{P:016x}")
    assert subscription.lag(message) == lag
    assert subscription.lag(message._replace(sent_ns=2_000_000_000)) == 0.0, "the clock was set meanwhile"
    assert subscription.lag(message._replace(publisher="f" * 16)) == 0.0


@pytest.mark.parametrize(
    ("seconds", "bound", "lag"),
    [(0.3, 0.05, 0.3), (0.3, 0.2, 0.3), (0.3, 0.25, 0.05), (0.3, 5.0, 0.0), (-0.01, 0.02, 0.0), (9.0, NEVER, 0.0)],
)
def test_between_hosts_it_is_the_estimate_unless_that_may_be_wrong_by_more_than_what_matters(
    core, monkeypatch, seconds, bound, lag
):
    subscription = Subscription(core, Wanted("t", None, 10, 1 << 20, 0.0, max_age=0.2))
    match(subscription, "10.0.0.7")
    monkeypatch.setattr(subscription, "delay", lambda message: (seconds, bound))
    message = ipc.Message(None, "t", 1, 0, 0, f"{P:016x}")
    assert subscription.lag(message) == pytest.approx(lag)
    subscription.close()
