"""An arm that moves where it is told, in steps, one goal at a time. 14_operator.py tells it.

    python 14_arm.py [seconds]

While it runs: 'ipcpy services', 'ipcpy call arm/move '{"x": 0.1, "y": 0.2}'', 'ipcpy call arm/where'.
"""

import sys
import time
from typing import NamedTuple

import ipcpy as ipc


class Point(NamedTuple):
    x: float
    y: float


at = Point(0.0, 0.0)
STEPS = 20


def move(request):
    """Move to a point, and say after each step how far there is to go."""
    global at
    start, goal = at, request.data
    if abs(goal.x) > 1 or abs(goal.y) > 1:
        raise ValueError(f"the arm reaches 1 m, and {goal} is further")
    for n in range(1, STEPS + 1):
        if request.cancelled:
            break  # the arm stays where it is
        time.sleep(0.02)
        at = Point(start.x + n / STEPS * (goal.x - start.x), start.y + n / STEPS * (goal.y - start.y))
        yield Point(goal.x - at.x, goal.y - at.y)
    return at


with (
    ipc.Service("arm/move", move, request=Point, reply=Point) as service,
    ipc.Service("arm/where", lambda request: at, reply=Point),
):
    print("the arm is ready", flush=True)
    service.wait(float(sys.argv[1]) if len(sys.argv) > 1 else None)
