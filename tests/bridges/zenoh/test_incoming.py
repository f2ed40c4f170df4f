from __future__ import annotations

import pytest

import routers
from ipcpy.bridges.adapter import Identity
from ipcpy.bridges.offers import Beginning, Offer, Parcel, pack_head
from ipcpy.bridges.zenoh.access import Access
from ipcpy.bridges.zenoh.incoming import Incoming
from ipcpy.bridges.zenoh.keys import Keys
from sites import wait_until

pytest.importorskip("zenoh", reason="needs eclipse-zenoh: pip install 'ipcpy[zenoh]'")

ME, FAR, X = "aa" * 8, "bb" * 8, "cd" * 8
OFFER = Offer(X, "robot7/imu", "raw", path=(FAR,))
NAME = f"robot7/imu/{FAR}/{X}"


class Heard:
    def __init__(self) -> None:
        self.told: list[tuple] = []

    def __getattr__(self, name: str):
        return lambda *arguments: self.told.append((name, *arguments))


@pytest.fixture
def listening():
    """Who listens on a router's session, and a session beyond."""
    endpoint = routers.free_endpoint()
    with routers.router(endpoint) as session, routers.client(endpoint) as beyond:
        ears, access = Heard(), Access(session, Keys())
        made = Incoming(access, Identity(ME, "me", ("robot7/**",)), ears)
        made.listen()
        yield made, ears, beyond
        access.close()


def answer(query) -> None:
    with query:
        query.reply(query.key_expr, b"", attachment=pack_head(Parcel(4, 0, None)))


def test_what_is_wanted_comes_with_its_beginning_and_a_mark_is_answered(listening) -> None:
    made, ears, beyond = listening
    ask = beyond.declare_queryable(f"ipcpy/ask/{NAME}", answer)
    seen = beyond.declare_subscriber(f"ipcpy/seen/{NAME}")
    wait_until(lambda: list(made._access.session.get(f"ipcpy/ask/{NAME}")))
    made.want(OFFER)
    wait_until(lambda: ears.told)
    assert ears.told == [("begun", OFFER.key, Beginning(4))]
    beyond.put(f"ipcpy/data/{NAME}", b"1", attachment=pack_head(Parcel(4, 9, b"")) + b"\x01")
    beyond.put(f"ipcpy/data/{NAME}", b"2")
    wait_until(lambda: len(ears.told) == 3)
    assert ears.told[1:] == [("arrived", OFFER.key, Parcel(4, 9, b"1")), ("dropped", "malformed")]
    assert int.from_bytes(seen.recv().payload.to_bytes(), "little") == 4
    made.unwant(OFFER.key)
    ask.undeclare()


def test_more_than_a_publisher_can_keep_is_not_taken_as_what_it_keeps(listening, monkeypatch) -> None:
    made, ears, beyond = listening
    monkeypatch.setattr("ipcpy.bridges.zenoh.incoming.KEPT_BYTES", 3_000)

    def flood(query) -> None:
        with query:
            for seq in range(1, 6):
                query.reply(query.key_expr, bytes(1_000), attachment=pack_head(Parcel(seq, 9, b"")))

    ask = beyond.declare_queryable(f"ipcpy/ask/{NAME}", flood)
    wait_until(lambda: list(made._access.session.get(f"ipcpy/ask/{NAME}")))
    made.want(OFFER)
    wait_until(lambda: any(each[0] == "begun" for each in ears.told))
    begun = ears.told[-1][2]
    assert [parcel.seq for parcel in begun.kept] == [1, 2, 3]
    assert ears.told[:-1] == [("dropped", "crowded")] * 2
    ask.undeclare()
