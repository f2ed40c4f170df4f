"""The threads of a service: one reads always, quick calls cost no hand-over, and clients take turns."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from types import SimpleNamespace

import ipcpy as ipc
from ipcpy.asking import crew
from ipcpy.asking.duties import Job
from ipcpy.subscribing.asides import Inlet
from lan_process import wait_until


def test_quick_calls_are_done_by_the_thread_that_reads(serve, ask):
    serve(lambda request: threading.get_ident(), threads=4)
    client = ask()
    found = [client.call(timeout=20) for _ in range(200)]
    changes = sum(before != after for before, after in zip(found, found[1:], strict=False))
    assert changes < 100  # a slow machine may have the reading change now and then


def test_a_slow_call_amid_quick_ones_does_not_keep_the_other_threads_from_answering(serve, ask):
    go = threading.Event()

    def work(request):
        return go.wait(20) if request.data == "slow" else None

    serve(work, threads=2)
    client, other = ask(), ask()
    other.wait_for_service(20)
    for _ in range(5):
        for _ in range(50):
            client.call("quick", timeout=20)
        slow = threading.Thread(target=client.call, args=("slow", 30))
        slow.start()
        wait_until(lambda: client.stats.open == 1)
        other.call("quick", timeout=10)  # answered by the other thread, while the first one works
        go.set()
        slow.join(20)
        assert not slow.is_alive()
        go.clear()


def test_the_io_thread_is_woken_once_for_many_quick_calls(monkeypatch):
    alarms, jobs = [], iter(range(100))

    class Alarm:
        def __init__(self, loop, function):
            self.fire = function

        def by(self, when):
            alarms.append(self)

    monkeypatch.setattr(crew, "Alarm", Alarm)
    closed = threading.Event()

    def recv(_):
        number = next(jobs, 100)
        if number == 100:
            closed.set()
            raise ipc.ClosedError("done")
        return number

    server = SimpleNamespace(
        terms=SimpleNamespace(name="quick"),
        closed=closed,
        close=closed.set,
        requests=SimpleNamespace(recv=recv),
        inlet=Inlet(deque(), lambda *_: None),
        asked=SimpleNamespace(found=deque(), thread=0),
        take=lambda number: Job("a client", number, 0, b""),
    )
    done = []
    crew.Crew(server, done.append, 1, None).begin()
    assert closed.wait(30)
    wait_until(lambda: len(done) == 100)
    assert len(alarms) == 1
    alarms[0].fire()  # many were begun: it looks again, of itself
    assert len(alarms) == 2
    alarms[1].fire()  # none was: from now on it is to be woken
    assert len(alarms) == 2


def test_what_is_cancelled_is_heard_while_all_threads_work(serve, ask):
    begun, seen = threading.Semaphore(0), threading.Semaphore(0)

    def slow(request):
        begun.release()
        while not request.cancelled:
            time.sleep(0.001)
        seen.release()

    serve(slow, threads=2)
    client = ask()
    client.wait_for_service(20)

    async def main():
        calls = [asyncio.create_task(client.call_async(timeout=30)) for _ in range(2)]
        for _ in calls:
            assert await asyncio.to_thread(begun.acquire, timeout=20)
        for call in calls:
            call.cancel()
        for _ in calls:
            assert await asyncio.to_thread(seen.acquire, timeout=20)
        await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(main())


def test_a_call_that_was_cancelled_while_it_waited_is_not_begun(serve, ask):
    go, done = threading.Event(), []

    def slow(request):
        done.append(request.data)
        go.wait(20)

    service = serve(slow)
    client, impatient = ask(), ask()
    thread = threading.Thread(target=client.call, args=("first", 20))
    thread.start()
    wait_until(lambda: done == ["first"])
    impatient.wait_for_service(20)
    for data in ("never", "perhaps"):
        try:
            impatient.call(data, timeout=1)
        except TimeoutError:
            pass
    wait_until(lambda: service.stats.cancelled == 2)  # though the only thread is not free yet: they are not kept
    assert service.stats.open == 1
    go.set()
    thread.join(20)
    wait_until(lambda: service.stats.open == 0)
    assert "never" not in done


def test_clients_take_turns_however_much_one_of_them_asks(serve, ask):
    order, go = [], threading.Event()

    def work(request):
        go.wait(20)
        order.append(request.data)

    service = serve(work)
    greedy, modest = ask(), ask()
    threads = [threading.Thread(target=greedy.call, args=("greedy", 30)) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: service.stats.open == 8)
    last = threading.Thread(target=modest.call, args=("modest", 30))
    last.start()
    wait_until(lambda: service.stats.open == 9)
    go.set()
    for thread in [*threads, last]:
        thread.join(30)
    assert order.index("modest") <= 3


def test_its_threads_end_with_it(serve, name):
    service = serve(lambda request: 1, threads=3)
    mine = f"ipcpy service {name}"
    assert [thread.name for thread in threading.enumerate()].count(mine) == 4
    service.close()
    wait_until(lambda: mine not in [thread.name for thread in threading.enumerate()])


def test_a_service_that_nobody_holds_answers_on(here, ask, name):
    ipc.Service(name, lambda request: "still here", node=here)
    import gc

    gc.collect()
    assert ask().call(timeout=10) == "still here"


def test_what_waits_of_a_client_that_left_is_not_kept(serve, ask):
    go, done = threading.Event(), []

    def slow(request):
        done.append(request.data)
        go.wait(20)

    service = serve(slow)
    client, gone = ask(), ask()
    thread = threading.Thread(target=client.call, args=("first", 20))
    thread.start()
    wait_until(lambda: done == ["first"])
    gone.wait_for_service(20)
    stream = gone.stream("never", timeout=1)
    try:
        next(stream)
    except TimeoutError:
        pass
    wait_until(lambda: service.stats.open == 2)
    gone.close()
    wait_until(lambda: service.stats.cancelled == 1)
    go.set()
    thread.join(20)
    assert done == ["first"]
