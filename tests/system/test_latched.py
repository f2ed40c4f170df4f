"""Latched topics: whoever comes late gets the last messages first, in order, once, then the live ones."""

from __future__ import annotations

import pytest

import ipcpy as ipc

PUBLISHER = """
import json, sys, time
import ipcpy as ipc
count, rate, options = int(sys.argv[1]), float(sys.argv[2]), json.loads(sys.argv[3])
size = int(sys.argv[4]) if len(sys.argv) > 4 else 0
with ipc.Publisher("latched", ipc.Raw(), **options) as publisher:
    for number in range(1, count + 1):
        publisher.publish((b"%d" % number).zfill(size))
    print("ready", publisher.id, flush=True)
    start = time.monotonic()
    while rate and time.monotonic() < start + 100:
        number += 1
        publisher.publish((b"%d" % number).zfill(size))
        time.sleep(max(0.0, start + (number - count) / rate - time.monotonic()))
    sys.stdin.readline()
"""


def take(subscriber, count):
    """Take messages; they are those of one publisher, in order, without a gap or double."""
    messages = [subscriber.recv(timeout=10) for _ in range(count)]
    numbers = [message.seq for message in messages]
    assert numbers == list(range(numbers[0], numbers[0] + count))
    assert [int(bytes(message.data).lstrip(b"0")) for message in messages] == numbers
    assert len({message.publisher for message in messages}) == 1
    return messages


@pytest.mark.parametrize(
    "options", ['{"keep": 20}', '{"keep": 20, "reliable": true}', '{"keep": 20, "multicast": true}']
)
def test_joining_while_messages_are_published(spawn, options):
    publisher = spawn(PUBLISHER, "100", "1000", options)
    publisher.wait_line("ready", 40)
    begun = []
    for _ in range(10):
        with ipc.Subscriber("latched") as subscriber:
            begun.append(take(subscriber, 60)[0].seq)
            assert subscriber.stats.lost == {}
    assert begun == sorted(set(begun)) and begun[0] > 80
    publisher.kill()


@pytest.mark.parametrize("options", ['{"keep": 20}', '{"keep": 20, "reliable": true}'])
def test_joining_while_large_messages_are_published(spawn, way, options):
    publisher = spawn(PUBLISHER, "100", "20", options, "100000")
    publisher.wait_line("ready", 40)
    begun = []
    for _ in range(10):
        with ipc.Subscriber("latched") as subscriber:
            begun.append(take(subscriber, 25)[0].seq)
            assert subscriber.stats.lost == {}
            (flow,) = subscriber.stats.publishers.values()
            assert flow.shared > 0 if way == "shared memory" else flow.shared == 0
    assert begun == sorted(set(begun)) and begun[0] > 80
    publisher.kill()


@pytest.mark.parametrize("size", [0, 100_000])
def test_restarts(spawn, way, size):
    subscriber = ipc.Subscriber("latched")
    for _ in range(3):
        publisher = spawn(PUBLISHER, "10", "0", '{"keep": 3}', str(size))
        id = publisher.wait_line(r"ready (\w+)", 40)[1]
        with subscriber:  # lives on while the publisher starts; the next one comes when all is there
            assert [message.seq for message in take(subscriber, 3)] == [8, 9, 10]
        with ipc.Subscriber("latched") as another:
            messages = take(another, 3)
            assert [message.seq for message in messages] == [8, 9, 10] and messages[0].publisher == id
            with pytest.raises(TimeoutError):
                another.recv(timeout=0.05)
        subscriber = ipc.Subscriber("latched")  # before the next publisher
        publisher.send_line()
        publisher.wait()
    subscriber.close()


def test_a_subscriber_that_stays_gets_what_every_publisher_keeps(spawn):
    with ipc.Subscriber("latched") as subscriber:
        for _ in range(3):
            publisher = spawn(PUBLISHER, "10", "0", '{"keep": 3}')
            numbers = []
            while not numbers or numbers[-1] != 10:
                numbers.append(subscriber.recv(timeout=10).seq)
            assert numbers == list(range(numbers[0], 11)) and numbers[0] <= 8
            publisher.send_line()
            publisher.wait()
        assert subscriber.stats.lost == {}
