from __future__ import annotations

import pytest

import ipcpy as ipc
import routers
from ipcpy.bridges.zenoh.access import Access, open_session, plain
from ipcpy.bridges.zenoh.keys import Keys
from ipcpy.bridges.zenoh.options import ZenohOptions
from sites import wait_until

zenoh = pytest.importorskip("zenoh", reason="needs eclipse-zenoh: pip install 'ipcpy[zenoh]'")


def test_a_configuration_that_zenoh_does_not_take_is_an_argument_error(tmp_path) -> None:
    wrong = tmp_path / "zenoh.json5"
    wrong.write_text("{mode: 'what'}")
    with pytest.raises(ipc.ArgumentError, match="does not take this configuration"):
        open_session(ZenohOptions("tcp/127.0.0.1:7447", config=wrong), check=True)


def test_a_file_of_zenohs_own_says_the_rest(tmp_path) -> None:
    endpoint, file = routers.free_endpoint(), tmp_path / "zenoh.json5"
    file.write_text(f'{{listen: {{endpoints: ["{endpoint}"]}}, scouting: {{multicast: {{enabled: false}}}}}}')
    session = open_session(ZenohOptions(config=file, mode="router"))
    with routers.client(endpoint) as other:
        wait_until(lambda: other.info.routers_zid() == [session.zid()])
    session.close()


def test_a_router_that_is_not_there_is_an_error_at_once() -> None:
    with pytest.raises(zenoh.ZError):
        open_session(ZenohOptions(routers.free_endpoint()))
    assert plain(zenoh.ZError("no way at /root/x.rs:1.")) == "no way"


def test_a_defect_in_a_handler_or_a_worker_is_logged_and_hurts_nothing(caplog) -> None:
    session = open_session(ZenohOptions(listen=routers.free_endpoint()))
    access, done = Access(session, Keys()), []
    heard = session.declare_subscriber("a", access.direct(lambda sample: 1 / 0))
    session.put("a", b"1")
    access.submit(lambda: 1 / 0)
    access.submit(done.append, 1)
    wait_until(lambda: done == [1] and len(caplog.records) == 2)
    access.undeclare(heard, None, heard)
    access.close()
    access.close()
    access.submit(done.append, 2)
    assert (done, access.closed) == ([1], True)
