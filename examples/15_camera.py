"""A camera that says how often its images come, and hangs for a second in the midst of it, as drivers do.

python 15_camera.py [COUNT]        with 15_watchdog.py in another shell
"""

import sys
import time
from contextlib import suppress

import ipcpy as ipc

count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
pace = ipc.Rate(30)

with suppress(KeyboardInterrupt), ipc.Publisher("watchdog/camera", ipc.Raw(), rate=pace.hz) as pub:
    pub.wait_for_subscribers()
    for number in range(count):
        pub.publish(number.to_bytes(4, "little") + bytes(20_000))
        if number == count // 2:
            time.sleep(1.0)
        pace.sleep()
print(f"{count} images, {pace.missed} more were missed")
