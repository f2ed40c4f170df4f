"""Who holds messages in shared memory, and for how long: it is theirs, it is bounded, and others go on."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest

from lan_process import wait_until
from large import PRELUDE, PUBLISHER, SUBSCRIBER, Large, all_let_go, holdings, warm

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="shared memory is for Linux only"),
    pytest.mark.timeout(120),
]
MIB = 1 << 20


def publish(publisher, subscribers, count, at_once=4):
    """Publish in step with the subscribers; return the books of each."""
    books = [each.stats() for each in subscribers]
    for _ in range(count // at_once):
        publisher.ask("publish", at_once, answer="published")
        published = publisher.stats()["published"]
        books = [each.right(published) for each in subscribers]
    return books


@pytest.mark.parametrize("options", [{}, {"reliable": True}], ids=["best effort", "reliable"])
def test_who_hoards_every_message_gets_the_rest_by_udp_and_others_go_on_by_memory(spawn, options):
    hoarder = Large(spawn, SUBSCRIBER, hold=None)
    others = [Large(spawn, SUBSCRIBER, hold=2) for _ in range(2)]
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": "64"}, size=MIB, wait=3, options=options)
    publisher.process.wait_line("matched", 30)
    first = warm(publisher, hoarder, *others, rounds=1, at_once=1)
    before = [each.stats()["shared"] for each in others]
    books = publish(publisher, [hoarder, *others], 120)
    assert [each["lost"] for each in books] == [{}] * 3
    assert books[0]["held"] == first + 120 and 10 <= books[0]["shared"] <= 64
    assert holdings(publisher.pid).memory <= 64 * MIB
    if not options:  # what is reliable is kept for who asks again: it takes its share
        least = [each + 100 for each in before]  # of 120; others came while the memory grew
        assert all(each["shared"] >= many for each, many in zip(books[1:], least, strict=True))
    hoarder.ask("hold", 0)
    before = hoarder.stats()["shared"]
    books = publish(publisher, [hoarder, *others], 20)
    assert books[0]["shared"] >= before + 15  # it let go: now it is like the others
    for each in (hoarder, *others, publisher):
        each.finish()


def test_many_hoarders_leave_a_part_of_the_memory_to_others(spawn):
    hoarders = [Large(spawn, SUBSCRIBER, hold=None) for _ in range(4)]
    other = Large(spawn, SUBSCRIBER, hold=1)
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": "48"}, size=MIB, wait=5)
    publisher.process.wait_line("matched", 30)
    warm(publisher, *hoarders, other, rounds=1, at_once=1)
    before = other.stats()["shared"]
    books = publish(publisher, [*hoarders, other], 80, at_once=2)
    assert books[-1]["shared"] >= before + 70  # but for what came while the memory grew
    assert all(0 < each["shared"] < 48 for each in books[:-1])
    assert [each["lost"] for each in books] == [{}] * 5


@pytest.mark.parametrize("limit", [4, 32])
def test_what_a_publisher_shares_is_bounded_by_its_setting(spawn, limit):
    hoarders = [Large(spawn, SUBSCRIBER, hold=None) for _ in range(2)]
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": str(limit)}, size=700_000, wait=2, options={"keep": 20})
    publisher.process.wait_line("matched", 30)
    for _ in range(10):
        books = publish(publisher, hoarders, 8)
        assert 0 < holdings(publisher.pid).memory <= limit * MIB
        assert holdings(hoarders[0].pid).memory <= (limit + 1) * MIB
    assert [each["received"] for each in books] == [80, 80]


def test_what_is_larger_than_the_memory_goes_by_udp(spawn):
    subscriber = Large(spawn, SUBSCRIBER, hold=1)
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": "4"}, size=6 * MIB)
    publisher.process.wait_line("matched", 30)
    (books,) = publish(publisher, [subscriber], 6, at_once=2)
    assert books["shared"] == 0
    assert holdings(publisher.pid).memory <= 4 * MIB


def test_a_subscriber_that_was_closed_keeps_what_it_holds_until_it_lets_go(spawn):
    closed, other = Large(spawn, SUBSCRIBER, hold=None), Large(spawn, SUBSCRIBER, hold=1)
    before = holdings(closed.pid)
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": "16"}, size=MIB, wait=2)
    publisher.process.wait_line("matched", 30)
    warm(publisher, closed, other, rounds=1, at_once=1)
    publish(publisher, [closed, other], 4)
    assert closed.stats()["shared"] >= 3
    closed.ask("close")
    wait_until(lambda: publisher.ask("wait")[1] == "1")
    publish(publisher, [other], 60)  # each place of the memory is used again, but those
    assert closed.ask("look")[1] == "[]"
    assert holdings(closed.pid).mappings > 0
    closed.ask("hold", 0)
    all_let_go(closed.pid, before)
    before = other.stats()["shared"]
    assert publish(publisher, [other], 20)[0]["shared"] == before + 20
    closed.finish()


def test_what_a_publisher_that_ended_had_sent_stays_right_until_it_is_let_go(spawn):
    subscriber = Large(spawn, SUBSCRIBER, hold=None, topic="camera/*")
    before = holdings(subscriber.pid)
    total = 0
    for number, how in enumerate(("end", "kill") * 3):
        publisher = Large(spawn, PUBLISHER, topic=f"camera/{number}", size=MIB)
        publisher.process.wait_line("matched", 30)
        for _ in range(200):  # until three came through memory
            publisher.ask("publish", 1, answer="published")
            total += 1
            subscriber.right(total)
            if subscriber.stats()["topics"][f"camera/{number}"][2] == 3:
                break
        publisher.process.kill() if how == "kill" else publisher.finish()
        assert subscriber.ask("look")[1] == "[]"
    assert subscriber.stats()["shared"] == 18
    subscriber.ask("hold", 0)
    all_let_go(subscriber.pid, before)


def test_a_subscriber_that_is_stopped_costs_the_others_nothing(spawn):
    stopped, other = Large(spawn, SUBSCRIBER, hold=2), Large(spawn, SUBSCRIBER, hold=2)
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": "24"}, size=MIB, wait=2)
    publisher.process.wait_line("matched", 30)
    first = warm(publisher, stopped, other)
    publish(publisher, [stopped, other], 20)
    os.kill(stopped.pid, signal.SIGSTOP)
    before = other.stats()["shared"]
    (books,) = publish(publisher, [other], 60, at_once=2)
    assert books["shared"] - before >= 50  # but for what came while the memory grew
    os.kill(stopped.pid, signal.SIGCONT)
    assert stopped.right(first + 80)["received"] >= 20
    warm(publisher, stopped, other)  # soon both get all through memory again


@pytest.mark.parametrize("seed", range(3))
def test_memory_may_be_let_go_by_gc_at_any_moment(spawn, seed):
    subscribers = [Large(spawn, SUBSCRIBER, hold=2, gc=True, how=how) for how in ("sync", "callback", "asyncio")]
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": "16"}, size=100_000 + seed, wait=3, rate=500)
    publisher.process.wait_line("matched", 30)
    publisher.ask("publish", 500, answer="published")
    for each in subscribers:
        assert each.right(500)["shared"] > 0
        each.finish()


LETS_GO = (
    PRELUDE
    + """
import queue

node = ipc.Node()
subscriber = ipc.Subscriber("large", ipc.Raw(), node=node)
how, wrong, threads = sys.argv[1], [], []
mine, theirs = [], queue.SimpleQueue()


class Cycle:
    def __init__(self, message):
        self.message, self.me = message, self


class Last:
    def __init__(self, message):
        self.message = message

    def __del__(self):
        check(self.message.data)


def elsewhere():
    for message in iter(theirs.get, None):
        check(message.data)
        del message


def into(how, message):
    view = memoryview(message.data)
    match how:
        case "thread":
            theirs.put(message)
        case "cycle":
            mine.append(Cycle(message))
            if len(mine) > 3:
                mine.clear()
                if message.seq % 8 == 0:
                    gc.collect()
        case "finaliser":
            mine.append(Last(message))
            del mine[:-3]
        case "views":  # parts of parts outlive the message
            array = numpy.frombuffer(view, numpy.uint8)[1_000:][::7]
            expected = zlib.crc32(array.tobytes())
            mine.append((memoryview(array)[5:], array, expected))
            if len(mine) > 3:
                _, array, expected = mine.pop(0)
                if zlib.crc32(array.tobytes()) != expected:
                    wrong.append(message.seq)
        case "released view":
            mine.append(view[10:])
            if len(mine) > 3:
                mine.pop(0).release()


if how == "thread":
    threads = [threading.Thread(target=elsewhere) for _ in range(3)]
    for thread in threads:
        thread.start()
gc.disable()
say("ready", subscriber.id, node.id)
for number in range(1, 201):
    message = subscriber.recv(30)
    if check(message.data) != message.seq:
        wrong.append(message.seq)
    into(how, message)
    if number % 4 == 0:
        say("took", number)
shared = sum(flow.shared for flow in subscriber.stats.publishers.values())
for _ in threads:
    theirs.put(None)
for thread in threads:
    thread.join(20)
del message
mine.clear()
gc.collect()
say("wrong", json.dumps([wrong, shared]))
sys.stdin.readline()
"""
)


@pytest.mark.parametrize("how", ["thread", "cycle", "finaliser", "views", "released view"])
def test_memory_may_be_let_go_anywhere(spawn, how):
    program = spawn(LETS_GO, how)
    program.wait_line("ready")
    before = holdings(program.pid)
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": "8"}, size=200_000)
    publisher.process.wait_line("matched", 30)
    for number in range(50):
        publisher.ask("publish", 4, answer="published")
        program.wait_line(f"^took {4 * number + 4}$", 30)
    wrong, shared = json.loads(program.wait_line("^wrong (.*)", 60)[1])
    assert wrong == [] and shared > 150
    publisher.finish()
    all_let_go(program.pid, before)
    program.send_line()
    program.succeed()
    assert program.stderr == ""


EXITS = (
    PRELUDE
    + """
node = ipc.Node()
held, count, full = [], 0, threading.Event()


def take(message):
    held.append(message)
    if sum(flow.shared for flow in subscriber.stats.publishers.values()) >= 5:
        full.set()


def read():
    for message in subscriber:
        take(message)


class AtExit:
    def __init__(self):
        self.messages = held

    def __del__(self):
        for message in self.messages:
            check(message.data)


how = sys.argv[1]
subscriber = ipc.Subscriber("large", ipc.Raw(), node=node, callback=take if how == "callback" else None)
if how != "callback":
    threading.Thread(target=read, daemon=True).start()
say("ready", subscriber.id, node.id)
assert full.wait(30)
for message in held[:5]:
    check(message.data)
say("full", sum(flow.shared for flow in subscriber.stats.publishers.values()))
match how:
    case "exit":
        sys.exit(0)
    case "cycle":
        held.append(held)
    case "finaliser":
        sys.at_exit = AtExit()
    case "atexit":
        import atexit
        atexit.register(lambda: [check(message.data) for message in held])
    case "module":
        import json as module
        module.held, module.message = held, message
    case "thread":
        threading.Thread(target=lambda: time.sleep(0.1) or held.clear()).start()
    case "closed":
        node.close()
    case "array":
        array = numpy.frombuffer(held[0].data, numpy.uint8)
        held.clear()
"""
)


@pytest.mark.parametrize(
    "how", ["exit", "falls off", "callback", "cycle", "finaliser", "atexit", "module", "thread", "closed", "array"]
)
def test_a_program_that_ends_while_it_holds_messages_just_ends(spawn, how):
    publisher = Large(spawn, PUBLISHER, size=300_000, wait=0)
    before = holdings(publisher.pid)
    for _ in range(3):
        program = spawn(EXITS, how)
        program.wait_line("ready")
        wait_until(lambda: publisher.ask("wait")[1] == "1")
        while "full" not in program.stdout and program.running:
            publisher.ask("publish", 1, answer="published")
        assert int(program.wait_line(r"^full (\d+)", 30)[1]) > 0
        publisher.ask("publish", 4, answer="published")
        assert program.wait(20) == 0
        assert program.stderr == ""
        wait_until(lambda: publisher.ask("wait")[1] == "0", 20)
    wait_until(lambda: holdings(publisher.pid).descriptors <= before.descriptors + 3, 30, 0.05)
    publisher.finish()
