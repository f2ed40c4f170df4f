from __future__ import annotations

import pytest

import routers
from ipcpy.bridges.adapter import Identity
from ipcpy.bridges.offers import Beginning, Offer, Parcel, pack_head, pack_offer
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
        if "begin" in str(query.parameters):
            query.reply(query.key_expr, b"", attachment=pack_head(Parcel(4, 0, None)))
        else:
            query.reply(query.key_expr, pack_offer(OFFER))


def test_an_offer_that_matches_is_asked_about_told_and_gone_with_its_token(listening) -> None:
    made, ears, beyond = listening
    ask = beyond.declare_queryable(f"ipcpy/ask/{NAME}", answer)
    token = beyond.liveliness().declare_token(f"ipcpy/offer/{NAME}")
    other = beyond.liveliness().declare_token(f"ipcpy/offer/other/imu/{FAR}/{X}")
    wait_until(lambda: made.look(1e9) or ears.told)
    assert ears.told[0] == ("offered", OFFER)
    token.undeclare()
    wait_until(lambda: ("gone", OFFER.key) in ears.told)
    assert {each[0] for each in ears.told} == {"offered", "gone"}
    other.undeclare()
    ask.undeclare()


def test_nobody_answers_at_first_so_it_is_asked_again(listening) -> None:
    made, ears, beyond = listening
    token = beyond.liveliness().declare_token(f"ipcpy/offer/{NAME}")
    wait_until(lambda: made._told)
    made.look(10.0)
    ask = beyond.declare_queryable(f"ipcpy/ask/{NAME}", answer)
    wait_until(lambda: made.look(made._asked.get(OFFER.key, 0.0) + 3) or ears.told)
    assert ears.told[0] == ("offered", OFFER)
    token.undeclare()
    ask.undeclare()


def test_our_own_offers_are_not_told_to_us(listening) -> None:
    made, ears, beyond = listening
    own = beyond.liveliness().declare_token(f"ipcpy/offer/robot7/imu/{ME}/{X}")
    odd = beyond.liveliness().declare_token("ipcpy/offer/robot7/imu/zz/1")
    wait_until(lambda: ears.told)
    assert (ears.told, made._told) == ([("dropped", "key")], {})
    own.undeclare()
    odd.undeclare()


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
