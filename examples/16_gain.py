"""Turns up the gain of 16_camera.py until the picture is bright, and learns what the camera refuses.

python 16_gain.py
"""

from contextlib import suppress

import ipcpy as ipc

with suppress(KeyboardInterrupt), ipc.Parameters("camera") as camera:  # no defaults: those of another program
    camera.wait_for_parameters()
    with ipc.Subscriber("camera/brightness", depth=1) as brightness:
        while (now := brightness.recv().data) < 4:
            camera.gain *= 2  # when this returns, the camera has it
            print(f"brightness {now:g}: gain {camera.gain:g}", flush=True)
    try:
        camera.set(mode="manual", gain=100)  # all of it or nothing
    except ValueError as error:
        print(error)
    camera.set(mode="manual", exposure=0.005)
    print(dict(camera))
