from __future__ import annotations

from itertools import count

import pytest

import routers
from ipcpy.bridges.adapter import Identity
from ipcpy.bridges.offers import Offer, pack_offer
from ipcpy.bridges.zenoh import tokens as tokens_module
from ipcpy.bridges.zenoh.access import Access
from ipcpy.bridges.zenoh.keys import Keys
from ipcpy.bridges.zenoh.tokens import Tokens
from sites import wait_until

pytest.importorskip("zenoh", reason="needs eclipse-zenoh: pip install 'ipcpy[zenoh]'")

ME, FAR, X = "aa" * 8, "bb" * 8, "cd" * 8
OFFER = Offer(X, "robot7/imu", "raw", path=(FAR,))
NAME = f"robot7/imu/{FAR}/{X}"


@pytest.fixture
def listening():
    """Who listens on a router's session, what was told, and a session beyond."""
    endpoint = routers.free_endpoint()
    with routers.router(endpoint) as session, routers.client(endpoint) as beyond:
        told: list[tuple] = []
        names = ("offered", "gone", "dropped")
        ears = {name: lambda what, name=name: told.append((name, what)) for name in names}
        access = Access(session, Keys())
        made = Tokens(access, Identity(ME, "me", ("robot7/**",)), "offer", "ask", **ears)
        made.listen()
        yield made, told, beyond
        access.close()


def answer(query) -> None:
    with query:
        query.reply(query.key_expr, pack_offer(OFFER))


def test_an_offer_that_matches_is_asked_about_told_and_gone_with_its_token(listening) -> None:
    made, told, beyond = listening
    ask = beyond.declare_queryable(f"ipcpy/ask/{NAME}", answer)
    token = beyond.liveliness().declare_token(f"ipcpy/offer/{NAME}")
    other = beyond.liveliness().declare_token(f"ipcpy/offer/other/imu/{FAR}/{X}")
    wait_until(lambda: made.look(1e9) or told)
    assert told[0] == ("offered", OFFER)
    token.undeclare()
    wait_until(lambda: ("gone", OFFER.key) in told)
    assert {each[0] for each in told} == {"offered", "gone"}
    other.undeclare()
    ask.undeclare()


def test_nobody_answers_at_first_so_it_is_asked_again(listening) -> None:
    made, told, beyond = listening
    token = beyond.liveliness().declare_token(f"ipcpy/offer/{NAME}")
    wait_until(lambda: len(made) == 1)
    made.look(10.0)
    ask = beyond.declare_queryable(f"ipcpy/ask/{NAME}", answer)
    later = count(100, 100)
    wait_until(lambda: made.look(next(later)) or told)
    assert told[0] == ("offered", OFFER)
    token.undeclare()
    ask.undeclare()


def test_our_own_offers_are_not_told_to_us(listening) -> None:
    made, told, beyond = listening
    own = beyond.liveliness().declare_token(f"ipcpy/offer/robot7/imu/{ME}/{X}")
    odd = beyond.liveliness().declare_token("ipcpy/offer/robot7/imu/zz/1")
    wait_until(lambda: told)
    assert (told, len(made)) == ([("dropped", "key")], 0)
    own.undeclare()
    odd.undeclare()


def test_who_never_says_what_a_token_is_keeps_no_worker_and_is_asked_ever_less_often(listening, monkeypatch) -> None:
    monkeypatch.setattr(tokens_module, "ANSWER", 30.0)
    made, told, beyond = listening
    asked: list[object] = []
    silent = beyond.declare_queryable("ipcpy/ask/robot7/odd/**", asked.append)  # and kept, so it is never answered
    tokens = [beyond.liveliness().declare_token(f"ipcpy/offer/robot7/odd/{FAR}/{n:016x}") for n in range(1, 51)]
    ask = beyond.declare_queryable(f"ipcpy/ask/{NAME}", answer)
    wait_until(lambda: len(made) == 50)
    made.look(10.0)
    wait_until(lambda: len(asked) == 50)
    tokens.append(beyond.liveliness().declare_token(f"ipcpy/offer/{NAME}"))
    wait_until(lambda: len(made) == 51)
    for now in (11.9, 12.0, 15.9, 16.0):
        made.look(now)
    wait_until(lambda: ("offered", OFFER) in told)  # before any of the others can time out
    wait_until(lambda: len(asked) == 150)
    for each in (silent, ask, *tokens):
        each.undeclare()
