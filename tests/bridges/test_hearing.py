from __future__ import annotations

from ipcpy.bridges.hearing import Hearing
from ipcpy.bridges.offers import Offer


class Traffic:
    def __init__(self) -> None:
        self.told: list[tuple] = []

    def __getattr__(self, name: str):
        return lambda *arguments: self.told.append((name, *arguments))


def test_what_changes_is_done_by_the_one_thread_that_decides_and_parcels_pass_it_by() -> None:
    traffic, calls, states = Traffic(), [], []
    ears = Hearing("test", traffic, calls.append, lambda to, why: states.append((to, why)))
    key, offer = ("ab" * 8, "cd" * 8), Offer("cd" * 8, "imu", "raw")
    ears.linked("there")
    ears.unlinked("it is gone")
    ears.offered(offer)
    ears.gone(key)
    ears.wanted(key, True)
    assert (traffic.told, states) == ([], [])
    for call in calls:
        call()
    assert states == [("there", ""), ("", "it is gone")]
    assert traffic.told == [("offered", offer), ("gone", key), ("want_export", key, True)]
    ears.arrived(key, "parcel")
    ears.begun(key, "beginning")
    assert traffic.told[3:] == [("arrived", key, "parcel"), ("begun", key, "beginning")]


def test_a_parcel_whose_number_is_not_believed_is_dropped_and_counted() -> None:
    traffic = Traffic()
    traffic.arrived = lambda key, parcel: parcel != "lie"
    ears = Hearing("test", traffic, lambda call: None, lambda to, why: None)
    for parcel in ("one", "lie", "two"):
        ears.arrived(("ab" * 8, "cd" * 8), parcel)
    assert ears.counts == {"number": 1}


def test_what_is_none_of_ours_is_told_once_and_counted_always(caplog) -> None:
    ears = Hearing("test", Traffic(), lambda call: None, lambda to, why: None)
    for _ in range(3):
        ears.dropped("key")
    assert ears.counts == {"key": 3}
    assert len(caplog.records) == 1
