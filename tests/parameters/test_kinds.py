"""Kinds of parameters: what a default says, what is taken, what is refused and how that is said."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.codec import MsgPack
from ipcpy.errors import ArgumentError
from ipcpy.parameters.kinds import DEPTH, ITEMS, check_name, kind_of, plain, take_all


@pytest.mark.parametrize(
    ("default", "kind"),
    [
        (True, "bool"),
        (1, "int"),
        (1.0, "float"),
        ("a", "str"),
        ([], "list"),
        ([1, 2], "list[int]"),
        ([1, 2.0], "list[float]"),
        ([[1.0], [2.0, 3]], "list[list[float]]"),
        ((1, 2.0, "a"), "tuple[int, float, str]"),
        ((), "tuple[]"),
        ([True], "list[bool]"),
    ],
)
def test_a_default_says_of_which_kind_values_are(default, kind):
    assert kind_of("x", default).text == kind
    assert kind_of("x", default).take(default) == default


@pytest.mark.parametrize(
    ("default", "value", "taken"),
    [
        (1.0, 2, 2.0),
        (1.0, math.inf, math.inf),
        ([1.0], [1, 2.5], [1.0, 2.5]),
        ([1.0], (), []),
        ((1, 2.0), [3, 4], (3, 4.0)),
        ([], [1, "a", [True]], [1, "a", [True]]),
        (1, -(1 << 63), -(1 << 63)),
        ("a", "", ""),
    ],
)
def test_what_fits_is_taken_as_a_plain_value_of_that_kind(default, value, taken):
    found = kind_of("x", default).take(value)
    assert found == taken
    assert type(found) is type(taken)


@pytest.mark.parametrize(
    ("default", "values"),
    [
        (True, [1, 0, None, "true"]),
        (1, [True, 1.0, 1 << 63, "1", None]),
        (1.0, [True, "1", None, 1j, 10**400]),
        ("a", [1, b"a", None, "\udce4"]),
        ([1], [[1.0], ["a"], "a", {}, None, [[1]], [1] * (ITEMS + 1)]),
        ((1, 2), [[1], [1, 2, 3], [1, "a"], 1]),
        ([], [None, [None], [{}]]),
    ],
)
def test_what_does_not_fit_is_refused_with_what_came(default, values):
    for value in values:
        with pytest.raises(ArgumentError, match=r"^x of 'cam' is of the kind .*, got "):
            take_all("'cam'", {"x": kind_of("x", default)}, {"x": value})


@pytest.mark.parametrize("default", [None, {}, b"a", {1}, 1j, object(), [None], [1, "a"], [[1], ["a"]], 1 << 64])
def test_a_default_of_no_kind_is_refused_with_what_there_is(default):
    with pytest.raises(
        ArgumentError, match="the default of 'x' says of which kind.*a bool, int, float, str, list or tup"
    ):
        kind_of("x", default)


def test_lists_in_lists_have_an_end():
    nested: list = []
    for _ in range(DEPTH + 2):
        nested = [nested]
    with pytest.raises(ArgumentError, match="lists in lists"):
        kind_of("x", nested)
    itself: list = []
    itself.append(itself)
    with pytest.raises(ValueError, match="lists in lists"):
        plain(itself)


def test_numbers_of_numpy_are_numbers():
    np = pytest.importorskip("numpy")
    assert kind_of("x", 1.0).take(np.float32(0.5)) == 0.5
    assert type(kind_of("x", 1).take(np.int16(3))) is int
    assert kind_of("x", np.float64(1)).text == "float"


def test_what_is_not_there_is_refused_with_what_is():
    kinds = {"gain": kind_of("gain", 1.0), "mode": kind_of("mode", "auto")}
    with pytest.raises(ArgumentError, match=r"^'cam' has no parameter 'gian'; it has gain, mode$"):
        take_all("'cam'", kinds, {"gian": 1})
    with pytest.raises(ArgumentError, match="has no parameter 5"):
        take_all("'cam'", kinds, {5: 1})
    for wrong in (None, 5, "gain", [("gain", 1)]):
        with pytest.raises(ArgumentError, match=r"parameters are set by a dict"):
            take_all("'cam'", kinds, wrong)


@pytest.mark.parametrize("name", ["", "a b", "1a", "_x", "a.b", 5, None, "a/b"])
def test_a_name_is_one_of_a_variable(name):
    with pytest.raises(ArgumentError, match="a parameter's name is one of a variable"):
        check_name(name, frozenset())


def test_a_name_that_is_taken_is_refused():
    assert check_name("gain", frozenset({"set"})) == "gain"
    with pytest.raises(ArgumentError, match="no parameter can be called 'set'"):
        check_name("set", frozenset({"set"}))


numbers = st.one_of(st.booleans(), st.integers(-(1 << 63), (1 << 63) - 1), st.floats(allow_nan=False), st.text())
values = st.recursive(
    numbers, lambda inner: st.one_of(st.tuples(inner, inner), st.lists(inner, max_size=3)), max_leaves=8
)
anything = st.one_of(values, st.none(), st.binary(), st.dictionaries(st.text(), st.integers()), st.complex_numbers())


@given(values, anything)
def test_a_kind_takes_a_value_of_itself_or_says_what_came_and_all_of_it_can_travel(default, value):
    try:
        kind = kind_of("x", default)
    except ArgumentError as error:
        assert "of one kind" in str(error)
        return
    codec = MsgPack()
    for each in (default, value):
        try:
            taken = kind.take(each)
        except ValueError as error:
            assert "got " in str(error)
            continue
        assert kind.take(taken) == taken
        assert kind.take(codec.decode(codec.encode(taken))) == taken
