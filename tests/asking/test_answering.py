"""What counts as a function that answers, and in which way."""

from __future__ import annotations

import asyncio
import functools

import pytest

import ipcpy as ipc
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


def failing(error):
    def function(request):
        if request.data == "fail":
            raise error
        return "fine"

    async def coroutine(request):
        return function(request)

    async def asynchronous_steps(request):
        yield function(request)

    return function, coroutine, asynchronous_steps


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError("mine"), MemoryError()])
def test_whatever_is_raised_is_answered_and_the_service_goes_on(serve, ask, error, which):
    service = serve(failing(error)[which])
    client = ask()
    with pytest.raises(ipc.ServiceError) as caught:
        client.call("fail", timeout=20)
    assert caught.value.type == type(error).__name__
    assert caught.value.text == str(error)
    assert list(client.stream(timeout=10)) == (["fine"] if which == 2 else [])
    assert not service.closed


class Nonsense:
    """A codec that makes of all data what it was given, which need be no bytes."""

    name = "nonsense"
    schema: dict[str, object] = {}

    def __init__(self, made):
        self.made = made

    def encode(self, data):
        return self.made

    def decode(self, body):
        return bytes(body)


@pytest.mark.parametrize("made", ["text", None, 7, memoryview(bytes(16))[::2], [b"a", None]])
def test_a_codec_that_makes_no_bytes_fails_the_call_and_not_the_service(serve, ask, made):
    service = serve(lambda request: 1, None, Nonsense(made))
    client, other = ask(None, Nonsense(b"")), ask(Nonsense(made), Nonsense(b""))
    for _ in range(2):
        with pytest.raises(ipc.ServiceError, match="CodecError: the codec 'nonsense' made no bytes of the data, but"):
            client.call(timeout=20)
    assert service.stats.failed == 2
    with pytest.raises(ipc.CodecError, match="made no bytes of the data, but"):
        other.call(timeout=10)


def test_coroutines_that_answer_more_than_a_client_takes_at_once_wait_for_it(serve, ask):
    async def large(request):
        return bytes(8 << 20)

    async def ask_all(client):
        return await asyncio.gather(*(client.call_async(timeout=60) for _ in range(24)))  # 192 MiB

    serve(large)
    assert set(map(len, asyncio.run(ask_all(ask())))) == {8 << 20}
