"""bridges.mqtt.waiting: what came before it was wanted, and for how long."""

from __future__ import annotations

from ipcpy.bridges.mqtt.waiting import AGE, BYTES, KEPT, MESSAGES, Waiting
from ipcpy.bridges.offers import Beginning, Parcel

KEY, OTHER = ("a", "b"), ("a", "c")


def seqs(parcels: list[Parcel]) -> list[int]:
    return [parcel.seq for parcel in parcels]


def test_messages_of_the_last_seconds_are_there_when_somebody_wants_them_and_once() -> None:
    waiting = Waiting()
    for seq, now in ((1, 0.0), (2, 1.0), (3, AGE + 0.5)):
        waiting.put(KEY, Parcel(seq, 0, b"x"), now)
    waiting.put(OTHER, Parcel(9, 0, b"x"), AGE + 0.5)
    beginning, parcels = waiting.take(KEY, AGE + 0.6)
    assert (beginning, seqs(parcels)) == (Beginning(2), [2, 3])
    assert waiting.take(KEY, AGE + 0.6) == (Beginning(), [])
    assert waiting.take(KEY, AGE + 0.6, 7) == (Beginning(7), [])
    assert seqs(waiting.take(OTHER, AGE + 0.6)[1]) == [9]


def test_the_newest_stay_where_there_are_too_many() -> None:
    waiting = Waiting()
    for seq in range(1, MESSAGES + 11):
        waiting.put(KEY, Parcel(seq, 0, b"x"), 0.0)
    assert seqs(waiting.take(KEY, 0.0)[1]) == list(range(11, MESSAGES + 11))
    for seq in range(1, 11):
        waiting.put(KEY, Parcel(seq, 0, bytes(BYTES // 4)), 0.0)
    assert seqs(waiting.take(KEY, 0.0)[1]) == [8, 9, 10]


def test_what_is_retained_stays_however_old_and_comes_first() -> None:
    waiting = Waiting()
    waiting.keep(KEY, Parcel(3, 0, b"old"))
    waiting.keep(KEY, Parcel(4, 0, b"map"))
    for seq in (4, 5):
        waiting.put(KEY, Parcel(seq, 0, b"x"), 1000.0)
    assert waiting.take(KEY, 1000.0) == (Beginning(5, (Parcel(4, 0, b"map"),)), [Parcel(5, 0, b"x")])
    assert waiting.take(KEY, 9999.0)[0].kept == (Parcel(4, 0, b"map"),)
    waiting.forget(KEY)
    assert waiting.take(KEY, 9999.0) == (Beginning(), [])


def test_what_is_retained_is_bounded_in_bytes() -> None:
    waiting = Waiting()
    for number in range(5):
        waiting.keep(("a", str(number)), Parcel(1, 0, bytes(KEPT // 4)))
    kept = [bool(waiting.take(("a", str(number)), 0.0)[0].kept) for number in range(5)]
    assert kept == [False, False, True, True, True]
