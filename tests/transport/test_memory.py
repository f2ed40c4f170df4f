"""transport.memory: memfds as this system has them; what is not sealed, or not all there, is not mapped."""

from __future__ import annotations

import errno
import gc
import mmap
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from handing import descriptors, mapped
from ipcpy.transport import memory

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memfds are Linux's")

PAGE = mmap.PAGESIZE
SIZE = 4 * PAGE


@pytest.fixture
def made():
    descriptor, area = memory.create("test-memory", SIZE)
    yield descriptor, area
    os.close(descriptor)


def memfd(size=SIZE, *, allocated=True, seals=None):
    """Return a memfd as somebody else may have made it."""
    descriptor = os.memfd_create("test-other", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    if allocated and size:
        os.posix_fallocate(descriptor, 0, size)
    import fcntl

    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, memory.SEALS if seals is None else seals)
    return descriptor


def test_what_its_maker_writes_everybody_who_maps_it_reads_at_once(made):
    descriptor, area = made
    other = memory.open_sealed(descriptor, SIZE)
    writing = memory.view(area.part(PAGE, 10), writable=True)
    reading = memory.view(other.part(PAGE, 10))
    writing[:] = b"0123456789"
    assert bytes(reading) == b"0123456789"
    area.words(2)[1] = 1 << 63
    assert list(other.words(2)) == [0, 1 << 63]


def test_nobody_else_can_write_to_it_change_its_size_or_unseal_it(made):
    import fcntl

    descriptor, _ = made
    with pytest.raises(PermissionError):
        mmap.mmap(descriptor, SIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    with pytest.raises(PermissionError):
        os.pwrite(descriptor, b"x", 0)
    for size in (0, 2 * SIZE):
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, size)
    with pytest.raises(PermissionError):
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, 0)


def test_a_program_that_writes_to_what_it_only_reads_ends_and_has_written_nothing(made):
    descriptor, area = made
    os.set_inheritable(descriptor, True)
    program = (
        "import sys; from ipcpy.transport import memory\n"
        f"part = memory.open_sealed(int(sys.argv[1]), {SIZE}).part(0, 10)\n"
        "part[0] = 1\n"
    )
    command = [sys.executable, "-c", program, str(descriptor)]
    done = subprocess.run(command, pass_fds=[descriptor], capture_output=True, timeout=30)
    assert done.returncode < 0
    assert bytes(memory.view(area.part(0, 10))) == bytes(10)


def test_all_its_memory_is_there_from_the_beginning_and_a_program_that_is_run_does_not_inherit_it(made):
    descriptor, _ = made
    assert os.fstat(descriptor).st_blocks * 512 >= SIZE
    assert not os.get_inheritable(descriptor)


@pytest.mark.parametrize("missing", [1, 2, 4, 0x10])
def test_what_lacks_a_seal_is_not_mapped(missing):
    descriptor = memfd(seals=memory.SEALS & ~missing)
    with pytest.raises(OSError, match="not sealed"):
        memory.open_sealed(descriptor, SIZE)
    os.close(descriptor)


@pytest.mark.parametrize("size", [0, PAGE, SIZE - 1, SIZE + 1, 2 * SIZE])
def test_what_has_another_size_than_was_said_is_not_mapped(size):
    descriptor = memfd(size)
    with pytest.raises(OSError, match=f"has {size} bytes"):
        memory.open_sealed(descriptor, SIZE)
    os.close(descriptor)


def test_what_is_not_all_in_memory_is_not_mapped_for_reading_it_could_end_the_process():
    descriptor = memfd(allocated=False)
    with pytest.raises(OSError, match="0 of them in memory"):
        memory.open_sealed(descriptor, SIZE)
    os.close(descriptor)


def test_huge_pages_are_not_mapped(made, monkeypatch):
    monkeypatch.setattr(os, "fstatvfs", lambda descriptor: SimpleNamespace(f_bsize=2 << 20))
    with pytest.raises(OSError, match="huge pages"):
        memory.open_sealed(made[0], SIZE)


def test_what_is_no_memfd_is_not_mapped(tmp_path):
    ordinary = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(ordinary, 0, SIZE)
    reading, writing = os.pipe()
    for descriptor in (ordinary, reading):
        with pytest.raises(OSError, match="no memfd|not sealed"):
            memory.open_sealed(descriptor, SIZE)
    for descriptor in (ordinary, reading, writing):
        os.close(descriptor)


def test_a_view_of_what_is_read_refuses_to_be_written_to(made):
    descriptor, area = made
    part = memory.open_sealed(descriptor, SIZE).part(0, 8)
    with pytest.raises(TypeError, match="read-only"):
        memory.view(part)[0] = 1
    with pytest.raises(TypeError, match="read-only"):
        memory.view(area.part(0, 8))[0] = 1


def test_a_mapping_lasts_as_long_as_anybody_has_a_view_of_a_part_and_no_longer():
    descriptor, area = memory.create("test-lasting", SIZE)
    os.close(descriptor)
    area.words(1)[0] = 0x0102030405060708
    view = memory.view(area.part(0, 100))
    del area
    gc.collect()
    last = view[:8][:2]
    del view
    assert mapped("test-lasting") == 1 and bytes(last) == (0x0102030405060708).to_bytes(8, sys.byteorder)[:2]
    del last
    gc.collect()
    assert mapped("test-lasting") == 0


@pytest.mark.parametrize(("offset", "size"), [(0, 0), (-1, 2), (SIZE, 1), (SIZE - 1, 2), (0, SIZE + 1)])
def test_there_is_no_part_of_what_lies_outside(made, offset, size):
    with pytest.raises(AssertionError):
        made[1].part(offset, size)


def test_the_address_of_a_part_is_where_its_views_begin(made):
    whole, part = made[1].part(0, SIZE), made[1].part(100, 50)
    assert memory.address_of(part) == memory.address_of(whole) + 100
    assert memory.address_of(memory.view(part)[7:]) == memory.address_of(whole) + 107
    assert memory.address_of(memory.view(part, writable=True)) == memory.address_of(part)


def test_what_is_not_contiguous_has_no_address(made):
    with pytest.raises(BufferError):
        memory.address_of(memory.view(made[1].part(0, 100))[::2])


@pytest.mark.parametrize("raised", [OSError(errno.ENOSPC, "no memory"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["ftruncate", "posix_fallocate"])
def test_where_the_system_has_no_memory_or_somebody_interrupts_no_descriptor_is_left(monkeypatch, call, raised):
    def refuse(*_):
        raise raised

    before = descriptors()
    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(type(raised)):
        memory.create("test-refused", SIZE)
    assert descriptors() == before and not mapped("test-refused")


def test_more_memory_than_is_left_is_not_asked_for_the_system_would_end_a_process_to_have_it(monkeypatch):
    monkeypatch.setattr(os, "memfd_create", lambda *_: pytest.fail("it was asked for"))
    with pytest.raises(OSError) as caught:
        memory.create("test-too-much", 1 << 50)
    assert caught.value.errno == errno.ENOMEM


def test_only_where_the_system_and_python_have_all_that_it_takes_is_memory_shared(monkeypatch):
    assert memory.available()
    with monkeypatch.context() as patch:
        patch.delattr(os, "memfd_create")
        assert not memory.available()
    with monkeypatch.context() as patch:
        patch.setattr("ipcpy.transport.memory.sys.platform", "darwin")
        assert not memory.available()
    with monkeypatch.context() as patch:
        patch.setattr("ipcpy.transport.memory.sys.implementation", SimpleNamespace(name="pypy"))
        assert not memory.available()
