"""A way that is cut in one direction only: a node gives up another one, which keeps it. Then the way is whole again."""

from __future__ import annotations

import time

import pytest

PUBLISHER = """
import sys, time
import ipcpy as ipc
with ipc.Publisher("t", ipc.Raw(), reliable="reliable" in sys.argv) as publisher:
    print("ready", flush=True)
    while True:
        publisher.publish(b"")
        time.sleep(0.01)
"""

SUBSCRIBER = """
import sys, threading
import ipcpy as ipc

def watch():
    for event in ipc.Node().watch():
        for stream in (sys.stderr, sys.stdout):
            print("event", type(event).__name__, file=stream, flush=True)

with ipc.Subscriber("t") as subscriber:
    threading.Thread(target=watch, daemon=True).start()
    for number, message in enumerate(subscriber):
        if number % 10 == 0:
            print("took", message.seq, flush=True)
"""


@pytest.mark.parametrize("pause", [0.0, 2.0])
@pytest.mark.parametrize("kind", ["reliable", "best effort"])
def test_a_subscriber_that_gave_up_its_publisher_takes_its_messages_again(lan, kind, pause):
    hosts = lan(2)
    subscriber = hosts.spawn(2, SUBSCRIBER)
    publisher = hosts.spawn(1, PUBLISHER, kind)
    publisher.wait_line("ready")
    subscriber.wait_line("took")
    subscriber.wait_line("event PublisherFound", stream="stderr")  # the publisher may have greeted it before that
    hosts.block(1, 2, both=False)
    subscriber.wait_line("event PublisherLost", timeout=40)
    time.sleep(pause)  # for longer than a subscriber remembers who went, or not
    hosts.heal()
    subscriber.wait_line("event PublisherFound", timeout=40)
    for _ in range(10):
        subscriber.wait_line("took")
