"""Processes that fork while they share memory: both read on what they had, and nobody reads garbage."""

from __future__ import annotations

import json
import os
import sys

import pytest

from large import PRELUDE, PUBLISHER, SUBSCRIBER, Large, all_let_go, holdings, warm

LONG = bool(os.environ.get("LONG_TESTS"))  # the whole length: minutes
FORKS = 40 if LONG else 8
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="shared memory is for Linux only"),
    pytest.mark.timeout(900 if LONG else 180),
]

FORKING_SUBSCRIBER = (
    PRELUDE
    + """
import select, signal, subprocess

node = ipc.Node()
subscriber = ipc.Subscriber("large", ipc.Raw(), node=node)
way, count = sys.argv[1], int(sys.argv[2])
wrong = []


def shared():
    return sum(flow.shared for flow in subscriber.stats.publishers.values())


def take():
    message = subscriber.recv(30)
    if check(message.data) != message.seq:
        wrong.append(message.seq)
    return message


def live(held, until):
    # the child's life: all that was there when it was forked stays as it was
    numbers = [message.seq for message in held]
    if way == "closes":
        subscriber.close()
        node.close()
    elif way == "grandchild" and os.fork():
        os._exit(0)
    while not select.select([until], [], [], 0)[0]:
        if [check(message.data) for message in held] != numbers:
            raise ValueError("wrong numbers")
        if way == "lets go" and len(held) > 1:
            del held[0], numbers[0]
            gc.collect()
    if way == "subscribes":
        check(ipc.Subscriber("large", ipc.Raw()).recv(30).data)


def fork(held):
    until, stop = os.pipe()
    done, report = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(stop)
        signal.alarm(100)
        try:
            live(held, until)
            os.write(report, b"r")
        except BaseException as error:
            os.write(report, repr(error).encode())
        if way == "exits":
            sys.exit(0)
        os._exit(0)
    os.close(until)
    os.close(report)
    return pid, stop, done


say("ready", subscriber.id, node.id)
for _ in range(20):
    take()
for _ in range(count):
    held = [take() for _ in range(4)]
    if way == "execs":
        sleeper = subprocess.Popen(["sleep", "100"])
        other = os.posix_spawn("/bin/sleep", ["sleep", "100"], os.environ)
    else:
        pid, stop, done = fork(held)
    if way == "lets go":  # there; here it is kept
        for _ in range(60):
            take()
        numbers = [message.seq for message in held]
        if [check(message.data) for message in held] != numbers:
            wrong.append("what is held here")
    held.clear()
    for _ in range(60):
        take()
    if way == "execs":
        before = shared()
        for _ in range(60):
            take()
        if shared() - before < 30:
            wrong.append(f"what a program was started with stays held: {shared() - before}")
        for pid in (sleeper.pid, other):
            os.kill(pid, signal.SIGKILL)
        sleeper.wait()
        os.waitpid(other, 0)
        continue
    os.close(stop)
    told = os.read(done, 1_000)
    os.close(done)
    if told != b"r":
        wrong.append(told.decode())
    _, status = os.waitpid(pid, 0)
    if status:
        wrong.append(f"exit code {os.waitstatus_to_exitcode(status)}")
before, at_last = shared(), 0
for _ in range(400):  # all that was held is free again, soon
    take()
    if shared() - before > 100:
        break
say("over", json.dumps([wrong, shared() - before]))
sys.stdin.readline()
"""
)


@pytest.mark.parametrize("way", ["looks", "lets go", "closes", "exits", "subscribes", "grandchild", "execs"])
def test_a_child_of_a_subscriber_goes_on_reading_what_was_held_when_it_was_forked(spawn, way):
    program = spawn(FORKING_SUBSCRIBER, way, str(FORKS))
    program.wait_line("ready", 30)
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": "8"}, size=200_000, rate=200)
    publisher.process.wait_line("matched", 30)
    while "\nover" not in program.stdout and program.running:
        publisher.ask("publish", 20, answer="published")
    wrong, shared = json.loads(program.wait_line("^over (.*)")[1])
    assert wrong == [] and shared > 100
    program.send_line()
    program.succeed()
    assert program.stderr == ""


FORKING_PUBLISHER = (
    PRELUDE
    + """
import select

node = ipc.Node()
publisher = ipc.Publisher("large", ipc.Raw(), node=node)
way, count = sys.argv[1], int(sys.argv[2])
publisher.wait_for_subscribers(1, 30)
number = 0


def publish(times):
    global number
    for _ in range(times):
        number += 1
        data = publisher.loan(200_000)
        fill(data, number)
        publisher.publish(data)
        time.sleep(0.005)


publish(20)
for _ in range(count):
    loan = publisher.loan(200_000)
    until, stop = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(stop)
        if way == "publishes":
            with ipc.Publisher("large/child", ipc.Raw()) as another:
                another.wait_for_subscribers(1, 30)
                fill(loan, 1)
                another.publish(loan)
                another.publish(b"end")
                for seq in range(2, 5):  # from what the fork had left of the parent's
                    publisher.wait_for_subscribers(1, 30)
                    loan = publisher.loan(200_000)
                    fill(loan, seq - 1)
                    publisher.publish(loan)
        else:
            letter = 0
            while not select.select([until], [], [], 0)[0]:  # it writes on; nobody may read there
                letter = (letter + 1) % 256
                loan[:] = bytes([letter]) * len(loan)
        if way == "exits":
            sys.exit(0)
        os._exit(0)
    os.close(until)
    if way == "kept":
        publish(40)
    elif way == "publishes":
        os.waitpid(pid, 0)
        del loan
        os.close(stop)
        publish(10)
        continue
    del loan
    publish(80)
    os.close(stop)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
publish(40)
say("published", number, json.dumps([route.shared for route in publisher.stats.subscribers.values()]))
sys.stdin.readline()
"""
)


ORPHANS = (
    PRELUDE
    + """
node = ipc.Node()
subscriber = ipc.Subscriber("large", ipc.Raw(), node=node)
say("ready", subscriber.id, node.id)
held = []
while sum(flow.shared for flow in subscriber.stats.publishers.values()) < 4:
    held = [*held[-3:], subscriber.recv(30)]
numbers = [check(message.data) for message in held]
parent = os.getpid()
if os.fork():
    say("forked")
    sys.stdin.readline()
    if sys.argv[1] == "closes":
        subscriber.close()
        node.close()
    os._exit(0)
end = time.monotonic() + 60
rounds = 0
sys.stdin.close()
while time.monotonic() < end and (os.getppid() == parent or rounds < 200):
    rounds += os.getppid() != parent
    if [check(message.data) for message in held] != numbers:
        say("WRONG")
        break
    time.sleep(0.005)
say("orphan read", rounds)
"""
)


@pytest.mark.parametrize("way", ["closes", "just ends", "killed"])
def test_a_child_that_outlives_a_subscriber_goes_on_reading(spawn, way):
    program = spawn(ORPHANS, way)
    program.wait_line("ready", 30)
    other = Large(spawn, SUBSCRIBER, hold=1)
    publisher = Large(spawn, PUBLISHER, {"IPCPY_SHM": "8"}, size=200_000, rate=200, wait=2)
    publisher.process.wait_line("matched", 30)
    warm(publisher, other)
    program.wait_line("^forked")
    before = holdings(publisher.pid)
    program.kill() if way == "killed" else program.send_line()
    while "orphan" not in program.stdout:
        publisher.ask("publish", 20, answer="published")
    assert program.wait_line(r"^orphan read (\d+)")[1] == "200"
    assert "WRONG" not in program.stdout + program.stderr and program.stderr == ""
    all_let_go(publisher.pid, before)
    first = warm(publisher, other)
    assert other.right(first)["wrong"] == []


@pytest.mark.parametrize("way", ["drops", "kept", "exits"])
def test_nobody_reads_where_a_child_of_the_publisher_still_writes(spawn, way):
    subscriber = Large(spawn, SUBSCRIBER, hold=2)
    program = spawn(FORKING_PUBLISHER, way, str(FORKS), env={"IPCPY_SHM": "8"})
    published, shared = program.wait_line(r"^published (\d+) \[(\d+)\]", 150).groups()
    books = subscriber.right(int(published))
    assert books["lost"] == {} and books["shared"] == int(shared) > int(published) // 2
    program.send_line()
    program.succeed()
    assert program.stderr == ""


def test_a_child_publishes_what_it_lends_itself(spawn):
    subscriber = Large(spawn, SUBSCRIBER, hold=2)
    other = Large(spawn, SUBSCRIBER, hold=2, topic="large/child")
    program = spawn(FORKING_PUBLISHER, "publishes", "3")
    program.wait_line(r"^published (\d+) \[(.*)\]", 100)
    program.send_line()
    program.succeed()
    assert program.stderr == ""
    assert subscriber.stats()["wrong"] == []
    wrong = other.stats()["wrong"]
    assert len(wrong) >= 3 and all(each.startswith("2: ") for each in wrong), "the end is no checked message"
