"""Errors: one root, each also the built-in that fits, as the picture in the module says."""

from __future__ import annotations

import builtins
import copy
import pickle
import re
import traceback

import pytest

import ipcpy
from ipcpy import errors
from ipcpy.errors import RecvTimeout

TREE = re.findall(r"^(?:│   )?[├└]── (\w+) \((\w+)\)", errors.__doc__, re.M)


@pytest.mark.parametrize(("name", "base"), TREE)
def test_an_error_is_what_the_picture_says(name, base):
    error = getattr(errors, name)
    assert issubclass(error, errors.IpcError)
    assert issubclass(error, getattr(errors, base, None) or getattr(builtins, base))


def test_the_picture_shows_all_errors_and_all_are_public():
    assert {name for name, _ in TREE} | {"IpcError"} == set(errors.__all__) <= set(ipcpy.__all__)


def test_a_schema_error_says_how_the_two_differ():
    error = errors.SchemaError("the types differ", ("gz: float here, double there",))
    assert error.differences == ("gz: float here, double there",) and str(error) == "the types differ"
    assert errors.SchemaError("x").differences == ()


def test_an_error_of_the_system_keeps_its_number():
    error = errors.TransportError(24, "Too many open files")
    assert error.errno == 24 and "Too many open files" in str(error)


# -- the reason in a RecvTimeout


def vain(why):
    error = RecvTimeout("no message")
    error.why = why
    return error


def test_the_reason_is_asked_for_once_and_when_the_text_is_wanted():
    asked = []
    error = vain(lambda: asked.append(1) or "Nobody is there.")
    assert asked == []
    assert [str(error), str(error), f"{error}"] == ["no message. Nobody is there."] * 3
    assert asked == [1] and isinstance(error, TimeoutError)


def test_a_reason_that_cannot_be_found_out_is_left_out():
    assert str(vain(lambda: 1 // 0)) == "no message"
    assert str(RecvTimeout("no message")) == "no message"


@pytest.mark.parametrize("carry", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_one_that_is_copied_or_pickled_keeps_its_text(carry):
    error = carry(vain(lambda: "Nobody is there."))
    assert type(error) is RecvTimeout and str(error) == "no message. Nobody is there."


def test_a_traceback_shows_the_reason():
    error = vain(lambda: "Nobody is there.")
    assert "no message. Nobody is there." in "".join(traceback.format_exception(error))
