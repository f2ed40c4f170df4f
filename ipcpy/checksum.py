"""CRC-32 as zlib has it, and BLAKE2, by whatever is the fastest here. Knows nothing of what is checked.

The compiled part has one where the processor multiplies without carries; nothing is loaded for it. zlib-ng (extra
``fast``) computes the same numbers in a third of zlib's time and less. It is no compiled part of ours: IPCPY_PURE
leaves it alone.
"""

from __future__ import annotations

from collections.abc import Callable

from .fast import compiled

__all__ = ["LIBRARY", "blake2b", "blake2s", "crc32"]

crc32: Callable[..., int]

if compiled is not None and compiled.FOLDS:
    crc32, LIBRARY = compiled.crc32, "its own"
else:
    try:
        from zlib_ng.zlib_ng import crc32

        LIBRARY = "zlib-ng"
    except ImportError:  # not installed, or broken
        from zlib import crc32

        LIBRARY = "zlib"

try:  # hashlib has the same two, and loads OpenSSL with them: 3 ms, 3 MB
    from _blake2 import blake2b, blake2s
except ImportError:  # not CPython's
    from hashlib import blake2b, blake2s
