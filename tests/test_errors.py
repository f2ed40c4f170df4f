"""Errors: one root, each also the built-in that fits, as the picture in the module says."""

from __future__ import annotations

import builtins
import re

import pytest

import ipcpy
from ipcpy import errors

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
