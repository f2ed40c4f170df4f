"""A camera that writes each image into memory it is lent: publishing it copies nothing. Needs numpy.

Run it, and 11_detector.py in another shell, in either order.

python 10_camera_loan.py [COUNT]
"""

import sys
import time
from contextlib import suppress

import numpy as np

import ipcpy as ipc

count = int(sys.argv[1]) if len(sys.argv) > 1 else 300


def capture(image: np.ndarray, number: int) -> None:
    """Stand for the camera's driver: fill an image. A bright bar moves to the right by 16 columns each time."""
    image[:] = 40
    left = 16 * number % image.shape[1]
    image[:, left : left + 64] = 255


with suppress(KeyboardInterrupt), ipc.Publisher("camera") as pub:
    print("waiting for a subscriber: run 11_detector.py", flush=True)
    pub.wait_for_subscribers()
    for number in range(count):
        image = pub.loan((1080, 1920, 3), "uint8")  # subscribers on this computer have the same memory
        capture(image, number)
        pub.publish(image)  # from here on the image is read-only
        time.sleep(1 / 30)
    print(f"published {pub.stats.published} images, {pub.stats.shared} of them through shared memory")
