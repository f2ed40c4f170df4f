"""A camera whose exposure and gain are changed while it runs: by 16_gain.py, or by ipcpy param set camera gain 2.0

python 16_camera.py [COUNT]
"""

import sys
import time
from contextlib import suppress

import ipcpy as ipc

count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000

with (
    suppress(KeyboardInterrupt),
    ipc.Parameters("camera", exposure=0.01, gain=1.0, mode="auto") as params,
    ipc.Publisher("camera/brightness") as pub,
):

    @params.on_set
    def check(name, value):
        if name == "gain" and not 0 < value <= 16:
            raise ValueError("the sensor amplifies up to 16 times")
        if name == "mode" and value not in ("auto", "manual"):
            raise ValueError("the mode is auto or manual")

    print("exposing; try: ipcpy param set camera gain 2.0", flush=True)
    for _ in range(count):
        time.sleep(params.exposure)
        pub.publish(100 * params.exposure * params.gain)  # what the sensor would see
    print(f"the camera ends with exposure {params.exposure:g} s, gain {params.gain:g}, mode {params.mode}")
