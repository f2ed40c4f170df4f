"""Rows of books: what travels is what was counted, and what nobody counted is refused."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol.link import rows
from ipcpy.protocol.link.rows import Dropped, Latency, Published, Received, Sent, pack_rows, unpack_rows
from ipcpy.protocol.wire import Malformed

U64 = st.integers(0, (1 << 64) - 1)
CAUSES = st.dictionaries(st.sampled_from(["network", "kernel", "given up", "of a later version"]), U64)
SECONDS = st.floats(0, 1e6)
PUBLISHED = st.builds(Published, st.just(rows.PUBLISHED), U64, U64, U64)
SENT = st.builds(Sent, st.just(rows.SENT), *[U64] * 8)
LATENCY = st.none() | st.builds(Latency, *[SECONDS] * 4)
RECEIVED = st.builds(Received, st.just(rows.RECEIVED), *[U64] * 7, CAUSES, LATENCY)
DROPPED = st.builds(Dropped, st.just(rows.DROPPED), U64, CAUSES)
ROW = st.one_of(PUBLISHED, SENT, RECEIVED, DROPPED)


def read(pages):
    return [row for page in pages for row in unpack_rows(page)]


@given(st.lists(ROW, max_size=60), st.integers(300, 5_000))
def test_rows_come_as_they_were_in_pages_that_fit(told, room):
    pages = pack_rows(told, room)
    assert read(pages) == told
    assert all(len(page) <= room for page in pages)


@given(st.lists(ROW, max_size=60))
def test_a_page_is_what_msgpack_makes_of_its_rows(told):
    assert pack_rows(told, 1 << 20) == [msgpack.packb(told)]


ITEMS = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.floats(), st.text(max_size=300), st.binary(),
    st.sampled_from([*rows.Step, *range(254, 258), *range(65_534, 65_538), (1 << 32) - 1, 1 << 32, "x" * 31, "x" * 32]),
)  # fmt: skip
ANYTHING = st.recursive(
    ITEMS, lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=3), inner, max_size=20)
)


@given(st.lists(ANYTHING, max_size=5))
def test_whatever_is_packed_is_packed_as_msgpack_does(values):
    assert pack_rows(values, 1 << 30) == [msgpack.packb(values)]


@pytest.mark.parametrize("value", ["\ud800", 1 << 64, -(1 << 64), object(), {1, 2}])
def test_what_msgpack_refuses_is_refused_as_it_does(value):
    with pytest.raises(Exception) as expected:
        msgpack.packb([value])
    with pytest.raises(type(expected.value)):
        pack_rows([value], 1 << 20)


@pytest.mark.parametrize("count", [15, 16, 65_535, 65_536])
def test_many_items_are_packed_as_msgpack_does(count):
    told = [(1, [0] * count, {n: n for n in range(count)})]
    assert pack_rows(told, 1 << 30) == [msgpack.packb(told)]


def test_there_is_a_page_where_there_is_nothing_to_tell():
    assert [unpack_rows(page) for page in pack_rows([], 100)] == [[]]


def test_a_row_that_fits_no_page_is_left_out_and_the_others_come():
    large = Dropped(rows.DROPPED, 1, {f"cause {number}": 1 for number in range(20)})
    small = Dropped(rows.DROPPED, 2, {})
    assert read(pack_rows([small, large, small], 100)) == [small, small]


def test_more_rows_than_a_page_may_have_are_in_two():
    told = [Published(rows.PUBLISHED, 1, 2, 3)] * (rows.MAX_PAGE_ROWS + 1)
    pages = pack_rows(told, 1 << 20)
    assert [len(unpack_rows(page)) for page in pages] == [rows.MAX_PAGE_ROWS, 1]


def test_what_a_later_version_says_beside_is_ignored():
    later = [[1, 7, 8, 9, "more"], [99, "another kind"], [4, 5, {"schema": 1}, None]]
    assert unpack_rows(msgpack.packb(later)) == [Published(1, 7, 8, 9), Dropped(4, 5, {"schema": 1})]


@pytest.mark.parametrize(
    "page",
    [
        5,
        {},
        [5],
        [[]],
        [[1, 7, 8]],
        [[1, 7, 8, -1]],
        [[1, 7, 8, 1.5]],
        [[1, 7, 8, True]],
        [[4, 7, {"a\x1b[2J": 1}]],
        [[4, 7, {"": 1}]],
        [[4, 7, {"x" * 33: 1}]],
        [[4, 7, {"network": "many"}]],
        [[4, 7, {str(number): 1 for number in range(33)}]],
        [[4, 7, None]],
        [[3, 1, 2, 0, 1, 1, 0, 0, {}]],
        [[3, 1, 2, 0, 1, 1, 0, 0, {}, [0.1, 0.2, 0.3]]],
        [[3, 1, 2, 0, 1, 1, 0, 0, {}, [0.1, 0.2, float("nan"), 0.0]]],
        [[3, 1, 2, 0, 1, 1, 0, 0, {}, [0.1, 0.2, "slow", 0.0]]],
    ],
    ids=repr,
)
def test_what_is_no_row_is_refused(page):
    with pytest.raises(Malformed):
        unpack_rows(msgpack.packb(page))


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(page):
    try:
        unpack_rows(page)
    except Malformed as error:
        assert error.cause == "malformed"
