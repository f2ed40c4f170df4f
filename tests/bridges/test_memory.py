from __future__ import annotations

import pytest

from ipcpy.bridges.adapter import Identity, Unsent
from ipcpy.bridges.memory import Sky
from ipcpy.bridges.offers import Beginning, Offer, Parcel


class Heard:
    def __init__(self) -> None:
        self.told: list[tuple] = []

    def __getattr__(self, name: str):
        return lambda *arguments: self.told.append((name, *arguments))

    def beginning_of(self, key) -> Beginning:
        return Beginning(3)


def test_an_adapter_carries_offers_wants_and_parcels() -> None:
    sky, a, b = Sky(), Heard(), Heard()
    one, other = sky.adapter(), sky.adapter()
    one.open(Identity("aa" * 8, "a", ("**",)), a)
    other.open(Identity("bb" * 8, "b", ("imu",)), b)
    offer = Offer("cd" * 8, "imu", "raw", path=("aa" * 8,))
    one.offer(offer)
    one.offer(Offer("ef" * 8, "camera", "raw", path=("aa" * 8,)))
    assert b.told == [("linked", "the sky"), ("offered", offer)]
    with pytest.raises(Unsent, match="link"):
        one.send(offer.key, Parcel(1, 1, b"1"))
    other.want(offer)
    assert a.told[1:] == [("wanted", offer.key, True)]
    assert b.told[2:] == [("begun", offer.key, Beginning(3))]
    one.send(offer.key, Parcel(1, 1, b"1"))
    assert b.told[3:] == [("arrived", offer.key, Parcel(1, 1, b"1"))]
    other.unwant(offer.key)
    assert a.told[2:] == [("wanted", offer.key, False)]
    one.cut("cut")
    assert a.told[3:] == [("unlinked", "cut")]
    assert ("gone", offer.key) in b.told
