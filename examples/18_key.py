"""One key keeps others out: two nodes that share a key talk, a third without one neither hears them nor is heard.

Real programs find the key by themselves, once `ipcpy key new` has made it; here each node is told where it is.

python 18_key.py [COUNT]
"""

import sys
import tempfile
from pathlib import Path

import ipcpy as ipc

count = int(sys.argv[1]) if len(sys.argv) > 1 else 5

with tempfile.TemporaryDirectory() as folder:
    made = ipc.new_key(Path(folder) / "key")
    print(f"the key, in words: {made.keys[0].fingerprint}")

    robot = ipc.Node("robot", key=made.path)
    laptop = ipc.Node("laptop", key=made.path)
    stranger = ipc.Node("stranger", key=False)

    with robot, laptop, stranger:
        pub = ipc.Publisher("wheel", node=robot)
        sub = ipc.Subscriber("wheel", node=laptop)
        deaf = ipc.Subscriber("wheel", node=stranger)
        pub.wait_for_subscribers()
        for number in range(count):
            pub.publish(number)
            print(f"laptop: wheel {sub.recv(timeout=5).data}")
        try:
            deaf.recv(timeout=0.5)
        except ipc.RecvTimeout as error:
            print(f"stranger: {error}")
