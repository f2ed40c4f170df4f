"""bridges.mqtt.asking: questions and answers about how publishers begin."""

from __future__ import annotations

import pytest

from ipcpy.bridges.mqtt.asking import KEPT_BYTES, Asking, pack_end, unpack_end
from ipcpy.bridges.offers import Beginning, Parcel

KEY, OTHER = ("a", "b"), ("a", "c")


def test_an_answer_is_what_is_kept_and_then_the_next_number() -> None:
    asking = Asking()
    number = asking.ask(KEY)
    assert asking.waits(KEY, number)
    asking.kept(KEY, Parcel(4, 1, b"four"))
    asking.kept(OTHER, Parcel(9, 1, b"nobody asked"))
    asking.kept(KEY, Parcel(5, 1, b"five"))
    assert asking.ended(OTHER, 10) is None
    assert asking.ended(KEY, 6) == Beginning(6, (Parcel(4, 1, b"four"), Parcel(5, 1, b"five")))
    assert asking.ended(KEY, 6) is None
    assert not asking.waits(KEY, number)


def test_a_question_that_is_asked_again_begins_anew() -> None:
    asking = Asking()
    first = asking.ask(KEY)
    asking.kept(KEY, Parcel(4, 1, b"four"))
    second = asking.ask(KEY)
    assert not asking.waits(KEY, first) and asking.waits(KEY, second)
    assert asking.ended(KEY, 6) == Beginning(6, ())


def test_what_is_kept_is_bounded() -> None:
    asking = Asking()
    asking.ask(KEY)
    large = bytes(KEPT_BYTES // 2)
    for seq in (1, 2, 3):
        asking.kept(KEY, Parcel(seq, 1, large))
    found = asking.ended(KEY, 4)
    assert found is not None and [parcel.seq for parcel in found.kept] == [1, 2]
    asking.ask(KEY)
    asking.kept(KEY, Parcel(3, 1, large))  # there is room again
    found = asking.ended(KEY, 4)
    assert found is not None and len(found.kept) == 1


@pytest.mark.parametrize("number", [0, 1, 2**63 - 1])
def test_the_number_that_ends_an_answer_comes_back(number: int) -> None:
    assert unpack_end(pack_end(number)) == number


@pytest.mark.parametrize("payload", [b"", b"-1", b"x", b"99999999999999999999", b"9" * 1000, str(2**63).encode()])
def test_another_end_is_a_value_error(payload: bytes) -> None:
    with pytest.raises(ValueError, match="an answer ends with a number"):
        unpack_end(payload)
