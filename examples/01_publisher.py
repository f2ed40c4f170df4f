"""A publisher. Run it, and 02_subscriber.py in another shell (or on another computer of the LAN), in either order.

python 01_publisher.py [COUNT]
"""

import math
import sys
import time
from contextlib import suppress

import ipcpy as ipc

count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000

with suppress(KeyboardInterrupt), ipc.Publisher("wave") as pub:  # Ctrl-C is a good end
    print("waiting for a subscriber: run 02_subscriber.py", flush=True)
    pub.wait_for_subscribers()  # the first message is not lost: now somebody takes it
    for number in range(count):
        pub.publish({"number": number, "value": math.sin(number / 10)})
        time.sleep(0.01)
    print(f"published {pub.stats.published} messages")
