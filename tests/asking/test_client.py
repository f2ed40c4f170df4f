"""Client: what callers get back, how long they wait, and what they are told if nobody answers."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import NamedTuple

import pytest

import ipcpy as ipc
from lan_process import wait_until


class Point(NamedTuple):
    x: float
    y: float


class Wide(NamedTuple):
    x: float
    z: float


def test_a_call_is_answered(serve, ask):
    serve(lambda request: {"twice": 2 * request.data["x"]})
    assert ask().call({"x": 21}, timeout=20) == {"twice": 42}


def test_nothing_can_be_asked_and_answered(serve, ask):
    serve(lambda request: request.data)
    assert ask().call(timeout=20) is None


def test_classes_on_the_servers_side_make_named_tuples_on_the_other(serve, ask):
    serve(lambda request: Point(request.data.y, request.x), Point, Point)
    client = ask()
    reply = client.call({"x": 1, "y": 2}, timeout=20)
    assert (reply.x, reply.y) == (2.0, 1.0)
    assert client.call((3, 4), timeout=20) == (4.0, 3.0)
    with pytest.raises(ipc.CodecError, match="unknown"):
        client.call({"x": 1, "z": 2}, timeout=20)


def test_a_class_on_the_clients_side_reaches_a_server_without_one(serve, ask):
    serve(lambda request: request.data.x + request.data.y)
    assert ask(Point).call(Point(1.0, 2.0), timeout=20) == 3.0


def test_a_wrong_type_is_told_field_by_field(serve, ask):
    serve(lambda request: Point(0, 0), Point, Point)
    with pytest.raises(ipc.SchemaError, match="the request of 'test/.*z"):
        ask(Wide).call(Wide(1.0, 2.0), timeout=20)
    with pytest.raises(ipc.SchemaError, match="the reply of 'test/.*z"):
        ask(None, Wide).call((1, 2), timeout=20)


def test_an_exception_reaches_the_caller_with_type_and_text_and_the_server_goes_on(serve, ask):
    def fail(request):
        raise LookupError(f"no {request.data}")

    service = serve(fail)
    client = ask()
    for data in ("one", "two"):
        with pytest.raises(ipc.ServiceError, match=f"LookupError: no {data}$") as caught:
            client.call(data, timeout=20)
        assert (caught.value.type, caught.value.text, caught.value.trace) == ("LookupError", f"no {data}", "")
    with pytest.raises(ipc.ServiceError) as caught:
        ask(trace=True).call("three", timeout=20)
    assert "in fail" in caught.value.trace
    assert service.stats.failed == 3


def test_what_cannot_be_answered_is_an_error_of_the_call(serve, ask):
    serve(lambda request: object())
    with pytest.raises(ipc.ServiceError, match="CodecError"):
        ask().call(timeout=20)


def test_nobody_there_is_told_with_what_is_known(ask, name):
    client = ask()
    with pytest.raises(ipc.NoService, match=f"no server of '{name}' within 0.05 s. No server of .* is known in domain"):
        client.call(timeout=0.05)
    assert isinstance(pytest.raises(OSError, client.call, timeout=0.05).value, ConnectionError)


def test_timeout_0_says_at_once_that_nobody_is_there_and_asks_nothing(serve, ask):
    client = ask()
    with pytest.raises(ipc.NoService):
        client.call(timeout=0)
    took = []
    for _ in range(10):  # the quickest counts, on a busy computer
        began = time.monotonic()
        with pytest.raises(ipc.NoService):  # by now the node has been there for long enough to know
            client.call(timeout=0)
        took.append(time.monotonic() - began)
    assert min(took) < 0.4
    service = serve(lambda request: 1)
    client.wait_for_service(20)
    with pytest.raises(TimeoutError):
        client.call(timeout=0)
    assert service.stats.answered == 0


def test_who_left_is_told(serve, ask):
    service = serve(lambda request: 1)
    client = ask()
    client.wait_for_service(20)
    service.close()
    wait_until(lambda: client.servers == ())
    with pytest.raises(ipc.NoService, match="server 'server' .* left .* it was closed"):
        client.call(timeout=0.3)


def test_a_client_waits_for_a_server_that_comes_later(serve, ask):
    client = ask()
    thread = threading.Timer(0.1, serve, [lambda request: "here"])
    thread.start()
    assert client.call(timeout=20) == "here"
    thread.join()
    assert [server.node.name for server in client.servers] == ["server"]


def test_a_call_that_takes_too_long_is_cancelled_and_the_next_is_answered(serve, ask):
    seen = []

    def slow(request):
        while request.data and not request.cancelled:
            time.sleep(0.001)
        seen.append(request.cancelled)

    service = serve(slow)
    client = ask()
    client.wait_for_service(20)
    with pytest.raises(ipc.RecvTimeout, match=r"no answer from 'test/.*' within 1 s\. Server 'server' .* it is asked"):
        client.call(True, timeout=1)
    assert client.call(False, timeout=20) is None
    assert seen == [True, False]
    assert service.stats.cancelled == 1


def test_threads_share_one_client(serve, ask):
    serve(lambda request: request.data, threads=3)
    client = ask()
    found = []

    def run(number):
        found.extend((number, n) == tuple(client.call((number, n), timeout=20)) for n in range(50))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [True] * 300


def test_coroutines_and_threads_share_one_client(serve, ask):
    serve(lambda request: request.data, threads=2)
    client = ask()

    async def main():
        assert (await client.wait_for_service_async(20)).node.name == "server"
        thread = asyncio.to_thread(lambda: [client.call(n, timeout=20) for n in range(50)])
        tasks = [client.call_async(("c", n), timeout=20) for n in range(50)]
        return await asyncio.gather(thread, *tasks)

    first, *others = asyncio.run(main())
    assert first == list(range(50))
    assert others == [["c", n] for n in range(50)]


def test_a_coroutine_that_is_cancelled_cancels_its_call(serve, ask):
    begun, over = threading.Event(), threading.Event()

    def slow(request):
        begun.set()
        while not request.cancelled:
            time.sleep(0.001)
        over.set()

    serve(slow)
    client = ask()

    async def main():
        task = asyncio.ensure_future(client.call_async(timeout=20))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            await client.call_async(timeout=0.05)

    asyncio.run(main())
    assert over.wait(20)


def test_a_closed_client_ends_those_who_wait(serve, ask):
    begun = threading.Event()

    def slow(request):
        begun.set()
        while not request.cancelled:
            time.sleep(0.001)

    serve(slow)
    client = ask()
    threading.Thread(target=lambda: (begun.wait(20), client.close())).start()
    with pytest.raises(ipc.ClosedError, match="the client of .* is closed"):
        client.call(timeout=20)
    with pytest.raises(ipc.ClosedError):
        client.call(timeout=20)
    client.close()
    assert "closed" in repr(client)
    assert "closed" in client.why()


@pytest.mark.parametrize("size", [0, 40_000, 3_000_000])
def test_large_requests_and_answers_arrive(serve, ask, size):
    serve(lambda request: bytes(request.data[::-1]))
    data = bytes(range(256)) * (size // 256)
    assert ask().call(data, timeout=20) == data[::-1]


@pytest.mark.parametrize("arguments", [{"timeout": "x"}, {"timeout": float("nan")}])
def test_a_wrong_timeout_is_refused(ask, arguments):
    for method in (ask().call, ask().stream):
        with pytest.raises(ipc.ArgumentError, match="timeout"):
            method(None, **arguments)
