"""Two machines. On one LAN nothing needs to be set: run this on both, each with its role.

    robot$   python 06_two_machines.py publish
    laptop$  python 06_two_machines.py subscribe

If other robots are on the same LAN, give each its own domain: programs of different domains do not see one another.
Where multicast does not pass (a cloud, docker, many a Wi-Fi), it is enough that one side names the other:

    robot$   IPCPY_DOMAIN=robot7 python 06_two_machines.py publish
    laptop$  IPCPY_DOMAIN=robot7 IPCPY_PEERS=robot.local python 06_two_machines.py subscribe

``ipc.Node(domain="robot7", peers="robot.local")`` says the same in a program.
"""

import sys
import time
from contextlib import suppress

import ipcpy as ipc

role = sys.argv[1] if len(sys.argv) > 1 else "subscribe"
count = int(sys.argv[2]) if len(sys.argv) > 2 else 100

if role == "publish":
    with suppress(KeyboardInterrupt), ipc.Publisher("battery") as pub:
        print("waiting for a subscriber", flush=True)
        pub.wait_for_subscribers()
        for number in range(count):
            pub.publish({"volts": 12.6 - number / 1000})
            time.sleep(0.02)
        time.sleep(0.5)
else:
    with suppress(KeyboardInterrupt), ipc.Subscriber("battery") as sub:
        sub.wait_for_publishers()
        robot = sub.publishers[0].node
        print(f"battery of {robot.host} at {robot.address}")
        for message in sub:
            print(f"{message.data['volts']:.3f} V")
            if message.seq >= count:
                break
