"""A subscriber hoards and lets go: both processes give back the memory that it took, while the stream goes on."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import ipcpy as ipc

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory is shared on Linux")

SIZE = 200_000  # bytes: what waits at a subscriber of depth 4, and at a publisher for it, fits the first segment

SUBSCRIBER = """
import queue, sys, threading
import ipcpy as ipc

orders = queue.SimpleQueue()
threading.Thread(target=lambda: [orders.put(line.strip()) for line in sys.stdin], daemon=True).start()
sub = ipc.Subscriber("camera", ipc.Raw(), depth=4)
held, order, taken, wrong = [], "", 0, 0


def check(message):
    global wrong
    wrong += bytes(message.data) != bytes([message.seq % 256]) * int(sys.argv[1])


while order not in ("end", "close"):
    held.append(sub.recv(timeout=20))
    check(held[-1])
    taken += 1
    order = order if orders.empty() else orders.get()
    while held and order != "hold" and not (order == "close" and len(held) == 1):
        check(held.pop())
if order == "close":
    sub.close()
    print("closed", flush=True)
    orders.get()
    check(held.pop())
print("taken", taken, "wrong", wrong, "dropped", dict(sub.stats.dropped), flush=True)
"""


def segments(pid: int) -> tuple[int, int]:
    """Return how many segments a process has mapped, and how many descriptors of segments it has."""
    descriptors = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            descriptors += "ipcpy-segment" in os.readlink(link)
        except FileNotFoundError:  # it was closed just now
            continue
    return Path(f"/proc/{pid}/maps").read_text().count("memfd:ipcpy-segment"), descriptors


@pytest.fixture
def stream(monkeypatch) -> Iterator[ipc.Publisher]:
    """A publisher that publishes all the time and looks every 50 ms what it does not need."""
    monkeypatch.setattr("ipcpy.publishing.segments.PAUSE", 0.05)
    ending = threading.Event()
    with ipc.Publisher("camera", ipc.Raw()) as pub:

        def publish() -> None:
            number = 0
            while not ending.wait(0.002):
                number += 1
                pub.publish(bytes([number % 256]) * SIZE)

        thread = threading.Thread(target=publish)
        thread.start()
        yield pub
        ending.set()
        thread.join(20)


@pytest.fixture
def waits(wait_until):
    """Wait until this process and a subscriber's have segments as a test wants them, and the stream goes on."""

    def wait(process, pub, condition) -> None:
        wait_until(lambda: condition(segments(os.getpid()), segments(process.pid)), timeout=30)
        shared = pub.stats.shared
        wait_until(lambda: pub.stats.shared > shared + 20, timeout=30)

    return wait


def end(process) -> None:
    process.send_line("end")
    taken, rest = process.succeed(timeout=30).splitlines()[-1].removeprefix("taken ").split(" ", 1)
    assert int(taken) > 0
    assert rest == "wrong 0 dropped {}"


def test_what_a_hoarder_let_go_of_is_given_back_by_both_sides_again_and_again(spawn, stream, waits):
    process = spawn(SUBSCRIBER, SIZE)
    waits(process, stream, lambda ours, theirs: ours[0] == theirs[0] == 1)
    before = segments(os.getpid()), segments(process.pid)
    for _ in range(3):
        process.send_line("hold")
        waits(process, stream, lambda ours, theirs: ours[0] >= 3 <= theirs[0])
        process.send_line("let go")
        waits(process, stream, lambda ours, theirs: (ours, theirs) == before)
    end(process)


def test_who_was_closed_and_holds_an_image_for_ever_keeps_nobody_from_giving_back_the_rest(spawn, stream, waits):
    closed = spawn(SUBSCRIBER, SIZE)
    waits(closed, stream, lambda ours, theirs: ours[0] == theirs[0] == 1)
    closed.send_line("close")
    closed.wait_line("closed", timeout=30)
    process = spawn(SUBSCRIBER, SIZE)
    process.send_line("hold")
    waits(process, stream, lambda ours, theirs: ours[0] >= 3 <= theirs[0])
    process.send_line("let go")
    waits(process, stream, lambda ours, theirs: ours[0] == theirs[0] == 1)
    assert segments(closed.pid)[0] == 1
    end(process)
    end(closed)
