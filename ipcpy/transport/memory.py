"""Memory that processes of one host share: memfds, their seals, mappings of them, and who still looks at a part.

Knows memfd_create(2), fcntl(2) and mmap(2) of Linux; nothing of messages, or of who is offered what. A file that could
shrink would kill whoever reads it (SIGBUS), so nothing is mapped that is not sealed against it.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
from functools import lru_cache

from ..importing import import_once
from ..typed import Any

if sys.platform == "linux":
    import fcntl

    SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL | 0x10  # F_SEAL_FUTURE_WRITE (linux/fcntl.h)

POPULATE = 16 << 20  # bytes of a mapping whose pages are all looked up at once; of a larger one when they are used
_TRACK = {"trackfd": False} if sys.version_info >= (3, 13) else {}  # before, a mapping keeps a descriptor of its own

Part = Any  # a ctypes array over a part of a mapping: it can be weakly referenced, and its views keep it


def available() -> bool:
    """Tell whether this system and this Python have what sharing takes: a lock over all threads (GIL) among it."""
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return sys.platform == "linux" and hasattr(os, "memfd_create") and sys.implementation.name == "cpython" and has_gil


class Area:
    """A mapping of a whole memfd. It stays as long as anybody has a part of it, or a view of one.

    Args:
        fd: the memfd; it may be closed afterwards.
        size: its bytes.
        writable: whether it may be written to; else nobody can write by this mapping.

    Raises:
        OSError: the system does not map it.
    """

    def __init__(self, fd: int, size: int, *, writable: bool) -> None:
        flags = mmap.MAP_SHARED | (getattr(mmap, "MAP_POPULATE", 0) if size <= POPULATE else 0)
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        self._map = mmap.mmap(fd, size, flags=flags, prot=protection, **_TRACK)
        self._address = address_of(self._map)
        self.size = size

    def part(self, offset: int, size: int) -> Part:
        """Return a part: whoever has views of it, or it itself, holds it.

        What is written to a part of an area that is not writable ends the process; ``view`` makes views of it that
        refuse that.
        """
        assert 0 <= offset and 0 < size and offset + size <= self.size
        part = _type(size).from_address(self._address + offset)
        part.area = self._map
        return part

    def words(self, count: int) -> memoryview:
        """Return the first numbers of 64 bits. Each is read and written as a whole."""
        return memoryview(self._map)[: 8 * count].cast("Q")


def view(part: Part, *, writable: bool = False) -> memoryview:
    """Return a view of the bytes of a part."""
    found = memoryview(part).cast("B")
    return found if writable else found.toreadonly()


def create(name: str, size: int) -> tuple[int, Area]:
    """Make a memfd that nobody but this mapping can ever write to, with all its memory.

    Returns:
        Its descriptor, which the caller closes, and the mapping.

    Raises:
        OSError: the system has no memory or no descriptor for it.
    """
    if size > _available() // 2:  # where there is less, the system would rather end a process than say so
        raise OSError(errno.ENOMEM, "too little memory is left")
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, size)
        os.posix_fallocate(fd, 0, size)  # now: where there is no memory, writing to it later would end the process
        area = Area(fd, size, writable=True)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)  # after mapping it: nobody maps it writable from now on
    except BaseException:
        os.close(fd)
        raise
    return fd, area


def _available() -> int:
    """Return how many bytes of memory can still be had without swapping, as far as the system tells (proc(5))."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return 1 << 62


def open_sealed(fd: int, size: int) -> Area:
    """Map what another process made, to read.

    Raises:
        OSError: it is no memfd of that size with all its memory, could shrink, or could be written to by others than
            its maker; or the system does not map it.
    """
    if problem := _problem(fd, size):
        raise OSError(errno.EINVAL, problem)
    return Area(fd, size, writable=False)


def _problem(fd: int, size: int) -> str:
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError:
        return "it is no memfd"
    found = os.fstat(fd)
    if seals & SEALS != SEALS:
        return "it is not sealed"
    if found.st_size != size or found.st_blocks * 512 < size:
        return f"it has {found.st_size} bytes, {found.st_blocks * 512} of them in memory, instead of {size}"
    if os.fstatvfs(fd).f_bsize != mmap.PAGESIZE:
        return "it has huge pages, which may run out while it is read"
    return ""


@lru_cache(maxsize=256)
def _type(size: int) -> Any:
    import_once("ctypes")  # in the I/O thread, if that is offered memory first
    import ctypes  # 5 ms, and only where memory is shared

    return ctypes.c_ubyte * size


@lru_cache(maxsize=1)
def _buffer_functions() -> tuple[Any, Any, Any]:
    """Return the type Py_buffer and the functions of the stable ABI that fill it and let go (PEP 3118, PEP 688)."""
    import_once("ctypes")  # in the I/O thread, if that is offered memory first
    import ctypes

    class Buffer(ctypes.Structure):
        _fields_ = [  # noqa: RUF012  # as ctypes has it
            ("buf", ctypes.c_void_p),
            ("obj", ctypes.py_object),
            ("len", ctypes.c_ssize_t),
            ("itemsize", ctypes.c_ssize_t),
            ("readonly", ctypes.c_int),
            ("ndim", ctypes.c_int),
            ("format", ctypes.c_char_p),
            ("shape", ctypes.c_void_p),
            ("strides", ctypes.c_void_p),
            ("suboffsets", ctypes.c_void_p),
            ("internal", ctypes.c_void_p),
        ]

    # By index they are objects of our own: two threads may come here at once, and others use those of the attributes.
    get, release = ctypes.pythonapi["PyObject_GetBuffer"], ctypes.pythonapi["PyBuffer_Release"]
    get.argtypes = [ctypes.py_object, ctypes.POINTER(Buffer), ctypes.c_int]
    release.argtypes, release.restype = [ctypes.POINTER(Buffer)], None
    return Buffer, get, release


def address_of(buffer: Any) -> int:
    """Return where the bytes of a contiguous buffer lie."""
    kind, get, release = _buffer_functions()
    found = kind()
    get(buffer, found, 0)
    try:
        return int(found.buf or 0)
    finally:
        release(found)
