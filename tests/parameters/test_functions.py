"""Functions of users: how they want to be called, how they refuse, and what one that fails does."""

from __future__ import annotations

import logging

import pytest

from ipcpy.errors import ArgumentError
from ipcpy.parameters.functions import Functions, differing


@pytest.fixture
def functions():
    return Functions("'cam'")


def test_one_is_called_by_name_and_value_or_with_all_that_changes(functions):
    calls = []
    functions.add(lambda name, value: calls.append((name, value)))
    functions.add(lambda changes: calls.append(changes))
    functions.add(lambda *args: calls.append(args))
    assert functions.ask({"a": 1, "b": 2}) is None
    assert calls == [("a", 1), ("b", 2), {"a": 1, "b": 2}, ("a", 1), ("b", 2)]
    calls.clear()
    functions.tell({"a": 3})
    assert calls == [("a", 3), {"a": 3}, ("a", 3)]


@pytest.mark.parametrize("refuse", [ValueError("too much"), "too much"])
def test_one_refuses_with_its_reason(functions, refuse):
    def check(name, value):
        if isinstance(refuse, Exception):
            raise refuse
        return refuse

    functions.add(check)
    assert functions.ask({"a": 1}) == "too much"


def test_one_that_gives_no_reason_refuses_all_the_same(functions):
    functions.add(lambda changes: "a" not in changes)
    assert functions.ask({"b": 1}) is None
    assert functions.ask({"a": 1}) == "no reason was given"


@pytest.mark.parametrize("said", [None, True, "", 0, 5, []])
def test_what_is_no_reason_refuses_nothing(functions, said):
    functions.add(lambda name, value: said)
    assert functions.ask({"a": 1}) is None


def test_the_first_that_refuses_is_the_last_that_is_asked(functions):
    asked = []
    functions.add(lambda name, value: "no")
    functions.add(lambda name, value: asked.append(name))
    assert functions.ask({"a": 1}) == "no"
    assert asked == []


def test_one_that_fails_refuses_and_its_traceback_is_logged(functions, caplog):
    functions.add(lambda name, value: 1 / 0)
    with caplog.at_level(logging.ERROR):
        assert functions.ask({"a": 1}) == "ZeroDivisionError: division by zero"
        assert "on_set of 'cam' failed" in caplog.text and "Traceback" in caplog.text
        told = []
        functions.add(lambda name, value: told.append(name))
        functions.tell({"a": 1})
        assert "on_change of 'cam' failed" in caplog.text
    assert told == ["a"], "the others are told"


async def coroutine(name, value):
    """Do nothing."""


@pytest.mark.parametrize("wrong", [5, None, coroutine, lambda: None, lambda a, b, c: None, lambda *, name: None])
def test_what_cannot_be_called_so_is_refused(functions, wrong):
    with pytest.raises(
        ArgumentError, match=r"on_set and on_change take a function that takes \(name, value\), or a dict"
    ):
        functions.add(wrong)


def test_what_it_is_given_is_a_dict_of_its_own(functions):
    functions.add(lambda changes: changes.clear())
    changes = {"a": 1}
    assert functions.ask(changes) is None
    assert changes == {"a": 1}


def test_what_differs_is_what_is_another_value_or_new():
    assert differing({"a": 1, "b": 2, "d": 4}, {"a": 1, "b": 3, "c": 4}) == {"b": 3, "c": 4}


def test_what_is_no_number_is_the_same_as_before():
    nan = float("nan")
    assert differing({"a": nan, "b": [1.0, nan]}, {"a": float("nan"), "b": [1.0, float("nan")]}) == {}
    assert differing({"a": nan, "b": [nan]}, {"a": 1.0, "b": [nan, nan]}) == {"a": 1.0, "b": [nan, nan]}
