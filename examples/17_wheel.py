"""A wheel that turns as fast as it is told. It knows nothing of namespaces: 17_robot.py has two of it.

python 17_wheel.py        or        IPCPY_NAMESPACE=left IPCPY_REMAP=stop:=/stop python 17_wheel.py
"""

import threading
from contextlib import suppress

import ipcpy as ipc

stopped = threading.Event()

with suppress(KeyboardInterrupt), ipc.Publisher("speed") as speed:  # left/speed in the namespace left
    with (
        ipc.Subscriber("cmd", callback=lambda message: speed.publish({"rad/s": message.data})),
        ipc.Subscriber("stop", callback=lambda _: stopped.set()),  # stop, and not left/stop: that is what is remapped
    ):
        stopped.wait()
