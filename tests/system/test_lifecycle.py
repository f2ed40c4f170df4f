"""Processes that end in every way, fork, spawn, restart; and who notices."""

from __future__ import annotations

import re
import signal
import time

import pytest

WATCHER = """
import sys, time
import ipcpy as ipc
with ipc.Node("watcher") as node, node.watch() as watch:
    print("ready", flush=True)
    for event in watch:
        if isinstance(event, ipc.NodeFound) and event.node.name != "watcher":
            print("found", event.node.name, time.time(), flush=True)
        elif isinstance(event, ipc.NodeLost):
            print("lost", event.node.name, event.reason.replace(" ", "-"), time.time(), flush=True)
"""

EVERYTHING_OPEN = """
import asyncio, sys, threading, time
import ipcpy as ipc
node = ipc.Node("victim")
publisher = ipc.Publisher("a", node=node)
subscriber = ipc.Subscriber("a", node=node)
called = ipc.Subscriber("a", callback=lambda message: None, node=node)
waiting = ipc.Subscriber("b", node=node)
threading.Thread(target=lambda: list(waiting), daemon=True).start()
watch = node.watch()
publisher.wait_for_subscribers(2, 5)
print("open", flush=True)
sys.stdin.readline()
print("ending", time.time(), flush=True)
"""

ENDINGS = {
    "falls off the end": "",
    "sys.exit": "sys.exit(0)",
    "exception": "raise ValueError('on purpose')",
    "node closed": "node.close()",
    "in asyncio": "asyncio.run(asyncio.wait_for(subscriber.recv_async(), 0.01))",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_is_quick_and_says_goodbye(spawn, ending):
    watcher = spawn(WATCHER)
    watcher.wait_line("ready")
    victim = spawn(EVERYTHING_OPEN + ENDINGS[ending])
    victim.wait_line("open")
    watcher.wait_line("found victim")
    victim.send_line()
    ended = float(victim.wait_line("ending (.*)")[1])
    reason, noticed = watcher.wait_line(r"lost victim (\S+) (.*)").groups()
    victim.wait()
    assert reason == "closed"
    assert float(noticed) - ended < 1.0  # 0.1 s is the aim; a loaded machine must not fail this
    assert victim.ended - victim.started < 20
    assert "Traceback" not in victim.stderr or ending in ("exception", "in asyncio")


def test_ctrl_c_ends_a_reader_without_delay(spawn):
    program = """
import time
import ipcpy as ipc
subscriber = ipc.Subscriber("nothing")
try:
    print("waiting", flush=True)
    subscriber.recv()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    reader = spawn(program)
    reader.wait_line("waiting")
    reader.signal(signal.SIGINT)
    reader.wait_line("interrupted", timeout=2)
    assert reader.wait(timeout=2) == 0


def test_a_killed_process_is_noticed_by_its_host(spawn):
    watcher = spawn(WATCHER)
    watcher.wait_line("ready")
    victim = spawn(EVERYTHING_OPEN)
    victim.wait_line("open")
    watcher.wait_line("found victim")
    killed = time.time()
    victim.kill()
    reason, noticed = watcher.wait_line(r"lost victim (\S+) (.*)").groups()
    assert reason == "process-died"
    assert float(noticed) - killed < 1.0


def test_a_killed_process_is_noticed_on_the_lan(lan):
    hosts = lan(2)
    watcher = hosts.spawn(1, WATCHER)
    watcher.wait_line("ready")
    victim = hosts.spawn(2, EVERYTHING_OPEN)
    victim.wait_line("open")
    watcher.wait_line("found victim")
    killed = time.time()
    victim.kill()
    reason, noticed = watcher.wait_line(r"lost victim (\S+) (.*)").groups()
    assert reason in ("process-died", "timed-out")
    assert float(noticed) - killed < 3.0


def test_close_wakes_whoever_waits_and_is_quick():
    import threading

    import ipcpy as ipc

    subscriber = ipc.Subscriber("nobody")
    ended = []

    def wait():
        try:
            subscriber.recv()
        except ipc.ClosedError:
            ended.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    while not subscriber._subscription.reader._reading.locked():
        time.sleep(0.001)
    started = time.monotonic()
    subscriber.close()
    thread.join(5)
    assert ended == [True]
    assert time.monotonic() - started < 1.0
    subscriber.close()
    with pytest.raises(ipc.ClosedError):
        subscriber.recv(0)
    assert list(subscriber) == []


FORK = """
import os, sys
import ipcpy as ipc
publisher = ipc.Publisher("forked", ipc.Raw())
subscriber = ipc.Subscriber("answers", ipc.Raw())
if os.fork() == 0:
    inner = ipc.Subscriber("forked")
    publisher.publish(b"wakes up")
    publisher.wait_for_subscribers(2, 10)
    publisher.publish(b"child")
    print(f"child got {bytes(inner.recv(10).data)!r}", flush=True)  # one write: two processes share the pipe
    print(f"child node {publisher._core.id}", flush=True)
    sys.exit(0)
outside = ipc.Subscriber("forked")
messages = {bytes(outside.recv(10).data)}
print(f"parent got {messages}", flush=True)
print(f"parent node {publisher._core.id}", flush=True)
assert publisher.publish(b"parent") >= 1
while True:
    message = outside.recv(10)
    if message.publisher == publisher.id:
        print(f"parent heard itself {bytes(message.data)!r}", flush=True)
        break
os.wait()
"""


def test_a_forked_child_has_a_life_of_its_own(spawn):
    program = spawn(FORK)
    program.succeed(timeout=30)
    text = program.stdout
    assert "child got b'child'" in text
    assert "parent heard itself b'parent'" in text
    assert len(set(re.findall(r" node (\d+)", text))) == 2


FORK_AFTER_RECV = """
import os, threading
import ipcpy as ipc
publisher = ipc.Publisher("forked", ipc.Raw())
subscriber = ipc.Subscriber("forked")
publisher.wait_for_subscribers(timeout=10)
threading.Timer(0.1, publisher.publish, [b"parent"]).start()
subscriber.recv(0.5)
if os.fork() == 0:
    try:
        subscriber.recv(0.5)  # as before: what the parent had made ready is not ready here
    except TimeoutError:
        print("in time", flush=True)
    os._exit(0)
os.wait()
"""


def test_a_child_forked_right_after_recv_can_recv(spawn):
    program = spawn(FORK_AFTER_RECV)
    program.succeed(timeout=30)
    assert "in time" in program.stdout


FORK_LATCHED = """
import os
import ipcpy as ipc
one, many = ipc.Publisher("one", ipc.Raw(), keep=5), ipc.Publisher("many", ipc.Raw(), keep=5)
if os.fork() == 0:
    one.publish(b"1")
    many.publish_many([b"2", b"3"])
    with ipc.Subscriber("one") as first, ipc.Subscriber("many") as second:
        print(first.recv(10).data, second.recv(10).data, second.recv(10).data, flush=True)
    os._exit(0)
os.wait()
"""


def test_what_a_forked_child_publishes_first_is_kept(spawn):
    program = spawn(FORK_LATCHED)
    program.succeed(timeout=50)
    assert "b'1' b'2' b'3'" in program.stdout


MULTIPROCESSING = """
import multiprocessing, sys
import ipcpy as ipc


def work(number):
    with ipc.Publisher("results") as publisher:
        publisher.wait_for_subscribers(timeout=10)
        publisher.publish({"worker": number})


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with ipc.Subscriber("results") as subscriber:
        workers = [context.Process(target=work, args=(number,)) for number in range(3)]
        for worker in workers:
            worker.start()
        print(sorted(subscriber.recv(20).data["worker"] for _ in workers), flush=True)
        for worker in workers:
            worker.join(10)
        print([worker.exitcode for worker in workers], flush=True)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(spawn, method):
    assert spawn(MULTIPROCESSING, method).succeed(timeout=40) == "[0, 1, 2]\n[0, 0, 0]\n"


def test_an_exception_in_a_callback_is_shown_and_stops_nothing(spawn):
    program = """
import logging, threading
import ipcpy as ipc
logging.basicConfig()
done = threading.Event()
def take(message):
    if message.seq == 1:
        raise RuntimeError("on purpose")
    done.set()
with ipc.Publisher("a") as publisher, ipc.Subscriber("a", callback=take):
    publisher.wait_for_subscribers(timeout=5)
    publisher.publish(1)
    publisher.publish(2)
    assert done.wait(5)
"""
    process = spawn(program)
    process.succeed()
    assert "RuntimeError: on purpose" in process.stderr
