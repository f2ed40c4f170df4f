from __future__ import annotations

import pytest

import routers
import stalling
from ipcpy.bridges.adapter import Unsent
from ipcpy.bridges.offers import Beginning, Offer, Parcel, pack_head, unpack_offer
from ipcpy.bridges.zenoh.access import Access
from ipcpy.bridges.zenoh.keys import Keys
from ipcpy.bridges.zenoh.outgoing import Outgoing
from sites import wait_until

pytest.importorskip("zenoh", reason="needs eclipse-zenoh: pip install 'ipcpy[zenoh]'")

ME, X = "aa" * 8, "cd" * 8
OFFER = Offer(X, "imu", "raw", path=(ME,))


class Heard:
    def __init__(self) -> None:
        self.wants: list[bool] = []

    def wanted(self, key, wanted: bool) -> None:
        self.wants.append(wanted)

    def beginning_of(self, key) -> Beginning:
        return Beginning(4, (Parcel(3, 9, b"kept"),))

    def dropped(self, cause: str) -> None:
        self.cause = cause


@pytest.fixture
def offered():
    """What we offer on a router's session, and a session beyond."""
    endpoint = routers.free_endpoint()
    with routers.router(endpoint) as session, routers.client(endpoint) as beyond:
        ears, seen = Heard(), []
        access = Access(session, Keys())
        made = Outgoing(access, ears, lambda key, seq: seen.append((key, seq)))
        made.offer(OFFER)
        yield made, ears, seen, beyond
        access.close()


def test_an_offer_is_a_token_and_answers_what_it_is_and_how_it_begins(offered) -> None:
    _, _, _, beyond = offered
    tokens = [str(reply.ok.key_expr) for reply in beyond.liveliness().get("ipcpy/offer/**")]
    assert tokens == [f"ipcpy/offer/imu/{ME}/{X}"]
    (reply,) = beyond.get(f"ipcpy/ask/imu/{ME}/{X}")
    assert unpack_offer(reply.ok.payload.to_bytes()) == OFFER
    replies = [reply.ok for reply in beyond.get(f"ipcpy/ask/imu/{ME}/{X}?begin", consolidation=_all())]
    heads = {reply.attachment.to_bytes(): reply.payload.to_bytes() for reply in replies}
    assert heads == {pack_head(Parcel(4, 0, None)): b"", pack_head(Parcel(3, 9, b"")): b"kept"}


def test_it_is_told_whether_somebody_beyond_subscribes(offered) -> None:
    made, ears, _, beyond = offered
    sub = beyond.declare_subscriber(f"ipcpy/data/imu/{ME}/{X}")
    wait_until(lambda: ears.wants[-1:] == [True])
    made.send(OFFER.key, Parcel(1, 2, b"body"), marked=False)
    sample = sub.recv()
    assert (sample.payload.to_bytes(), sample.attachment.to_bytes()) == (b"body", pack_head(Parcel(1, 2, b"")))
    made.send(OFFER.key, Parcel(2, 2, memoryview(b"y" * 100_000)), marked=False)
    assert sub.recv().payload.to_bytes() == b"y" * 100_000
    sub.undeclare()
    wait_until(lambda: ears.wants[-1:] == [False])


def test_a_marked_message_is_told_to_have_been_seen(offered) -> None:
    made, ears, seen, beyond = offered
    sub = beyond.declare_subscriber(f"ipcpy/data/imu/{ME}/{X}")
    wait_until(lambda: ears.wants[-1:] == [True])
    made.send(OFFER.key, Parcel(7, 2, b"body"), marked=True)
    assert len(sub.recv().attachment) == 25
    beyond.put(f"ipcpy/seen/imu/{ME}/{X}", (7).to_bytes(8, "little"))
    wait_until(lambda: seen == [(OFFER.key, 7)])
    beyond.put(f"ipcpy/seen/imu/{ME}/{X}", b"what")
    wait_until(lambda: getattr(ears, "cause", "") == "malformed")


def test_small_messages_wait_together_while_the_way_is_full_of_large_ones() -> None:
    endpoint = routers.free_endpoint()
    camera = Offer("ab" * 8, "camera", "raw", path=(ME,))
    with routers.router(endpoint) as session, stalling.way(int(endpoint.rpartition(":")[2])) as way:
        access, small, large = Access(session, Keys()), [], []
        made = Outgoing(access, Heard(), lambda key, seq: None)
        with routers.client(f"tcp/127.0.0.1:{way.port}") as beyond:
            beyond.declare_subscriber(f"ipcpy/data/imu/{ME}/{X}", small.append)
            beyond.declare_subscriber("ipcpy/data/camera/*/*", large.append)
            for offer in (OFFER, camera):
                made.offer(offer)
                wait_until(lambda offer=offer: made._outs[offer.key].publisher.matching_status.matching)
            way.going.clear()
            for n in range(1, 41):
                made.send(camera.key, Parcel(n, 1, bytes(1 << 20)), marked=False)
            for n in range(1, 101):
                made.send(OFFER.key, Parcel(n, 1, bytes(80)), marked=False)
            way.going.set()
            wait_until(lambda: len(small) == 100)
            assert len(large) < 40  # the way was full
        access.close()


def test_what_is_withdrawn_is_sent_no_more(offered) -> None:
    made, _, _, beyond = offered
    made.withdraw(OFFER.key)
    with pytest.raises(Unsent, match="link"):
        made.send(OFFER.key, Parcel(1, 1, b""), marked=False)
    wait_until(lambda: not list(beyond.liveliness().get("ipcpy/offer/**")))


def _all():
    import zenoh

    return zenoh.ConsolidationMode.NONE
