"""Long tasks: steps and results, cancelling, refusals, and streams that nobody reads to the end."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import ipcpy as ipc
from lan_process import wait_until


def count(request):
    yield from range(request.data)
    return "there"


def endless(request):
    while not request.cancelled:
        yield 0
        time.sleep(0.001)
    return "stopped"


def test_steps_come_in_order_and_then_the_result(serve, ask):
    serve(count)
    stream = ask().stream(5, timeout=10)
    assert not stream.done
    assert list(stream) == [0, 1, 2, 3, 4]
    assert (stream.result, stream.result, stream.done, stream.cancelled, stream.missed) == (
        "there",
        "there",
        True,
        False,
        0,
    )


def test_a_call_of_a_long_task_waits_for_its_result(serve, ask):
    serve(count)
    assert ask().call(1_000, timeout=10) == "there"


def test_the_result_can_be_asked_for_while_steps_are_unread(serve, ask):
    serve(count)
    stream = ask().stream(3, timeout=10)
    assert stream.result == "there"
    assert list(stream) == [0, 1, 2]


def test_a_function_without_steps_has_a_stream_with_a_result(serve, ask):
    serve(lambda request: request.data)
    stream = ask().stream(7, timeout=10)
    assert (list(stream), stream.result) == ([], 7)


def test_a_task_that_is_cancelled_says_what_it_makes_of_it(serve, ask):
    service = serve(endless)
    stream = ask().stream(timeout=10)
    for number, _ in enumerate(stream):
        if number == 3:
            stream.cancel()
    assert (stream.result, stream.cancelled) == ("stopped", True)
    assert service.stats.cancelled == 1


def test_a_task_that_yields_on_when_it_is_cancelled_is_closed(serve, ask):
    closed = threading.Event()

    def deaf(request):
        try:
            while True:
                yield 0
                time.sleep(0.001)
        finally:
            closed.set()

    serve(deaf)
    stream = ask().stream(timeout=10)
    next(stream)
    stream.cancel()
    for _ in stream:
        pass
    assert (stream.result, stream.cancelled, closed.is_set()) == (None, True, True)


def test_one_open_goal_more_than_the_server_wants_is_refused_with_a_sentence(serve, ask, name):
    service = serve(endless)
    client = ask()
    with client.stream(timeout=10) as first:
        next(first)
        with pytest.raises(ipc.ServiceError, match=f"Refused: '{name}' has 1 open goal, and takes no more"):
            next(client.stream(timeout=10))
    wait_until(lambda: service.stats.open == 0)
    with client.stream(timeout=10) as third:
        assert next(third) == 0


def test_what_the_generator_raises_ends_the_stream(serve, ask):
    def fail(request):
        yield 1
        raise ValueError("stuck")

    serve(fail)
    stream = ask().stream(timeout=10)
    assert next(stream) == 1
    with pytest.raises(ipc.ServiceError, match="ValueError: stuck"):
        next(stream)
    with pytest.raises(ipc.ServiceError):
        stream.result  # noqa: B018


def test_a_stream_that_is_forgotten_is_cancelled(serve, ask):
    service = serve(endless)
    next(ask().stream(timeout=10))
    wait_until(lambda: service.stats.cancelled == 1)


def test_a_step_that_does_not_come_in_time_leaves_the_task_running(serve, ask):
    go = threading.Event()

    def late(request):
        yield 1
        go.wait(20)
        return "late"

    serve(late)
    client = ask()
    client.wait_for_service(20)
    stream = client.stream(timeout=2)  # for the first step too, on a busy computer
    assert next(stream) == 1
    with pytest.raises(TimeoutError):
        next(stream)
    go.set()
    assert stream.result == "late"


def test_coroutines_iterate_too_and_asynchronous_generators_answer(serve, ask):
    async def steps(request):
        for number in range(request.data):
            yield number
            await asyncio.sleep(0)

    serve(steps)

    async def main():
        stream = ask().stream(4, timeout=10)
        return [step async for step in stream], await stream.result_async()

    assert asyncio.run(main()) == ([0, 1, 2, 3], None)


def test_an_asynchronous_generator_that_is_cancelled_gets_cancelled_error(serve, ask):
    seen = threading.Event()

    async def steps(request):
        try:
            while True:
                yield 0
                await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            seen.set()
            raise

    serve(steps)
    stream = ask().stream(timeout=10)
    next(stream)
    stream.cancel()
    for _ in stream:
        pass
    assert (stream.cancelled, seen.wait(20)) == (True, True)


def test_a_stream_that_is_closed_has_no_result(serve, ask):
    serve(endless)
    stream = ask().stream(timeout=10)
    next(stream)
    stream.close()
    with pytest.raises(ipc.ClosedError, match="was closed before it was answered"):
        stream.result  # noqa: B018
