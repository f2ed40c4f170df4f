"""What counts as a function that answers, and in which way."""

from __future__ import annotations

import functools

import pytest

from ipcpy.asking.answering import kind_of_function
from ipcpy.errors import ArgumentError


def plain(request):
    return request


def steps(request):
    yield request


async def coroutine(request):
    return request


async def asynchronous_steps(request):
    yield request


class Callable:
    def __call__(self, request):
        yield request

    async def method(self, request):
        return request


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (plain, (False, False)),
        (steps, (False, True)),
        (coroutine, (True, False)),
        (asynchronous_steps, (True, True)),
        (functools.partial(steps), (False, True)),
        (functools.partial(coroutine), (True, False)),
        (Callable(), (False, True)),
        (Callable().method, (True, False)),
        (print, (False, False)),
    ],
)
def test_how_a_function_answers_is_seen(function, kind):
    assert kind_of_function(function) == kind


@pytest.mark.parametrize("function", [None, 7, "plain"])
def test_what_is_no_function_is_refused(function):
    with pytest.raises(ArgumentError, match="takes a Request and returns the reply"):
        kind_of_function(function)
