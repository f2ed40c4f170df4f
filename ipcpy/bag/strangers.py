"""Files that are no MCAP files: what they probably are, and what to do. Knows first bytes and names, no more."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["what_instead", "what_to_open"]

_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"#ROSBAG", "a bag of ROS 1: 'rosbags-convert' of the package rosbags makes an MCAP file of it"),
    (b"SQLite format 3", "a database of SQLite, as of a ROS 2 bag: 'rosbags-convert' makes an MCAP file of it"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd as a whole: unpack it first (zstd -d)"),
    (b"\x04\x22\x4d\x18", "compressed by lz4 as a whole: unpack it first (lz4 -d)"),
    (b"\x1f\x8b", "compressed by gzip: unpack it first (gunzip)"),
    (b"BZh", "compressed by bzip2: unpack it first (bunzip2)"),
    (b"\xfd7zXZ", "compressed by xz: unpack it first (unxz)"),
    (b"PK\x03\x04", "a zip archive: unpack it first"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\xd4\xc3\xb2\xa1", "a capture of packets"),
    (b"\x0a\x0d\x0d\x0a", "a capture of packets"),
    (b"{", "lines of JSON: if 'ipcpy echo --json' printed them, 'ipcpy pub --pace' publishes them"),
)


def what_instead(start: bytes) -> str:
    """Say what a file is that begins with these bytes, which are not MCAP's."""
    for mark, kind in _KINDS:
        if start.startswith(mark):
            return f"it looks like {kind}"
    if not start.strip(b"\0"):
        return "it begins with zeros: whoever wrote it was cut off before the disk had its bytes"
    return f"it begins with {start[:8].hex(' ')}"


def what_to_open(folder: str | os.PathLike[str]) -> str:
    """Say which file of a folder can be opened; recorders of ROS 2 make a folder for each recording."""
    names = sorted(path.name for path in Path(folder).iterdir() if path.suffix in (".mcap", ".db3"))
    inside = [name for name in names if name.endswith(".mcap")]
    if inside:
        listed = ", ".join(inside[:5]) + (", ..." if len(inside) > 5 else "")
        return f"it is a folder: name the files in it ({listed})"
    if names:
        return f"it is a folder with {names[0]}: 'rosbags-convert' of the package rosbags makes an MCAP file of it"
    return "it is a folder, and no MCAP file (.mcap) is in it"
