"""Garbage on the wire: a topic flows while random datagrams hit every port of the process. Nothing of it arrives.

Bytes from the network never raise. They are dropped, and counted by cause.

    python 08_garbage.py [COUNT]
"""

import os
import random
import socket
import sys
from contextlib import suppress

import ipcpy as ipc

count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000


def own_udp_ports() -> set[int]:
    """Return the UDP ports of this process, as Linux knows them; on other systems none."""
    if not os.path.exists("/proc/net/udp"):
        return set()
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    own = {os.readlink(link)[8:-1] for link in links if os.path.islink(link) and "socket:" in os.readlink(link)}
    with open("/proc/net/udp") as table:
        rows = [line.split() for line in table][1:]
    return {int(row[1].split(":")[1], 16) for row in rows if row[9] in own}


dice = random.Random(1)
attacker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
with suppress(KeyboardInterrupt), ipc.Publisher("precious") as pub, ipc.Subscriber("precious") as sub:
    pub.wait_for_subscribers()
    ports = own_udp_ports()
    print(f"throwing garbage at the ports {sorted(ports)}")
    for number in range(count):
        for port in ports:
            attacker.sendto(dice.randbytes(dice.randrange(1, 200)), ("127.0.0.1", port))
        pub.publish(number)
        message = sub.recv(timeout=5)
        assert message.data == number
    stats = sub.stats
    print(f"received {stats.received} of {count}, lost {sum(stats.lost.values())}")
    print(f"dropped {dict(stats.dropped)}")
