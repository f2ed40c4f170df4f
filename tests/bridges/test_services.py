"""Services over bridges: called beyond as if they were local."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

import pytest

import ipcpy as ipc
from ipcpy.bridges.memory import MemoryAdapter, Sky
from sites import sites, wait_until


class Goal(NamedTuple):
    x: float
    y: float


@pytest.fixture
def two():
    with sites() as make:
        sky = Sky()
        a, b = make("a"), make("b")
        a.sky, a.link, b.link = sky, MemoryAdapter(sky), MemoryAdapter(sky)
        a.here, b.here = a.bridge(a.link, ipc.Rules(prefix="robot7")), b.bridge(b.link)
        yield a, b


def test_a_call_beyond_gets_the_reply_its_types_and_errors(two) -> None:
    a, b = two

    def move(request: ipc.Request) -> Goal:
        if request.x < 0:
            raise ValueError("x is not below 0")
        return Goal(request.y, request.x)

    with ipc.Service("arm/move", move, Goal, Goal, node=a.node("arm")):
        client = ipc.Client("robot7/arm/move", node=b.node("asks"))
        with client:
            assert tuple(client.call({"x": 1.0, "y": 2.0}, timeout=20)) == (2.0, 1.0)
            with pytest.raises(ipc.ServiceError, match="x is not below 0") as caught:
                client.call({"x": -1.0, "y": 0.0}, timeout=20)
            assert caught.value.type == "ValueError"
            with ipc.Client("robot7/arm/move", request=ipc.Raw(), node=b.node("other")) as wrong:
                with pytest.raises(ipc.SchemaError):
                    wrong.call(b"", timeout=20)


def test_steps_result_and_cancel_of_a_long_task_cross(two) -> None:
    a, b = two

    def count(request: ipc.Request):
        yield from range(request.data)
        while request.data == 2 and not request.cancelled:
            yield "on"
            threading.Event().wait(0.01)
        return "cancelled" if request.cancelled else "done"

    with ipc.Service("count", count, node=a.node("arm")):
        with ipc.Client("robot7/count", node=b.node("asks")) as client:
            stream = client.stream(3, timeout=20)
            assert (list(stream), stream.result) == ([0, 1, 2], "done")
            stream = client.stream(2, timeout=20)
            assert [next(stream) for _ in range(3)] == [0, 1, "on"]
            stream.cancel()
            assert (stream.result, stream.cancelled) == ("cancelled", True)


def test_a_task_that_steps_for_long_is_not_taken_for_one_that_nobody_waits_for(two, monkeypatch) -> None:
    monkeypatch.setattr("ipcpy.bridges.serving.FORGOTTEN", 4.0)
    monkeypatch.setattr("ipcpy.bridges.standin.ASK_EVERY", 0.25)
    a, b = two

    def count(request: ipc.Request):
        begun = time.monotonic()
        while time.monotonic() - begun < 6.0 and not request.cancelled:
            yield "on"
            threading.Event().wait(0.02)
        return "cancelled" if request.cancelled else "done"

    with ipc.Service("count", count, node=a.node("arm")):
        with ipc.Client("robot7/count", node=b.node("asks")) as client:
            stream = client.stream(timeout=20)
            assert set(stream) == {"on"}
            assert stream.result == "done"


def test_a_timeout_beyond_cancels_the_call_here(two) -> None:
    a, b = two
    begun, cancelled = threading.Event(), threading.Event()

    def wait(request: ipc.Request) -> None:
        begun.set()
        wait_until(lambda: request.cancelled)
        cancelled.set()

    with ipc.Service("wait", wait, node=a.node("arm")):
        with ipc.Client("robot7/wait", node=b.node("asks")) as client:
            client.wait_for_service(20)
            while not begun.is_set():  # a call that is given up on its way is not begun
                with pytest.raises(TimeoutError):
                    client.call(timeout=0.5)
            assert cancelled.wait(20)


@pytest.mark.parametrize("end", ["service", "bridge", "link"])
def test_a_call_ends_when_what_it_needs_is_gone(two, end: str) -> None:
    a, b = two
    begun, over = threading.Event(), threading.Event()

    def hang(_: ipc.Request) -> None:
        begun.set()
        over.wait(30)

    service = ipc.Service("hang", hang, node=a.node("arm"))
    client = ipc.Client("robot7/hang", node=b.node("asks"))
    ends = {"service": service.close, "bridge": a.here.close, "link": lambda: a.link.cut()}
    threading.Thread(target=lambda: (begun.wait(20), ends[end]()), daemon=True).start()
    try:
        with pytest.raises(ipc.NoService):
            client.call(timeout=25)
    finally:
        over.set()
        service.close()
        client.close()


def test_what_nobody_calls_costs_no_letter_and_discovery_says_where_it_is_from(two) -> None:
    a, b = two
    with ipc.Service("quiet", lambda request: request.data, node=a.node("arm")):
        ear = b.node("ear")
        (found,) = wait_until(lambda: ipc.services(0, ear))
        assert found.name == "robot7/quiet"
        assert (found.servers[0].via["node"], found.servers[0].via["bridge"]) == ("arm", "a-bridge")
        assert a.sky.letters == 0


def test_the_books_of_both_bridges_have_the_service_and_its_calls_and_what_was_no_letter(two) -> None:
    a, b = two
    with ipc.Service("add", lambda request: request.data + 1, node=a.node("arm")):
        with ipc.Client("robot7/add", node=b.node("asks")) as client:
            assert [client.call(n, timeout=20) for n in range(3)] == [1, 2, 3]
        (ours,), (theirs,) = a.here.status().services, b.here.status().services
        assert (ours.service, ours.beyond, ours.node, ours.bridge) == ("add", "robot7/add", "arm", "")
        assert (theirs.service, theirs.beyond, theirs.node, theirs.bridge) == ("robot7/add",) * 2 + ("arm", "a-bridge")
        assert (ours.server, ours.calls, theirs.calls) == (theirs.server, 3, 3)
        wait_until(lambda: {each.here.status().services[0].open for each in two} == {0})
        told = b.here.status().summary()
        assert (told["serving"], told["calls"]) == (1, 3)
        for garbage in (b"", b"no letter", bytes(40)):
            a.here._services.letter((a.here.id, ours.server), b.here.id, garbage)
        wait_until(lambda: a.here.status().dropped == {"malformed": 3})


def test_the_same_name_on_both_sides_and_two_bridges_on_a_lan_make_no_loop_and_no_double() -> None:
    with sites() as make:
        sky, done = Sky(), []
        a, b = make("a"), make("b")
        for n in range(2):
            a.bridge(MemoryAdapter(sky), name=f"a{n}")
            b.bridge(MemoryAdapter(sky), name=f"b{n}")
        ear = b.node("ear")
        with ipc.Service("add", lambda request: done.append(request.data), node=a.node("adds")):
            wait_until(lambda: ipc.services(0, ear))
            with ipc.Client("add", node=ear) as client:
                for n in range(20):
                    client.call(n, timeout=20)
            assert done == list(range(20))
            wait_until(lambda: [len(each.servers) for each in ipc.services(0, ear)] == [1])
            assert [len(each.servers) for each in ipc.services(0, a.node("look"))] in ([], [1])


def test_parameters_are_set_across(two) -> None:
    a, b = two
    with ipc.Parameters("camera", gain=1.0, node=a.node("camera")) as parameters:
        there = ipc.Parameters("robot7/camera", node=b.node("operator"))
        with there:
            there.wait_for_parameters(20)
            there.set(gain=2.0)
            assert parameters["gain"] == 2.0
