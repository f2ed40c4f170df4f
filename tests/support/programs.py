"""Programs that the system tests run in processes of their own; each prints what it is about to do and what it saw."""

from __future__ import annotations

MESSAGES = """
import collections, hashlib, json, sys, time
import ipcpy as ipc

Imu = collections.namedtuple("Imu", "gx gy gz ax ay az mx my mz")
messages = ipc.MsgLibrary({23: ("<9d", Imu)})


def samples(count):
    import random
    source = random.Random(7)
    return [Imu(*(source.uniform(-1e3, 1e3) for _ in range(9))) for _ in range(count)]


def digest(received):
    return hashlib.sha256(repr([(m.seq, tuple(m.data)) for m in received]).encode()).hexdigest()
"""

PUBLISHER = (
    MESSAGES
    + """
count, rate, subscribers = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
options = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
with ipc.Publisher("robot/imu", messages, **options) as publisher:
    print("ready", flush=True)
    publisher.wait_for_subscribers(subscribers, timeout=20)
    print("matched", flush=True)
    start, by_multicast = time.monotonic(), 0
    for number, sample in enumerate(samples(count)):
        handed = publisher.publish(sample)
        assert handed == subscribers, handed
        by_multicast = max(by_multicast, sum(len(fanout.members) for fanout in publisher._delivery._fanouts))
        time.sleep(max(0.0, start + (number + 1) / rate - time.monotonic()))
    print("published", digest([ipc.Message(s, "", n, 0, 0, "") for n, s in enumerate(samples(count), 1)]), flush=True)
    print("by multicast", by_multicast, flush=True)
    sys.stdin.readline()
"""
)

SYNC = (
    MESSAGES
    + """
subscriber = ipc.Subscriber("robot/imu")
print("ready", flush=True)
received = [subscriber.recv(timeout=20) for _ in range(int(sys.argv[1]))]
print("received", digest(received), type(received[0].data).__name__, flush=True)
print("lost", json.dumps(dict(subscriber.stats.lost)), flush=True)
"""
)

CALLBACK = (
    MESSAGES
    + """
import threading
count, received, done = int(sys.argv[1]), [], threading.Event()


def take(message):
    received.append(message)
    if len(received) == count:
        done.set()


subscriber = ipc.Subscriber("robot/*", messages, callback=take)
print("ready", flush=True)
assert done.wait(40)
assert type(received[0].data) is Imu
print("received", digest(received), flush=True)
"""
)

ASYNCIO = (
    MESSAGES
    + """
import asyncio


async def main():
    received = []
    with ipc.Subscriber("**") as subscriber:
        print("ready", flush=True)
        async for message in subscriber:
            received.append(message)
            if len(received) == int(sys.argv[1]):
                break
    print("received", digest(received), flush=True)


asyncio.run(asyncio.wait_for(main(), 60))
"""
)

LARGE_PUBLISHER = """
import hashlib, random, sys
import ipcpy as ipc
publisher = ipc.Publisher("camera")
raw = ipc.Publisher("blob", ipc.Raw())
import numpy
image = numpy.random.default_rng(1).integers(0, 256, (1080, 1920, 3), dtype=numpy.uint8)
array = numpy.random.default_rng(2).random((2048, 1024))
assert array.nbytes == 16 << 20
blob = random.Random(3).randbytes(16 << 20)
print("ready", flush=True)
count = int(sys.argv[1])
publisher.wait_for_subscribers(count, timeout=20)
raw.wait_for_subscribers(count, timeout=20)
for _ in range(3):
    publisher.publish(image)
publisher.publish(array)
raw.publish(blob)
print("digest", *(hashlib.sha256(part).hexdigest() for part in (image, array, blob)), flush=True)
sys.stdin.readline()
"""

LARGE_SUBSCRIBER = """
import hashlib, sys
import numpy
import ipcpy as ipc
camera, raw = ipc.Subscriber("camera"), ipc.Subscriber("blob")
print("ready", flush=True)
images = [camera.recv(timeout=20).data for _ in range(3)]
array = camera.recv(timeout=20).data
blob = raw.recv(timeout=20).data
assert images[0].shape == (1080, 1920, 3) and images[0].dtype == numpy.uint8
assert all((image == images[0]).all() for image in images)
assert array.shape == (2048, 1024) and array.dtype == numpy.float64
print("digest", *(hashlib.sha256(part).hexdigest() for part in (images[0], array, blob)), flush=True)
print("lost", dict(camera.stats.lost), dict(raw.stats.lost), flush=True)
"""

FIRST_PUBLISHER = """
import sys, time
import ipcpy as ipc
ipc.Publisher, ipc.Subscriber
start = time.monotonic()
publisher = ipc.Publisher("first", ipc.Raw())
print("ready", flush=True)
publisher.wait_for_subscribers(timeout=10)
print("matched", time.monotonic() - start, flush=True)
for number in range(3):
    publisher.publish(b"%d" % number)
sys.stdin.readline()
"""

FIRST_SUBSCRIBER = """
import sys, time
import ipcpy as ipc
ipc.Publisher, ipc.Subscriber
start = time.monotonic()
subscriber = ipc.Subscriber("first")
print("ready", flush=True)
subscriber.wait_for_publishers(timeout=10)
matched = time.monotonic() - start
received = [bytes(subscriber.recv(timeout=10).data) for _ in range(3)]
print("matched", matched, flush=True)
assert received == [b"0", b"1", b"2"], received
print("complete", flush=True)
sys.stdin.readline()
"""
