"""Struct messages, received. Without ``messages`` it works too: then what arrives are named tuples.

python 05_subscriber.py
"""

import importlib
from contextlib import suppress

import ipcpy as ipc

shared = importlib.import_module("05_messages")

with suppress(KeyboardInterrupt), ipc.Subscriber("imu", shared.messages) as sub:
    for message in sub:
        if isinstance(message.data, shared.Status):
            print(message.data)
            break
        print(f"gz = {message.data.gz:.2f} rad/s")
