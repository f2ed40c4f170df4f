"""Ctrl-C, signal handlers and forks at random moments: nothing stays locked, nothing hangs, and the books balance.

Each program does one thing in its main thread, over and over, and is interrupted there; a thread does the other side's.
At the end the program says how long the longest interruption took, and what both sides counted.
"""

from __future__ import annotations

import json

import pytest

SLOW = 2.0  # seconds that nothing may take here: 0.2 is the aim, and a loaded machine must not fail this

TWO_SIDES = """
import faulthandler, json, os, random, signal, sys, threading, time
import ipcpy as ipc

what, seed, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
faulthandler.dump_traceback_later(100, exit=True)
die = random.Random(seed)
body = bytes(300_000) if "large" in what else bytes(20)
publisher = ipc.Publisher("t", ipc.Raw(), reliable="reliable" in what)
subscriber = ipc.Subscriber("t", ipc.Raw(), depth=10**7)
publisher.wait_for_subscribers(1, 20)
subscriber.wait_for_publishers(1, 20)
stop = threading.Event()

def read():
    try:
        subscriber.recv(0.2)
    except TimeoutError:
        pass

def send():
    publisher.publish(body)
    stop.wait(0.0002)

async def await_some():
    for _ in range(50):
        await subscriber.recv_async(1)

def await_them():
    import asyncio
    asyncio.run(await_some())

DEEDS = {
    "publish": lambda: publisher.publish(body),
    "publish changing": lambda: publisher.publish(bytearray(body)),
    "publish_many": lambda: publisher.publish_many([body] * 300),
    "recv": read,
    "iterate": lambda: next(iter(subscriber)),
    "latest": subscriber.latest,
    "recv_async": await_them,
}
deed = DEEDS[what.split(",")[0]]
other = read if "publish" in what else send

def keep_on():
    while not stop.is_set():
        try:
            other()
        except ipc.ClosedError:
            return

def through_memory():
    return sum(flow.shared for flow in subscriber.stats.publishers.values())

def counted(own):  # forked children have publishers of their own, which may meet our subscriber
    return subscriber.stats.publishers[publisher.id] if own else subscriber.stats

def report(**more):
    stop.set()
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and thread.name == "other":
            thread.join(20)
    until = time.monotonic() + 10
    while time.monotonic() < until:  # what is still on its way, and asked for again
        published, counts = publisher.stats, counted("codes" in more)
        try:
            subscriber.recv(0.05)
        except TimeoutError:
            if published.published == counts.received + sum(counts.lost.values()):
                break
    if "small memory" in what:
        more["by memory"] = -through_memory()
        for _ in range(40):
            publisher.publish(body)
            subscriber.recv(20)
        more["by memory"] += through_memory()
        published, counts = publisher.stats, subscriber.stats
    begun = time.monotonic()
    publisher.close()
    subscriber.close()
    print(json.dumps({"published": published.published, "received": counts.received, "lost": counts.lost,
                      "close": time.monotonic() - begun, **more}), flush=True)

if other is send or "publish" in what:
    threading.Thread(target=keep_on, name="other", daemon=True).start()
"""

INTERRUPTED = (
    TWO_SIDES
    + """
armed = inside = False

def interrupt(*_):
    global armed
    if "recv_async" in what and not inside:  # asyncio's own beginning and end are not ours to mend
        signal.setitimer(signal.ITIMER_REAL, 1e-4)
        return
    if armed:
        armed = False
        signal.raise_signal(signal.SIGINT)

async def await_some(await_some=await_some):
    global inside
    inside = True
    try:
        await await_some()
    finally:
        inside = False  # an exception in the end of asyncio.run leaves its handler for good, and the next loop may hang

signal.signal(signal.SIGALRM, interrupt)
longest = 0.0
for _ in range(times):
    armed, inside = True, False
    delay = die.choice((0.00005, 0.0002, 0.001, 0.003)) * die.random() + 1e-6
    begun = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, delay)
        while armed:
            try:
                deed()
            except TimeoutError:
                pass
    except KeyboardInterrupt:
        pass
    longest = max(longest, time.monotonic() - begun - delay)
signal.setitimer(signal.ITIMER_REAL, 0)
report(longest=longest)
"""
)

HANDLED = (
    TWO_SIDES
    + """
HANDLERS = {
    "publish": lambda: publisher.publish(b"from the handler"),
    "large": lambda: publisher.publish(bytearray(300_000)),
    "many": lambda: publisher.publish_many([b"from the handler"] * 50),
    "look": lambda: (publisher.stats, publisher.subscribers, repr(publisher), subscriber.stats, subscriber.publishers,
                     subscriber.why(), repr(subscriber), ipc.nodes(0), ipc.topics(0)),
    "receive": lambda: (subscriber.latest(), subscriber.recv(0.001)),
    "wait": lambda: (publisher.wait_for_subscribers(1, 0), subscriber.wait_for_publishers(1, 0)),
    "open": lambda: (ipc.Publisher("u").close(), ipc.Subscriber("u").close()),
}
handle, count, wrong = HANDLERS[sys.argv[4]], 0, []

def on_signal(*_):
    global count
    count += 1
    try:
        handle()
    except TimeoutError:
        pass
    except Exception as error:
        wrong.append(repr(error))
    if count < times:
        signal.setitimer(signal.ITIMER_REAL, 0.002 * die.random() + 1e-5)

signal.signal(signal.SIGALRM, on_signal)
signal.setitimer(signal.ITIMER_REAL, 0.001)
longest = 0.0
while count < times:
    begun = time.monotonic()
    try:
        deed()
    except TimeoutError:
        pass
    longest = max(longest, time.monotonic() - begun)
report(longest=longest, wrong=wrong)
"""
)

FORKED = (
    TWO_SIDES
    + """
def use_all(number):
    way = number % 5
    if way == 0:
        publisher.close()
        subscriber.close()
    elif way == 1:
        publisher.publish(body)
        publisher.stats, publisher.subscribers
        publisher.close()
    elif way == 2:
        subscriber.latest()
        subscriber.stats, subscriber.publishers, subscriber.why()
        read()
        subscriber.close()
    elif way == 3:
        ipc.topics(0), ipc.nodes(0)
        publisher.publish_many([body] * 3)
    else:
        with ipc.Publisher("u") as one, ipc.Subscriber("u") as two:
            one.wait_for_subscribers(1, 20)
            one.publish(1)
            two.recv(20)

def fork(number):
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)  # seconds until one that hangs dies
        try:
            use_all(number)
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    codes.append(os.waitstatus_to_exitcode(status))

codes = []

def keep_doing():
    while not stop.is_set():
        deed()

threading.Thread(target=keep_doing, name="other", daemon=True).start()
if "handler" in what:
    def on_signal(*_):
        fork(len(codes))
        if len(codes) < times:
            signal.setitimer(signal.ITIMER_REAL, 0.003 * die.random() + 1e-5)

    signal.signal(signal.SIGALRM, on_signal)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    while len(codes) < times:
        deed()
else:
    while len(codes) < times:
        stop.wait(0.003 * die.random())
        fork(len(codes))
report(codes=codes)
"""
)


def run(spawn, program, *arguments):
    env = {"IPCPY_SHM": "0"} if "udp" in arguments[0] else {"IPCPY_SHM": "8"} if "memory" in arguments[0] else {}
    process = spawn(program, *map(str, arguments), env=env)
    told = json.loads(process.wait_line(r"(\{.*\})", timeout=110)[1])
    assert process.wait(timeout=40) == 0
    assert told["close"] < SLOW
    lost = sum(told["lost"].values())
    assert told["published"] == told["received"] + lost, told
    if "reliable" in arguments[0]:
        assert lost == 0, told
    return told


@pytest.mark.parametrize(
    "what",
    [
        "publish",
        "publish_many",
        "publish,large",
        "publish,large,udp",
        "publish changing,large",
        "publish changing,large,udp",
        "publish,reliable",
        "publish changing,reliable,large",
        "publish changing,reliable,large,udp",
        "recv",
        "recv,large",
        "recv,large,udp",
        "recv,reliable",
        "iterate",
        "latest",
        "recv_async",
    ],
)
def test_ctrl_c_at_any_moment_locks_and_hangs_nothing(spawn, what):
    told = run(spawn, INTERRUPTED, what, 1, 300)
    assert told["longest"] < SLOW


@pytest.mark.parametrize("what", ["publish", "publish changing", "recv", "iterate", "latest"])
def test_ctrl_c_at_any_moment_leaves_no_shared_memory_taken(spawn, what):
    told = run(spawn, INTERRUPTED, f"{what},large,small memory", 4, 500)
    assert told["by memory"] > 30, "of 40: there is room for 27 messages"


@pytest.mark.parametrize("handler", ["publish", "large", "many", "look", "receive", "wait", "open"])
@pytest.mark.parametrize(
    "what", ["publish", "publish_many", "publish,reliable", "publish,large", "recv", "recv,large", "recv,large,udp"]
)
def test_a_signal_handler_may_use_what_it_interrupts(spawn, what, handler):
    told = run(spawn, HANDLED, what, 2, 60, handler)
    assert told["wrong"] == []
    assert told["longest"] < SLOW + 1.0  # a reliable topic waits up to a second for who cannot follow


@pytest.mark.parametrize(
    "what",
    [
        "publish",
        "publish,large",
        "publish,large,udp",
        "publish,reliable",
        "publish,handler",
        "recv,handler,large",
        "recv,handler,large,udp",
    ],
)
def test_a_child_may_be_forked_at_any_moment(spawn, what):
    told = run(spawn, FORKED, what, 3, 100)
    assert told["codes"] == [0] * 100
