"""A robot to take pictures of: six programs that publish and subscribe as those of a small robot do, none of them real.

``python robot.py ROLE`` runs one of them until it is ended. The camera paints a ball that rolls through a hall, the
detector finds it, the planner steers after it, the motors obey; the logger takes everything, more slowly than it comes.
"""

from __future__ import annotations

import math
import random
import sys
import time
from collections import namedtuple
from typing import Any

import ipcpy as ipc

Imu = namedtuple("Imu", "gx gy gz ax ay az")
Odometry = namedtuple("Odometry", "x y heading speed")
MESSAGES = ipc.MsgLibrary({1: ("<6f", Imu), 2: ("<4f", Odometry)})


def camera(node: ipc.Node) -> None:
    """Publish images: a floor, walls, and a ball."""
    import numpy

    height, width = 240, 320
    y, x = numpy.mgrid[0:height, 0:width].astype("float32")
    hall = numpy.stack([70 + y * 0.35, 84 + y * 0.32, 104 + y * 0.2], axis=-1)
    hall[y < 96] = (196, 204, 210)
    hall[(y >= 96) & (y < 100)] = (90, 96, 104)
    for left in range(0, width, 64):
        hall[(y > 22) & (y < 74) & (x > left + 10) & (x < left + 44)] = (150, 186, 214)
    with ipc.Publisher("camera/front", rate=20, node=node) as pub:
        for missed in ipc.Rate(20):
            del missed
            now = time.time()
            cx, cy, r = 160 + 110 * math.sin(now * 0.7), 170 + 18 * math.cos(now * 1.4), 26
            far = numpy.hypot(x - cx, y - cy)
            light = numpy.clip(1.15 - numpy.hypot(x - cx + 9, y - cy + 9) / (2.2 * r), 0, 1)[..., None]
            image = numpy.where((far < r)[..., None], light * numpy.array([255.0, 120.0, 30.0]), hall)
            pub.publish(image.astype("uint8"))


def imu(node: ipc.Node) -> None:
    """Publish rates of turn and accelerations, with noise."""
    noise = random.Random(1)
    with ipc.Publisher("imu", MESSAGES, node=node) as pub:
        for missed in ipc.Rate(100):
            del missed
            now = time.time()
            turn = 0.8 * math.sin(now * 0.7)
            values = (0, 0, turn, 0.2 * math.sin(now * 9), 0.1 * math.cos(now * 7), 9.81)
            pub.publish(Imu(*(value + noise.gauss(0, 0.02) for value in values)))


def detector(node: ipc.Node) -> None:
    """Say where the ball is in each image."""
    import numpy

    with ipc.Publisher("objects", node=node) as pub, ipc.Subscriber("camera/front", node=node) as sub:
        for message in sub:
            rows, columns = numpy.nonzero((message.data[..., 0] > 180) & (message.data[..., 2] < 60))
            if len(rows):
                where = {"x": float(columns.mean()), "y": float(rows.mean()), "pixels": len(rows)}
                pub.publish({"image": message.seq, "objects": [{"kind": "ball", "score": 0.97, **where}]})


def planner(node: ipc.Node) -> None:
    """Steer after the ball."""
    topics = {name: ipc.Subscriber(name, node=node) for name in ("objects", "odometry", "imu")}
    newest: dict[str, Any] = {}
    with ipc.Publisher("cmd", node=node) as pub:
        for missed in ipc.Rate(50):
            del missed
            newest |= {name: message.data for name, sub in topics.items() if (message := sub.latest()) is not None}
            x = newest["objects"]["objects"][0]["x"] if "objects" in newest else 160.0
            gz = newest["imu"].gz if "imu" in newest else 0.0
            speed = newest["odometry"].speed if "odometry" in newest else 0.0
            pub.publish({"forward": 0.4, "turn": (160 - x) / 200 - 0.1 * gz, "slip": speed - 0.4})


def motors(node: ipc.Node) -> None:
    """Obey, and say how far that went."""
    x = y = heading = 0.0
    with ipc.Publisher("odometry", MESSAGES, node=node) as pub, ipc.Subscriber("cmd", node=node) as sub:
        for message in sub:
            heading += 0.02 * message.data["turn"]
            speed = 0.4 + 0.05 * math.sin(time.time() * 3)
            x, y = x + 0.02 * speed * math.cos(heading), y + 0.02 * speed * math.sin(heading)
            pub.publish(Odometry(x, y, heading, speed))


def logger(node: ipc.Node) -> None:
    """Take odometry and the imu, a little more slowly than they come: some are dropped."""
    with ipc.Subscriber("imu", depth=4, node=node) as sub, ipc.Subscriber("odometry", node=node) as other:
        for _ in sub:
            other.latest()
            time.sleep(0.0106)


ROLES = {each.__name__: each for each in (camera, imu, detector, planner, motors, logger)}

if __name__ == "__main__":
    ROLES[sys.argv[1]](ipc.Node(sys.argv[1]))
