from __future__ import annotations

import pytest

import routers
from ipcpy.bridges.adapter import Identity
from ipcpy.bridges.offers import Offer
from ipcpy.bridges.zenoh.access import open_session
from ipcpy.bridges.zenoh.link import Link
from ipcpy.bridges.zenoh.options import ZenohOptions
from sites import wait_until

pytest.importorskip("zenoh", reason="needs eclipse-zenoh: pip install 'ipcpy[zenoh]'")


class Heard:
    def __init__(self) -> None:
        self.told: list[tuple] = []

    def __getattr__(self, name: str):
        return lambda *arguments: self.told.append((name, *arguments))


def test_a_link_says_to_whom_it_is_and_is_gone_with_the_router() -> None:
    endpoint = routers.free_endpoint()
    offer = Offer("cd" * 8, "imu", "raw", path=("aa" * 8,))
    with routers.router(endpoint) as router:
        session = open_session(ZenohOptions(endpoint))
        link = Link(session, "ipcpy", Identity("aa" * 8, "a", ("**",)), Heard(), lambda key, seq: None)
        assert (link.to(), link.zid) == (endpoint, str(session.zid()))
        link.take_up([offer], [])
        wait_until(lambda: list(router.liveliness().get("ipcpy/offer/**")))
        link.again()
    wait_until(lambda: not link.to())
    link.close()
    link.close()
    assert link.to() == ""
