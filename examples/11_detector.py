"""A detector that keeps the last ten images of a camera, and compares the newest with the oldest. Needs numpy.

On one computer no image is copied: each stays where the camera has put it until nobody holds it any more.

    python 11_detector.py [COUNT]      with 10_camera_loan.py in another shell
"""

import sys
from collections import deque
from contextlib import suppress

import numpy as np

import ipcpy as ipc

count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
recent: deque[ipc.Message] = deque(maxlen=10)  # what drops out of it is the camera's to fill again


def find_bar(image: np.ndarray) -> int:
    """Return the first bright column."""
    return int(image[540, :, 0].argmax())


with suppress(KeyboardInterrupt), ipc.Subscriber("camera") as sub:
    for message in sub:
        recent.append(message)
        at, before = find_bar(message.data), find_bar(recent[0].data)
        images, moved = message.seq - recent[0].seq, (at - before) % 1920
        print(f"#{message.seq}: the bar is at column {at}, {moved} columns further than {images} images ago")
        if message.seq >= count:
            break
    stats = sub.stats
    print(f"received {stats.received}, {stats.shared} through shared memory, lost {sum(stats.lost.values())}")
