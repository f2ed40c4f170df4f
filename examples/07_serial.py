"""A microcontroller at a serial port: its bytes are found amid garbage and forwarded as they are.

The microcontroller sends the seed's messages: 0xff 0xff, ID, size, XOR of the payload, payload. Here a thread plays it,
at the other end of a pseudo-terminal; with a real one, open "/dev/ttyUSB0" (by pyserial, or os.open and tty.setraw).

    python 07_serial.py [COUNT]
"""

import os
import random
import sys
import threading
import tty
from contextlib import suppress
from typing import NamedTuple

import ipcpy as ipc

count = int(sys.argv[1]) if len(sys.argv) > 1 else 100


class Range(NamedTuple):
    """What a distance sensor says."""

    millis: int
    metres: float


messages = ipc.MsgLibrary({7: ("<If", Range)})


def microcontroller(port: int) -> None:
    """Write messages with garbage before and after them, in pieces that respect no boundary, as a wire does."""
    dice = random.Random(1)
    stream = b"".join(messages.pack(7, (n, n / 1000)) + dice.randbytes(dice.randrange(9)) for n in range(count))
    while stream:
        written = os.write(port, stream[: dice.randrange(1, 20)])
        stream = stream[written:]


inside, port = os.openpty()
tty.setraw(port)  # bytes, not lines
threading.Thread(target=microcontroller, args=(inside,), daemon=True).start()

stream = ipc.MsgStream(messages.sizes)
received = 0
with (
    suppress(KeyboardInterrupt),
    ipc.Publisher("range", messages, reliable=True) as pub,
    ipc.Subscriber("range") as sub,
):
    pub.wait_for_subscribers()
    while received < count:
        for id, payload in stream.feed(os.read(port, 4096)):
            pub.publish(messages.unpack(id, payload), id)  # the same bytes again: header, check and payload
            print(sub.recv(timeout=5).data)
            received += 1
print(f"{received} messages forwarded, {stream.discarded} bytes of garbage passed over")
