"""Processes that share memory and are killed, stopped or started again: no wrong byte, and nothing is left."""

from __future__ import annotations

import json
import os
import sys

import pytest

from lan_process import wait_until
from large import PRELUDE, PUBLISHER, SUBSCRIBER, Large, all_let_go, holdings

LONG = bool(os.environ.get("LONG_TESTS"))  # the whole length: minutes
KILLS = 100 if LONG else 15  # of each kind, of which there are two
RESTARTS = 1_000 if LONG else 100
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="shared memory is for Linux only"),
    pytest.mark.timeout(900 if LONG else 180),
]
GROWTH = 6  # a publisher's memory of 32 MiB has no more parts

NURSERY = (
    PRELUDE
    + """
import signal

role, count, dice = sys.argv[1], int(sys.argv[2]), random.Random(int(sys.argv[3]))


def subscribe():
    subscriber, held = ipc.Subscriber("large/*", ipc.Raw()), collections.deque()
    for message in subscriber:
        held.append(message)
        check(message.data)
        while len(held) > 3:
            check(held.popleft().data)


def publish():
    publisher = ipc.Publisher(f"large/{os.getpid()}", ipc.Raw())
    publisher.wait_for_subscribers(1, 20)
    for number in range(1, 1 << 30):
        size = dice.choice((40_000, 300_000, 2_000_000))
        data = publisher.loan(size) if number % 2 else bytearray(size)
        fill(data, number)
        publisher.publish(data)
        time.sleep(0.001)


def child():
    dice.seed(os.getpid())
    try:
        {"subscriber": subscribe, "publisher": publish}[role]()
    except BaseException:
        import traceback
        say("WRONG", traceback.format_exc().replace("\\n", " | "))
    os._exit(1)


say("ready")
for _ in range(count):
    pid = os.fork()
    if pid == 0:
        child()
    time.sleep(0.6 * dice.random())
    if dice.random() < 0.3:  # stopped first
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.3 * dice.random())
        if dice.random() < 0.5:
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.2 * dice.random())
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        say("WRONG", "ended by itself:", os.waitstatus_to_exitcode(status))
say("over")
"""
)


@pytest.mark.parametrize("role", ["subscriber", "publisher"])
def test_whoever_is_killed_at_any_moment_does_no_harm_and_leaves_nothing(spawn, role):
    steady = Large(spawn, SUBSCRIBER, hold=3, topic="large/*")
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": "32"}, topic="large/steady", size=300_000, rate=100)
    publisher.process.wait_line("matched", 30)
    publisher.ask("publish", 20, answer="published")
    before = [holdings(each.pid) for each in (steady, publisher)]
    nursery = spawn(NURSERY, role, str(KILLS), "7")
    published = 20
    while "\nover" not in nursery.stdout and nursery.running:
        publisher.ask("publish", 50, answer="published")
        published += 50
    nursery.succeed(30)
    assert "WRONG" not in nursery.stdout, nursery.stdout

    def books():
        stats = steady.stats()
        return stats if sum(stats["topics"]["large/steady"][:2]) == published else None

    lost = wait_until(books, 20)["causes"]["large/steady"]
    assert lost.keys() <= {"inbox"}, "two megabytes flat out are more than it can check"
    steady.ask("hold", 0)
    told = steady.stats()
    assert told["wrong"] == [] and told["order"], told
    assert told["topics"]["large/steady"][2] > published // 2, "by memory, meanwhile too"
    if role == "publisher":
        assert told["shared"] > told["topics"]["large/steady"][2], "those that were killed used memory too"
    all_let_go(steady.pid, before[0], more=GROWTH, timeout=30)
    all_let_go(publisher.pid, before[1], more=GROWTH, timeout=30)
    assert holdings(publisher.pid).memory <= 32 << 20
    publisher.finish()
    steady.finish()


RESTARTED_SUBSCRIBER = (
    PRELUDE
    + """
node, held = ipc.Node(), collections.deque()
say("ready")
for number in range(1, int(sys.argv[1]) + 11):
    if number == 11:
        say("counted")
        sys.stdin.readline()
    with ipc.Subscriber("large", ipc.Raw(), node=node) as subscriber:
        for _ in range(1 + number % 3):
            message = subscriber.recv(30)
            assert check(message.data) == message.seq
    if number % 3 == 0:
        held.append(message)
    while len(held) > 5 or (held and number % 50 == 10):
        message = held.popleft()
        assert check(message.data) == message.seq
    del message
held.clear()
say("over")
sys.stdin.readline()
"""
)

RESTARTED_PUBLISHER = (
    PRELUDE
    + """
node = ipc.Node()
say("ready")
for number in range(1, int(sys.argv[1]) + 11):
    if number == 11:
        say("counted")
        sys.stdin.readline()
    with ipc.Publisher("large", ipc.Raw(), node=node, keep=number % 2) as publisher:
        publisher.wait_for_subscribers(1, 30)
        for seq in (1, 2):
            data = publisher.loan(100_000)
            fill(data, seq)
            publisher.publish(data)
        lost = publisher.loan(100_000)  # never published
say("over")
sys.stdin.readline()
"""
)


def test_subscribers_come_and_go_and_nothing_is_left(spawn):
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": "8"}, size=100_000, rate=200)
    program = spawn(RESTARTED_SUBSCRIBER, str(RESTARTS))
    before = None
    while "\nover" not in program.stdout and program.running:
        publisher.ask("publish", 20, answer="published")
        if before is None and "\ncounted" in program.stdout:
            before = [holdings(each.pid) for each in (program, publisher)]
            program.send_line()
    program.wait_line("over")
    all_let_go(program.pid, before[0])
    all_let_go(publisher.pid, before[1], more=GROWTH)
    program.send_line()
    program.succeed()
    assert sum(publisher.stats()["shared"].values()) > 20
    publisher.finish()


def test_publishers_come_and_go_and_nothing_is_left(spawn):
    subscriber = Large(spawn, SUBSCRIBER, hold=3)
    program = spawn(RESTARTED_PUBLISHER, str(RESTARTS))
    program.wait_line("counted", 60)
    before = [holdings(each.pid) for each in (program, subscriber)]
    program.send_line()
    program.wait_line("over", 600)
    all_let_go(program.pid, before[0])
    books = subscriber.stats()
    assert books["wrong"] == [] and books["shared"] > RESTARTS // 20, "the first of each publisher go by UDP"
    subscriber.ask("hold", 0)
    all_let_go(subscriber.pid, before[1])
    program.send_line()
    program.succeed()
    subscriber.finish()


CROWD = (
    PRELUDE
    + """
def live(number):
    subscriber = ipc.Subscriber("large", ipc.Raw())
    held = []
    while sum(flow.shared for flow in subscriber.stats.publishers.values()) < 3:
        held = [*held[-2:], subscriber.recv(60)]
    if [check(message.data) for message in held] != [message.seq for message in held]:
        os._exit(3)
    if number % 3 == 0:
        os._exit(0)
    if number % 3 == 1:
        subscriber.close()
    sys.exit(0)


children = []
for number in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        live(number)
    children.append(pid)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
say("codes", json.dumps(codes))
"""
)


def test_thirty_processes_at_once_take_from_one_memory(spawn):
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": "64"}, size=100_000, rate=50, wait=0)
    publisher.ask("publish", 1, answer="published")
    before = holdings(publisher.pid)
    crowd = spawn(CROWD, "30")
    while "codes" not in crowd.stdout and crowd.running:
        publisher.ask("publish", 20, answer="published")
    assert json.loads(crowd.wait_line("^codes (.*)")[1]) == [0] * 30
    wait_until(lambda: publisher.ask("wait")[1] == "0", 20)
    all_let_go(publisher.pid, before, more=GROWTH)
    publisher.finish()
