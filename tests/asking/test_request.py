"""Request: its data, what is short for them, and whether it is cancelled."""

from __future__ import annotations

import copy
from typing import NamedTuple

import pytest

from ipcpy.asking.duties import Job
from ipcpy.asking.request import Request


class Goal(NamedTuple):
    x: float
    data: str


def request(data):
    job = Job("a", 1, 0, b"")
    return Request(data, "arm", None, job), job


def test_items_and_fields_of_the_data_can_be_asked_for_directly():
    assert request({"x": 1})[0]["x"] == 1
    made, _ = request(Goal(1.5, "mine"))
    assert (made.x, made.data, made.data.data) == (1.5, Goal(1.5, "mine"), "mine")
    with pytest.raises(AttributeError, match=r"neither the request nor its data, Goal.* has 'z'"):
        made.z  # noqa: B018
    assert copy.copy(made).x == 1.5


def test_it_sees_that_it_is_cancelled():
    made, job = request(7)
    assert (made.cancelled, repr(made)) == (False, "<ipcpy.Request to 'arm': 7>")
    job.cancelled = True
    assert (made.cancelled, repr(made)) == (True, "<ipcpy.Request to 'arm' cancelled: 7>")
