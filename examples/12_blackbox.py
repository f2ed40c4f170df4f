"""A program that an exception ends, and the seconds before it in a file (needs the extra: pip install 'ipcpy[bag]').

    python 12_blackbox.py [messages] [file]

The file opens in Foxglove and PlotJuggler; 'ipcpy play FILE' publishes it again.
"""

import math
import sys
from collections import namedtuple

import ipcpy as ipc

Joint = namedtuple("Joint", "angle torque")
messages = ipc.MsgLibrary({7: ("<2d", Joint)})

count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
path = sys.argv[2] if len(sys.argv) > 2 else "crash.mcap"

ipc.BlackBox(seconds=60, path=path)

with ipc.Publisher("arm/joint", messages) as pub:
    pub.wait_for_subscribers()
    for n in range(count):
        pub.publish(Joint(math.sin(n / 20), n / 10))
    print(f"published {count} messages; now something breaks, and {path} is written", flush=True)
    raise RuntimeError("the arm twitched")
