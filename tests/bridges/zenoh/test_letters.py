"""Services over real Zenoh: calls, large answers, and a router that dies."""

from __future__ import annotations

import threading

import pytest

import ipcpy as ipc
import routers
from ipcpy.bridges.adapter import Identity
from ipcpy.bridges.offers import Offer
from ipcpy.bridges.zenoh.access import Access
from ipcpy.bridges.zenoh.keys import Keys
from ipcpy.bridges.zenoh.letters import Letters
from sites import sites, wait_until

pytest.importorskip("zenoh", reason="needs eclipse-zenoh: pip install 'ipcpy[zenoh]'")


def test_calls_cross_a_router_with_large_answers_and_end_when_it_dies() -> None:
    endpoint, over, begun = routers.free_endpoint(), threading.Event(), threading.Event()

    def answer(request: ipc.Request) -> object:
        if request.data == "hang":
            begun.set()
            over.wait(60)
        return request.data if request.data != "large" else bytes(8 << 20)

    with sites() as make:
        a, b = make("a"), make("b")
        with ipc.Service("echo", answer, threads=2, node=a.node("robot")):
            with ipc.Client("robot7/echo", node=b.node("home")) as client:
                with routers.router(endpoint):
                    a.bridge(ipc.ZenohAdapter(connect=endpoint), ipc.Rules(prefix="robot7"))
                    b.bridge(ipc.ZenohAdapter(connect=endpoint))
                    assert [client.call(n, timeout=30) for n in range(20)] == list(range(20))
                    assert client.call("large", timeout=30) == bytes(8 << 20)
                    hung: list[BaseException] = []

                    def hang() -> None:
                        try:
                            client.call("hang", timeout=60)
                        except BaseException as error:
                            hung.append(error)

                    thread = threading.Thread(target=hang, daemon=True)
                    thread.start()
                    assert begun.wait(30)
                thread.join(30)
                over.set()
                assert [type(each) for each in hung] == [ipc.NoService]
                with routers.router(endpoint):
                    assert client.call("back", timeout=60) == "back"


class Heard:
    def __getattr__(self, name: str):
        return lambda *arguments: None


def test_letters_of_a_service_that_has_large_ones_let_messages_pass_and_keep_their_order() -> None:
    endpoint, got = routers.free_endpoint(), []
    offer = Offer("cd" * 8, "echo", "service", path=("bb" * 8,))
    with routers.router(endpoint) as session, routers.client(endpoint) as beyond:
        access = Access(session, Keys())
        letters = Letters(access, Identity("aa" * 8, "me", ()), Heard())
        beyond.declare_subscriber("ipcpy/call/echo/*/*", got.append)
        known = session.declare_publisher(f"ipcpy/call/echo/{'bb' * 8}/{'cd' * 8}")
        wait_until(lambda: known.matching_status.matching)
        for size in (10, 20_000, 11):
            letters.post(offer, "", bytes(size))
        wait_until(lambda: len(got) == 3)
        first, low = access.zenoh.Priority.DATA, access.zenoh.Priority.DATA_LOW
        assert [(len(each.payload), each.priority) for each in got] == [(10, first), (20_000, low), (11, low)]
        letters.close()
        access.close()
