"""Service: threads, coroutines, cancelling, several servers, what it counts, and its end."""

from __future__ import annotations

import asyncio
import functools
import threading
import time

import pytest

import ipcpy as ipc
from lan_process import wait_until


def test_a_slow_call_does_not_hold_up_a_quick_one_of_another_thread(serve, ask):
    go = threading.Event()
    serve(lambda request: go.wait(20) if request.data == "slow" else "quick", threads=2)
    client = ask()
    client.wait_for_service(20)
    slow = threading.Thread(target=client.call, args=("slow", 20))
    slow.start()
    assert [client.call("quick", timeout=20) for _ in range(20)] == ["quick"] * 20
    go.set()
    slow.join(20)
    assert not slow.is_alive()


def test_with_one_thread_calls_are_answered_one_at_a_time(serve, ask):
    running, most = [], []

    def work(request):
        running.append(1)
        most.append(len(running))
        time.sleep(0.002)
        running.pop()

    serve(work)
    clients = [ask() for _ in range(4)]
    threads = [threading.Thread(target=lambda c=c: [c.call(timeout=20) for _ in range(10)]) for c in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(most), max(most)) == (40, 1)


def test_coroutines_answer_side_by_side_in_a_loop_of_the_services_own(serve, ask):
    async def meet(request):
        waiting.append(request.data)
        while len(waiting) < 3:
            await asyncio.sleep(0.001)
        return threading.current_thread().name

    waiting = []
    serve(meet)
    client = ask()

    async def main():
        return await asyncio.gather(*(client.call_async(n, timeout=20) for n in range(3)))

    assert {found.startswith("ipcpy service") for found in asyncio.run(main())} == {True}


def test_in_an_event_loop_coroutines_run_in_that_one(serve, ask):
    async def where(request):
        return id(asyncio.get_running_loop())

    async def main():
        service = serve(where)
        found = await ask().call_async(timeout=10)
        service.close()
        return found == id(asyncio.get_running_loop())

    assert asyncio.run(main())


def test_a_coroutine_whose_client_gave_up_gets_cancelled_error(serve, ask):
    begun, seen = threading.Event(), threading.Event()

    async def slow(request):
        begun.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            seen.set()
            raise

    service = serve(slow)
    client = ask()
    client.wait_for_service(20)
    calls = 0
    while not begun.is_set():  # one that is given up before its coroutine begins is over
        calls += 1
        with pytest.raises(TimeoutError):
            client.call(timeout=0.1 * calls)
    assert seen.wait(20)
    wait_until(lambda: service.stats.open == 0)
    assert 1 <= service.stats.cancelled <= calls


def test_of_two_servers_one_is_asked_and_the_other_once_that_is_gone(serve, ask):
    services = {n: serve(lambda request, n=n: n) for n in range(2)}
    client = ask()
    wait_until(lambda: len(client.servers) == 2)
    (chosen,) = {client.call(timeout=20) for _ in range(10)}
    services[chosen].close()
    wait_until(lambda: len(client.servers) == 1)
    assert {client.call(timeout=20) for _ in range(10)} == {1 - chosen}


def test_many_clients_are_spread_over_the_servers(serve, ask):
    for n in range(2):
        serve(lambda request, n=n: n)
    clients = [ask() for _ in range(2)]
    wait_until(lambda: all(len(client.servers) == 2 for client in clients))
    assert len({client.call(timeout=20) for client in clients}) == 1  # of one node all ask the same


def test_closing_in_the_middle_of_a_call_ends_it_with_a_reason(serve, ask):
    begun, seen = threading.Event(), threading.Event()

    def slow(request):
        begun.set()
        while not request.cancelled:
            time.sleep(0.001)
        seen.set()

    service = serve(slow)
    client = ask()
    threading.Thread(target=lambda: (begun.wait(20), service.close())).start()
    began = time.monotonic()
    with pytest.raises(ipc.NoService, match="the server of 'test/.*', 'server' .* was closed; whether it has done"):
        client.call(timeout=30)
    assert time.monotonic() - began < 10
    assert seen.wait(20)
    assert service.closed
    assert service.wait(0)
    service.close()


def test_a_client_that_leaves_cancels_what_it_asked(serve, ask):
    begun = threading.Event()

    def slow(request):
        begun.set()
        while not request.cancelled:
            time.sleep(0.001)

    service = serve(slow)
    client = ask()
    thread = threading.Thread(target=lambda: pytest.raises(ipc.ClosedError, client.call))
    thread.start()
    assert begun.wait(20)
    client.close()
    thread.join(20)
    wait_until(lambda: service.stats == ipc.ServiceStats(0, 0, 1, 0, 0, {}))
    wait_until(lambda: service.clients == ())


def test_a_function_that_ends_its_thread_ends_the_call_alone(serve, ask):
    def leave(request):
        raise SystemExit(3)

    serve(leave)
    client = ask()
    for _ in range(3):
        with pytest.raises(ipc.ServiceError, match="SystemExit: 3"):
            client.call(timeout=20)


def test_the_request_itself_stands_for_its_data(serve, ask):
    serve(lambda request: request)
    assert ask().call([1, 2], timeout=10) == [1, 2]


def test_a_node_that_is_closed_closes_its_services(name):
    node = ipc.Node("brief")
    service = ipc.Service(name, lambda request: 1, node=node)
    node.close()
    assert service.wait(20)
    with pytest.raises(ipc.ClosedError):
        ipc.Service(name, lambda request: 1, node=node)


def test_a_node_that_is_closed_cancels_what_its_services_are_at(ask, name):
    begun, seen = threading.Event(), threading.Event()

    def slow(request):
        begun.set()
        while not request.cancelled:
            time.sleep(0.001)
        seen.set()

    node = ipc.Node("brief")
    ipc.Service(name, slow, node=node)
    client = ask()
    threading.Thread(target=lambda: (begun.wait(20), node.close())).start()
    with pytest.raises(ipc.NoService):
        client.call(timeout=30)
    assert seen.wait(20)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a b", print), "a topic is a name"),
        (("arm", 7), "function is a function"),
        (("arm", print, int), "the class int"),
    ],
)
def test_wrong_arguments_are_refused(arguments, said):
    with pytest.raises(ipc.ArgumentError, match=said):
        ipc.Service(*arguments)


@pytest.mark.parametrize("more", [{"threads": 0}, {"threads": True}, {"threads": 999}, {"goals": 0}, {"node": 7}])
def test_wrong_numbers_are_refused(more):
    with pytest.raises(ipc.ArgumentError):
        ipc.Service("arm", functools.partial(print), **more)


def test_services_are_listed_and_their_topics_are_not(serve, ask, there, name):
    serve(lambda request: 1)
    ask().call(timeout=10)
    found = {service.name: service for service in ipc.services(node=there)}[name]
    assert [server.node.name for server in found.servers] == ["server"]
    assert [client.node.name for client in found.clients] == ["client"]
    assert (found.request, found.reply, found.steps) == ("any", "msgpack", False)
    assert not [topic for topic in there.topics() if topic.name.startswith("@")]
    assert [topic for topic in there.topics(hidden=True) if topic.name.startswith("@ipcpy/answer/")]
