"""The same program twice: two wheels, each under a namespace of its own, that one topic stops.

python 17_robot.py [COUNT]
"""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import ipcpy as ipc

count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
program = [sys.executable, str(Path(__file__).with_name("17_wheel.py"))]
wheels = [
    subprocess.Popen(program, env={**os.environ, "IPCPY_NAMESPACE": side, "IPCPY_REMAP": "stop:=/stop"})
    for side in ("left", "right")
]
try:
    with (
        suppress(KeyboardInterrupt),
        ipc.Publisher("left/cmd") as left,
        ipc.Publisher("right/cmd") as right,
        ipc.Publisher("stop") as stop,
        ipc.Subscriber("*/speed") as speeds,
    ):
        for cmd in (left, right):
            cmd.wait_for_subscribers()
        speeds.wait_for_publishers(2)
        for number in range(count):
            for cmd, speed in ((left, number), (right, -number)):
                cmd.publish(speed)
                message = speeds.recv(timeout=10)
                print(f"{message.topic}: {message.data['rad/s']} rad/s", flush=True)
        stop.wait_for_subscribers(2)
        stop.publish(True)
        for wheel in wheels:
            wheel.wait(10)
        print("both have stopped")
finally:
    for wheel in wheels:
        wheel.terminate()
