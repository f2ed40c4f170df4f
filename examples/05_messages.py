"""What two programs agree on: each message's ID, its layout in bytes (see Python's ``struct``) and its Python type.

05_publisher.py and 05_subscriber.py both load it. In a project of your own it is a module with a name to import.
"""

from dataclasses import dataclass
from typing import NamedTuple

import ipcpy as ipc


class Imu(NamedTuple):
    """A sample of an inertial measurement unit: rates in rad/s, accelerations in m/s²."""

    gx: float
    gy: float
    gz: float
    ax: float
    ay: float
    az: float


@dataclass
class Status:
    """How the sensor is."""

    name: str
    samples: int
    temperature: float  # °C


messages = ipc.MsgLibrary(
    {
        23: ("<6f", Imu),
        24: ("<16sIf", Status),
    }
)
