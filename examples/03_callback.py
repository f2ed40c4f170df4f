"""A callback: called for every message in a thread of its own, while the program does something else.

What a callback raises is logged with its traceback, and the next message still comes.

    python 03_callback.py [COUNT]      with 01_publisher.py in another shell
"""

import sys
import threading
from contextlib import suppress

import ipcpy as ipc

count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
done = threading.Event()


def on_wave(message: ipc.Message) -> None:
    print(f"#{message.seq}: {message.data}")
    if message.seq >= count:
        done.set()


with suppress(KeyboardInterrupt), ipc.Subscriber("wave", callback=on_wave):
    done.wait()  # or whatever this program is for
print("done")
