"""Tells the arm of 14_arm.py where to move, watches it, and stops it half way.

python 14_operator.py
"""

import ipcpy as ipc

arm, where = ipc.Client("arm/move"), ipc.Client("arm/where")
arm.wait_for_service(timeout=10)

stream = arm.stream({"x": 0.5, "y": 0.2}, timeout=5)
for left in stream:
    print(f"{left.x:.2f} m to go")
print(f"arrived at {stream.result.x:.2f}, {stream.result.y:.2f}")

stream = arm.stream((-0.5, 0.0), timeout=5)
for left in stream:
    if left.x > -0.5:
        stream.cancel()
print(f"stopped on the way: {stream.cancelled}, {-0.5 < stream.result.x < 0.5}")
print(f"the arm says the same: {where.call(timeout=5) == stream.result}")

try:
    arm.call((3, 0), timeout=5)
except ipc.ServiceError as error:
    print(error)
