"""Images: numpy arrays of any size, not copied on their way into the socket. Needs numpy.

python 09_images.py [COUNT]
"""

import sys
from contextlib import suppress

import numpy as np

import ipcpy as ipc

count = int(sys.argv[1]) if len(sys.argv) > 1 else 30
image = np.random.default_rng(1).integers(0, 256, (1080, 1920, 3), np.uint8)  # 6.2 MB

with suppress(KeyboardInterrupt), ipc.Publisher("camera") as pub, ipc.Subscriber("camera") as sub:
    pub.wait_for_subscribers()
    for number in range(count):
        image[:4] = number % 256  # an array may be changed again once publish has returned
        pub.publish(image)
        message = sub.recv(timeout=5)
        assert np.array_equal(message.data, image)
        millis = (message.received_ns - message.sent_ns) / 1e6
        print(
            f"#{message.seq}: {message.data.dtype} {message.data.shape}, {image.nbytes / 1e6:.1f} MB in {millis:.1f} ms"
        )
