"""CRC-32 as zlib has it, and BLAKE2, by whichever library is the fastest here. Knows nothing of what is checked.

zlib-ng (extra ``fast``) computes the same numbers in a third of the time and less. It is no compiled part of ours:
IPCPY_PURE leaves it alone.
"""

from __future__ import annotations

__all__ = ["LIBRARY", "blake2b", "blake2s", "crc32"]

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
