"""A subscriber. It needs to know nothing but the topic's name.

python 02_subscriber.py [COUNT]
"""

import sys
from contextlib import suppress

import ipcpy as ipc

count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000

with suppress(KeyboardInterrupt), ipc.Subscriber("wave") as sub:
    for message in sub:
        age = (message.received_ns - message.sent_ns) / 1000
        print(f"{message.topic} #{message.seq}: {message.data['value']:+.3f}  after {age:.0f} µs")
        if message.seq >= count:
            break
    print(f"received {sub.stats.received}, lost {sum(sub.stats.lost.values())}")
