"""What a user is lent: arrays and bytes, in shared memory where there is some; which arguments are none."""

from __future__ import annotations

import gc
import os

import pytest

from ipcpy.errors import ArgumentError
from ipcpy.protocol.data.fragments import MAX_MESSAGE
from ipcpy.protocol.data.places import PLACED_FROM, Spot
from ipcpy.protocol.data.pool import Slot
from ipcpy.publishing.loans import LARGEST, MARGIN, Loan, lend
from ipcpy.transport import memory

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory is shared on Linux")

SIZE = 1 << 20


class Lender:
    """Lends from one area, for as long as it is told to."""

    def __init__(self):
        descriptor, self.area = memory.create("test-loans", SIZE)
        os.close(descriptor)
        self.loans, self.lent = [], True

    def lend(self, size):
        if not self.lent:
            return None
        slot = Slot(Spot(0, 0, 1, 0, size + 2 * MARGIN), size + 2 * MARGIN)
        part = self.area.part(0, size + 2 * MARGIN)
        self.loans.append(Loan(slot, part, size))
        return self.loans[-1], memory.view(part, writable=True)[MARGIN : MARGIN + size]

    def content(self, size):
        """Return what lies where the last loan is."""
        return bytes(memory.view(self.area.part(MARGIN, size)))


@pytest.fixture
def lender():
    return Lender()


def test_bytes_are_lent_where_they_will_lie(lender):
    view = lend(lender, 40_000, None)
    assert isinstance(view, memoryview) and len(view) == 40_000 and not view.readonly
    view[:3] = b"abc"
    view[-1] = 7
    assert lender.content(40_000) == b"abc" + bytes(39_996) + b"\x07"
    assert memory.address_of(view) == lender.loans[0].address


def test_an_array_is_lent_in_any_shape_and_dtype(lender):
    numpy = pytest.importorskip("numpy")
    array = lend(lender, (100, 50, 3), "<f4")
    assert array.shape == (100, 50, 3) and array.dtype == numpy.float32 and array.flags.writeable
    array[:] = numpy.arange(15_000).reshape(100, 50, 3)
    assert (numpy.frombuffer(lender.content(60_000), "<f4") == numpy.arange(15_000)).all()
    assert array.ctypes.data == lender.loans[0].address and array.ctypes.data % 64 == 0


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        (40_000, "uint8", ((40_000,), "uint8")),
        ((40_000,), None, ((40_000,), "uint8")),
        ([200, 200], None, ((200, 200), "uint8")),
        ((3, 0, 5), "f8", ((3, 0, 5), "float64")),
        ((), "i4", ((), "int32")),
        (7, [("x", "f4"), ("y", "f8")], ((7,), [("x", "f4"), ("y", "f8")])),
    ],
)
def test_a_shape_is_a_number_or_numbers_and_bytes_are_the_default(lender, shape, dtype, expected):
    numpy = pytest.importorskip("numpy")
    array = lend(lender, shape, dtype)
    assert (array.shape, array.dtype) == (expected[0], numpy.dtype(expected[1]))


def test_numpys_own_numbers_are_numbers(lender):
    numpy = pytest.importorskip("numpy")
    assert lend(lender, (numpy.int64(300), numpy.uint8(200)), numpy.uint8).shape == (300, 200)


def test_what_is_small_or_cannot_be_lent_is_ordinary_memory(lender):
    small = lend(lender, PLACED_FROM - 1, None)
    assert lender.loans == [] and bytes(small) == bytes(PLACED_FROM - 1)
    small[0] = 1
    lender.lent = False
    large = lend(lender, PLACED_FROM, None)
    assert bytes(large) == bytes(PLACED_FROM)
    large[0] = 1
    pytest.importorskip("numpy")
    array = lend(lender, (400, 400), "f8")
    array[0, 0] = 1.5
    assert array.shape == (400, 400) and lend(lender, (5,), "f8").shape == (5,)


@pytest.mark.parametrize("size", [-1, LARGEST + 1, 1 << 70])
def test_what_is_no_size_is_refused(lender, size):
    with pytest.raises(ArgumentError, match=f"a loan has from 0 to {LARGEST} bytes"):
        lend(lender, size, None)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((-1, 10), "u1"), ((-1, -10), "u1"), ((1 << 40, 1 << 40), "f8"), ((LARGEST // 8 + 1,), "f8"), ((0, -5), None)],
)
def test_what_is_no_shape_of_a_message_is_refused(lender, shape, dtype):
    pytest.importorskip("numpy")
    with pytest.raises(ArgumentError, match="a loan has from 0 to"):
        lend(lender, shape, dtype)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [("10", None), (5.0, None), ((1.5, 2), "u1"), (None, "u1"), ((5,), "no such"), ((5,), 3.5), (b"12", "nope")],
)
def test_what_is_no_shape_or_dtype_is_refused_with_what_is_one(lender, shape, dtype):
    pytest.importorskip("numpy")
    with pytest.raises(ArgumentError, match="a loan has a shape such as"):
        lend(lender, shape, dtype)


def test_python_objects_do_not_travel(lender):
    pytest.importorskip("numpy")
    for dtype in ("O", [("x", "f4"), ("y", "O")]):
        with pytest.raises(ArgumentError, match="Python objects"):
            lend(lender, (10,), dtype)


def test_the_largest_loan_leaves_room_for_what_a_codec_writes_around_it():
    assert LARGEST + MARGIN < MAX_MESSAGE and LARGEST + PLACED_FROM <= MAX_MESSAGE


def test_an_array_that_was_published_is_not_written_to_any_more(lender):
    pytest.importorskip("numpy")
    array = lend(lender, (200, 200), "u1")
    lender.loans[0].end()
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1


def test_an_array_that_is_gone_when_its_message_is_published_does_no_harm(lender):
    pytest.importorskip("numpy")
    lend(lender, (200, 200), "u1")
    gc.collect()
    (loan,) = lender.loans
    loan.end()
    assert loan.part() is None


def test_a_loan_keeps_its_memory_as_long_as_the_user_has_a_part_of_it_and_no_longer(lender):
    view = lend(lender, 50_000, None)
    (loan,) = lender.loans
    part = view[10:20]
    del view
    assert loan.part() is not None
    del part
    assert loan.part() is None
