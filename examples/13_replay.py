"""A recording, looked at and played again into a node (needs the extra: pip install 'ipcpy[bag]').

    python 13_replay.py [messages] [file]

It records first, if there is no such file. Any MCAP file will do, one of ROS 2 too (then pip install 'ipcpy[ros]').
"""

import math
import os
import sys
import time
from collections import namedtuple

import ipcpy as ipc

Joint = namedtuple("Joint", "angle torque")
count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
path = sys.argv[2] if len(sys.argv) > 2 else "joint.mcap"

if not os.path.exists(path):
    with ipc.Recorder(path) as recorder, ipc.Publisher("arm/joint", ipc.MsgLibrary({7: ("<2d", Joint)})) as pub:
        pub.wait_for_subscribers()
        for n in range(count):
            pub.publish(Joint(math.sin(n / 20), n / 10))
            time.sleep(0.002)

with ipc.Bag(path) as bag:
    for topic in bag.topics():
        print(f"{topic.name}: {topic.messages} messages, {topic.type or topic.codec}")
    first = next(bag.messages())
    print(f"the first is {first.data}")
    with ipc.Player(bag, rate=2) as player, ipc.Subscriber(first.topic) as sub:
        player.run()  # a thread of its own would let it play beside this one
        print(f"played {player.stats.published} messages in {player.duration / player.rate:.2f} s")
        print(f"the node has got {sub.recv(timeout=5).data}")
