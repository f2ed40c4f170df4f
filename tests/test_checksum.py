"""The checksum is zlib's CRC-32, whoever computes it."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy import checksum
from ipcpy.checksum import crc32
from ipcpy.fast import COMPILED, compiled

WITHOUT = """
import sys
sys.modules["zlib_ng"] = sys.modules["_ipcpy_fast"] = None
import zlib
from ipcpy import checksum
assert checksum.crc32 is zlib.crc32
print(checksum.LIBRARY)
"""


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1))
def test_it_is_that_of_zlib(data: bytes, begun: int) -> None:
    assert crc32(data) == zlib.crc32(data)
    assert crc32(memoryview(data), begun) == zlib.crc32(data, begun)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 63, 64, 65, 1_428, 5 << 10, (5 << 10) + 1, 100_003])
def test_it_is_that_of_zlib_at_sizes_where_the_way_changes(size: int) -> None:
    data = random.Random(size).randbytes(size + 7)
    for start in range(8):  # however it is aligned
        part = memoryview(data)[start : start + size]
        assert crc32(part) == zlib.crc32(part)
        assert crc32(part, 0xFFFF_FFFF) == zlib.crc32(part, 0xFFFF_FFFF)


@pytest.mark.skipif(not COMPILED, reason="the compiled part is not there")
def test_the_compiled_one_is_that_of_zlib_at_every_size_and_alignment() -> None:
    random_ = random.Random(1)
    data = memoryview(random_.randbytes(5_100))
    for size in range(5_001):
        begun = random_.randrange(1 << 32)
        for start in range(17) if size < 300 else (random_.randrange(64),):
            part = data[start : start + size]
            assert compiled.crc32(part, begun) == zlib.crc32(part, begun), (start, size)
        assert compiled.crc32(data[:size]) == zlib.crc32(data[:size])


def test_it_takes_what_zlib_takes() -> None:
    for data in (bytearray(b"abc"), memoryview(b"abcdef")[:3], memoryview(b"abc").cast("b")):
        assert crc32(data) == zlib.crc32(b"abc")
    with pytest.raises(TypeError):
        crc32("abc")  # type: ignore[arg-type]


def test_zlib_does_where_zlib_ng_is_missing() -> None:
    run = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "zlib"


def test_the_library_is_the_one_that_is_installed() -> None:
    if COMPILED and compiled.FOLDS:
        assert checksum.LIBRARY == "its own" and crc32 is compiled.crc32
    else:
        assert checksum.LIBRARY == ("zlib-ng" if _zlib_ng() else "zlib")


@pytest.mark.skipif(not COMPILED, reason="the compiled part is not there")
def test_the_compiled_one_refuses_what_zlib_refuses() -> None:
    for wrong in (("abc",), (b"abc", "1"), (memoryview(b"abcdef")[::2],), (), (b"a", 1, 2), (b"a", None)):
        with pytest.raises((TypeError, BufferError)) as ours:
            compiled.crc32(*wrong)
        with pytest.raises(ours.type):
            zlib.crc32(*wrong)
    for begun in (-1, 1 << 32, (1 << 70) + 5):
        assert compiled.crc32(b"abc", begun) == zlib.crc32(b"abc", begun)


@pytest.mark.skipif(not COMPILED, reason="the compiled part is not there")
def test_while_the_compiled_one_is_at_work_other_threads_are_too() -> None:
    data, ended, steps = bytes(64 << 20), threading.Event(), []

    def compute() -> None:
        for _ in range(3):
            compiled.crc32(data)
        ended.set()

    before = sys.getswitchinterval()
    sys.setswitchinterval(60)  # nobody is made to let go of the GIL
    try:
        thread = threading.Thread(target=compute)
        thread.start()
        while not ended.is_set():
            steps.append(time.monotonic())
            time.sleep(0)
        thread.join()
    finally:
        sys.setswitchinterval(before)
    assert len(steps) > 1


def _zlib_ng() -> bool:
    try:
        import zlib_ng.zlib_ng  # noqa: F401
    except ImportError:
        return False
    return True
