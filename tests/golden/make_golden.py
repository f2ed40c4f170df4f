"""Make struct_messages.json: messages as the real ipcpy 0.1.1 packs them.

    pip install --no-deps --target FOLDER ipcpy==0.1.1
    PYTHONPATH=FOLDER python tests/golden/make_golden.py

Only formats where native and little-endian agree: 0.1.1 used the byte order and padding of its machine. Needs Python
3.11 or later, as 0.1.1 does.
"""

from __future__ import annotations

import json
from collections import namedtuple
from importlib.metadata import version
from pathlib import Path

from ipcpy.message import MsgLibrary  # of 0.1.1

Msg = namedtuple("Msg", "a b c")
Imu = namedtuple("Imu", "gx gy gz ax ay az mx my mz")
Mixed = namedtuple("Mixed", "a b c")

CASES = [
    (22, "i", "int", int, [[0], [5], [-1], [2**31 - 1], [-(2**31)]]),
    (23, "iii", "Msg", Msg, [[1, 2, 3], [-1, 0, 1], [255, 65535, 16777215]]),
    (24, "d", "float", float, [[0.0], [-1.5], [1e300]]),
    (25, "5s", "bytes", bytes, [[b"hello"], [b""], [b"\xff\xff\x00\xff\xff"]]),
    (26, "<9f", "Imu", Imu, [[0.5 * n for n in range(9)], [-1.0] * 9]),
    (27, "4H", "list", list, [[1, 2, 3, 65535]]),
    (28, "3B", "tuple", tuple, [[255, 255, 255], [255, 255, 0]]),
    (0, "B", "int", int, [[0], [255]]),
    (0xFFFF, "<q", "int", int, [[-1], [2**63 - 1]]),
    (300, "<b?h", "Mixed", Mixed, [[-128, True, -2]]),
    (301, ">Hi", "list", list, [[1, -2]]),
    (302, "=Hi", "list", list, [[1, -2]]),
    (303, "100d", "list", list, [[n * 0.1 for n in range(100)]]),
]


def main() -> None:
    messages = []
    for id, format, type_name, type_, samples in CASES:
        library = MsgLibrary({id: (format, type_)})
        for values in samples:
            message = library.pack(id, values)
            plain = [value.hex() if isinstance(value, bytes) else value for value in values]
            entry = {"id": id, "format": format, "type": type_name, "values": plain, "size": library.get_size(id)}
            messages.append(entry | {"message": message.hex()})
    target = Path(__file__).with_name("struct_messages.json")
    lines = ",\n".join(json.dumps(message) for message in messages)
    target.write_text(f'{{"made_by": "ipcpy {version("ipcpy")}", "messages": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
