"""Names as ROS 2 takes them. Knows its rules for fields and types; nothing of messages.

ROS 2 wants ``snake_case`` fields and ``CamelCase`` types, in ASCII, without ``__`` or a ``_`` at the end
(https://docs.ros.org/en/rolling/Concepts/Basic/About-Interfaces.html); its readers refuse whole files for one field
``gX``. A Python name that is no such name becomes the nearest one that is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

__all__ = ["PACKAGE", "field_name", "type_name", "unused"]

PACKAGE = "ipcpy_msgs"
_WORD_BREAK = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def field_name(name: str) -> str:
    """Return a field's name.

    >>> field_name("gz"), field_name("gyroX"), field_name("IMU_Temp_"), field_name("größe")
    ('gz', 'gyro_x', 'imu_temp', 'grosse')
    """
    words = re.sub(r"[^a-z0-9]+", "_", _ascii(_WORD_BREAK.sub("_", name)).lower()).strip("_")
    return words if words[:1].isalpha() else f"f_{words}".strip("_")


def type_name(name: str) -> str:
    """Return a type's name.

    >>> type_name("Imu"), type_name("wheel_speeds"), type_name("2d")
    ('Imu', 'WheelSpeeds', 'T2d')
    """
    words = "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", _ascii(name)))
    return words if words[:1].isalpha() else f"T{words}"


def unused(name: str, taken: Collection[str]) -> str:
    """Return a name, with a number behind it if it is taken.

    >>> unused("x", {"x", "x2"})
    'x3'
    """
    if name not in taken:
        return name
    number = 2
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"


def _ascii(name: str) -> str:
    return unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
