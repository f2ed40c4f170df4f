"""Struct messages: 31 bytes each on the wire, and what arrives is of the subscriber's own type.

python 05_publisher.py [COUNT]
"""

import importlib
import sys
import time
from contextlib import suppress

import ipcpy as ipc

shared = importlib.import_module("05_messages")  # 'import 05_messages' is no Python, because of the digits
count = int(sys.argv[1]) if len(sys.argv) > 1 else 500

with suppress(KeyboardInterrupt), ipc.Publisher("imu", shared.messages) as pub:
    pub.wait_for_subscribers()
    for number in range(count):
        pub.publish(shared.Imu(0.0, 0.0, number / 100, 0.0, 0.0, 9.81))
        time.sleep(0.01)
    pub.publish(shared.Status("left foot", count, 36.6))
