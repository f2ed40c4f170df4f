"""Processes that end in every way, fork, spawn, restart; and who notices."""

from __future__ import annotations

import re
import signal
import time

import pytest

import ipcpy as ipc
from lan_process import quickest

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
publisher.wait_for_subscribers(2, 20)
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

    def end():
        victim = spawn(EVERYTHING_OPEN + ENDINGS[ending])
        victim.wait_line("open")
        watcher.wait_line("found victim")
        victim.send_line()
        ended = float(victim.wait_line("ending (.*)")[1])
        reason, noticed = watcher.wait_line(r"lost victim (\S+) (.*)").groups()
        victim.wait()
        assert reason == "closed"
        assert "Traceback" not in victim.stderr or ending in ("exception", "in asyncio")
        return float(noticed) - ended

    assert quickest(end, 1.0) < 1.0  # 0.1 s is the aim


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

    def end():
        reader = spawn(program)
        reader.wait_line("waiting")
        at = time.monotonic()
        reader.signal(signal.SIGINT)
        reader.wait_line("interrupted")
        assert reader.wait() == 0
        return reader.ended - at

    assert quickest(end, 2) < 2


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
    assert float(noticed) - killed < 5


def test_a_killed_process_is_noticed_on_the_lan(lan):
    hosts = lan(2)
    watcher = hosts.spawn(1, WATCHER)
    watcher.wait_line("ready")

    def kill():
        victim = hosts.spawn(2, EVERYTHING_OPEN)
        victim.wait_line("open")
        watcher.wait_line("found victim")
        killed = time.time()
        victim.kill()
        reason, noticed = watcher.wait_line(r"lost victim (\S+) (.*)").groups()
        assert reason in ("process-died", "timed-out")
        return float(noticed) - killed

    assert quickest(kill, 3.0) < 3.0


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
    while not subscriber._subscription.reader._lease.taken:
        time.sleep(0.001)
    started = time.monotonic()
    subscriber.close()
    thread.join(20)
    assert ended == [True]
    assert time.monotonic() - started < 5
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
    got = bytes(inner.recv(10).data)
    if got == b"wakes up":  # its own node's subscriber may be matched by then
        got = bytes(inner.recv(10).data)
    print(f"child got {got!r}", flush=True)  # one write: two processes share the pipe
    print(f"child node {publisher._core.id}", flush=True)
    sys.exit(0)
outside = ipc.Subscriber("forked")
messages = {bytes(outside.recv(10).data)}
print(f"parent got {messages}", flush=True)
print(f"parent node {publisher._core.id}", flush=True)
while True:
    publisher.publish(b"parent")  # the child's subscriber may be matched before the parent's own
    try:
        message = outside.recv(0.5)
    except TimeoutError:
        continue
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
subscriber.recv(20)
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


FORK_IN_AN_IMPORT = """
import os, pathlib, sys, threading, time
import ipcpy as ipc
node = ipc.Node()
imported = pathlib.Path(sys.argv[1])
while not imported.exists():  # a thread of the node's begins to import it
    time.sleep(0.001)
if os.fork() == 0:
    def give_up():
        os.write(1, b"hangs\\n")
        os._exit(1)
    threading.Timer(25, give_up).start()
    import zeroconf
    os.write(1, f"whole: {hasattr(zeroconf, 'END')}\\n".encode())
    os._exit(0)
os.wait()
"""


def test_a_fork_waits_for_what_is_imported_beside_the_program(spawn, tmp_path):
    """What a thread has imported half is a module that nobody in the child can import."""
    imported = tmp_path / "imported"
    (tmp_path / "zeroconf.py").write_text(
        f"import logging, pathlib, time\npathlib.Path({str(imported)!r}).touch()\ntime.sleep(1)\n"
        "logging.getLogger('zeroconf')\nEND = True\n"  # takes a lock that forks take too
    )
    program = spawn(FORK_IN_AN_IMPORT, str(imported), env={"PYTHONPATH": str(tmp_path)})
    assert program.succeed(timeout=50) == "whole: True\n"


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
            worker.join(20)
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
    publisher.wait_for_subscribers(timeout=20)
    publisher.publish(1)
    publisher.publish(2)
    assert done.wait(20)
"""
    process = spawn(program)
    process.succeed()
    assert "RuntimeError: on purpose" in process.stderr


# -- what is said of a publisher that ended, or does not answer

CAMERA = """
import sys, threading
import ipcpy as ipc
node = ipc.Node("cam")
publisher = ipc.Publisher("image", node=node)
print("ready", flush=True)
sys.stdin.readline()
node.close()
"""


@pytest.fixture
def node():
    with ipc.Node("watcher") as node:
        yield node


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (lambda camera: camera.kill(), r"the process of publisher 'cam' on \S+ died [0-9.]+ s ago"),
        (lambda camera: camera.send_line("end"), r"publisher 'cam' on \S+ left [0-9.]+ s ago: "),
    ],
    ids=["killed", "closed"],
)
def test_why_says_at_once_how_a_publisher_ended_and_still_does_so_later(spawn, node, wait_until, end, said):
    subscriber = ipc.Subscriber("image", node=node)
    camera = spawn(CAMERA)
    camera.wait_line("ready")
    subscriber.wait_for_publishers(timeout=10)
    with node.watch() as watch:
        end(camera)
        while not isinstance(watch.get(20), ipc.PublisherLost):
            pass
    assert re.search(f"^No publisher of 'image' is known in domain '.*': {said}", subscriber.why())
    deadline = time.monotonic() + 1.5  # over the second that what is still on its way from it is waited for
    while time.monotonic() < deadline:
        with pytest.raises(ipc.RecvTimeout, match=said):
            subscriber.recv(0.05)
    assert "START" not in subscriber.why()
    later = ipc.Subscriber("*", node=node)
    assert re.search(said, later.why())
    with pytest.raises(ipc.RecvTimeout, match=said):
        later.wait_for_publishers(timeout=0)
    again = spawn(CAMERA)
    again.wait_line("ready")
    wait_until(lambda: subscriber.why().endswith("matched."))
    assert not re.search(said, subscriber.why()), "it is back"


def test_a_publisher_that_does_not_answer_is_told_as_such_by_all_that_tell_of_it(spawn, node, wait_until):
    subscriber, publisher = ipc.Subscriber("image", node=node), ipc.Publisher("back", node=node)
    camera = spawn(CAMERA.replace("print(", "back = ipc.Subscriber('back', node=node)\nprint("))
    camera.wait_line("ready")
    subscriber.wait_for_publishers(timeout=10)
    publisher.wait_for_subscribers(timeout=10)

    def states():
        (image,) = [topic for topic in node.topics() if topic.name == "image"]
        (known,) = [each for each in node.nodes() if each.name == "cam"]
        shown = [known, image.publishers[0].node, subscriber.publishers[0].node, publisher.subscribers[0].node]
        return {each.state for each in shown}, [each.age for each in shown]

    camera.signal(signal.SIGSTOP)
    with node.watch() as watch:
        while not isinstance(watch.get(20), ipc.NodeStalled):
            pass
    state, ages = states()
    assert state == {"unresponsive"}
    assert all(1 <= age < 60 for age in ages)
    for said in (subscriber.why(), publisher.why()):
        assert re.search(r"'cam' on .*: matched, but its process has not answered for [0-9.]+ s", said)
    camera.signal(signal.SIGCONT)
    wait_until(lambda: states()[0] == {"alive"})
    assert subscriber.why().endswith(": matched.") and publisher.why().endswith(": matched.")


FORKED = """
import asyncio, os, sys
import ipcpy as ipc
pub, sub = ipc.Publisher("forked"), ipc.Subscriber("forked")
pub.wait_for_subscribers(timeout=10)

async def both():
    return await asyncio.gather(
        sub.wait_for_publishers_async(2, timeout=20), pub.wait_for_subscribers_async(2, timeout=20)
    )

async def main():
    waiting = asyncio.create_task(both())
    await asyncio.sleep(0)
    if os.fork() == 0:
        os.write(1, f"child {asyncio.run(both())}\\n".encode())  # in one write: the other process prints too
        sys.stdin.read()
        os._exit(0)
    os.write(1, f"parent {await waiting}\\n".encode())

asyncio.run(main())
sys.stdin.read()
"""


def test_coroutines_of_parent_and_child_each_wait_for_the_other(spawn):
    program = spawn(FORKED)
    told = {program.wait_line(r"(child|parent) \[2, 2\]", timeout=30)[1] for _ in range(2)}
    assert told == {"child", "parent"}


def test_what_is_published_when_the_interpreter_exits_arrives(spawn):
    """A function that was registered before the first publisher was made is called before all is closed."""
    subscriber = spawn("""
import ipcpy as ipc
with ipc.Subscriber("motors") as sub:
    print("ready", flush=True)
    print("got", sub.recv(timeout=20).data, flush=True)
""")
    subscriber.wait_line("ready")
    program = spawn("""
import atexit
import ipcpy as ipc
atexit.register(lambda: pub.publish("stop"))
pub = ipc.Publisher("motors")
pub.wait_for_subscribers(timeout=20)
""")
    subscriber.wait_line("got stop")
    assert program.wait(timeout=40) == 0


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_the_last_large_message_of_a_child_of_multiprocessing_arrives(spawn, method, tmp_path):
    """Such a child ends without a word to atexit."""
    program = tmp_path / "parent.py"
    program.write_text(f"""
import multiprocessing
import ipcpy as ipc

def child():
    global publisher  # it lives on
    publisher = ipc.Publisher("t")
    publisher.wait_for_subscribers(timeout=20)
    publisher.publish(bytes(800_000))

if __name__ == "__main__":
    with ipc.Subscriber("t") as subscriber:
        process = multiprocessing.get_context("{method}").Process(target=child)
        process.start()
        print(len(subscriber.recv(timeout=30).data), dict(subscriber.stats.lost), flush=True)
        process.join(20)
        print("code", process.exitcode, flush=True)
""")
    parent = spawn(program)
    assert parent.wait_line(r"(\d+ .*)", timeout=45)[1] == "800000 {}"
    parent.wait_line("code 0")
    assert parent.wait(timeout=40) == 0
