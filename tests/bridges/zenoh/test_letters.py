"""Services over real Zenoh: calls, large answers, and a router that dies."""

from __future__ import annotations

import threading

import pytest

import ipcpy as ipc
import routers
from sites import sites

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
