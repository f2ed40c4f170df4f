from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.bridges.imports import Import, via_of
from ipcpy.bridges.offers import Beginning, Offer, Parcel
from sites import drain, wait_until

X = "ab" * 8
OFFER = Offer(X, "robot7/imu", "raw", node="driver", host="h7", name="b7", path=("cd" * 8,))


def parcels(*numbers: int) -> list[Parcel]:
    return [Parcel(n, n, bytes([n])) for n in numbers]


@pytest.fixture
def take():
    """What makes an import and a subscriber that listens to it."""
    made = []
    with ipc.Node("bridge", interfaces="lo") as here, ipc.Node("ear", interfaces="lo") as there:

        def make(**more):
            offer = Offer(**{name: getattr(OFFER, name) for name in OFFER.__dataclass_fields__} | more)
            held = Import(offer, "imu", "test", here)
            made.append(held)
            sub = ipc.Subscriber("imu", node=there)
            there.wait_complete(2)
            held.ask()
            return held, sub

        yield make
        for each in made:
            each.close()


def test_where_a_relay_has_its_messages_from_is_told_with_it() -> None:
    told = {"bridge": "b7", "engine": "zenoh", "node": "driver", "host": "h7", "path": ["cd" * 8]}
    assert via_of(OFFER, "zenoh") == told


def test_what_comes_while_it_is_asked_waits_and_what_is_kept_goes_first(take) -> None:
    held, sub = take(keep=3)
    for each in parcels(4, 5):
        held.arrive(each)
    held.begin(Beginning(5, tuple(parcels(2, 3, 4))))
    for each in parcels(6):
        held.arrive(each)
    assert [message.seq for message in drain(sub, 5)] == [2, 3, 4, 5, 6]
    assert held.stats().missing == {}


def test_a_number_that_nobody_can_have_come_to_is_not_believed_and_those_after_it_arrive(take) -> None:
    held, sub = take()
    held.begin(Beginning(1))
    believed = [held.arrive(each) for each in (*parcels(1), Parcel((1 << 63) - 2, 1, b"lie"), *parcels(2, 3))]
    assert believed == [True, False, True, True]
    assert [message.seq for message in drain(sub, 3)] == [1, 2, 3]
    assert (held.stats().received, held.stats().doubles, held.stats().missing) == (3, 0, {})


def test_doubles_are_counted_and_not_published(take) -> None:
    held, sub = take()
    held.begin(Beginning(1))
    for each in parcels(1, 2, 2, 1, 3):
        held.arrive(each)
    assert [message.seq for message in drain(sub, 3)] == [1, 2, 3]
    assert (held.stats().doubles, held.stats().received, sub.stats.duplicates) == (2, 3, 0)


def test_a_gap_is_laid_to_who_left_it_out_and_the_rest_to_the_engine(take) -> None:
    held, sub = take()
    held.begin(Beginning(1))
    held.arrive(Parcel(1, 1, b"1"))
    held.arrive(Parcel(9, 9, b"9", 5))
    assert held.stats().missing == {"left out": 5, "engine": 2}
    assert [message.seq for message in drain(sub, 2)] == [1, 9]
    assert sub.stats.lost == {"network": 7}


def test_nobody_answers_so_it_begins_with_what_comes_first(take) -> None:
    held, sub = take()
    held.begin(Beginning())
    held.arrive(Parcel(500, 1, b"1"))
    assert [message.seq for message in drain(sub, 1)] == [500]
    assert sub.stats.lost == {}


def test_after_an_outage_it_goes_on_and_the_gap_is_laid_to_the_link(take) -> None:
    held, sub = take()
    held.begin(Beginning(1))
    held.arrive(Parcel(1, 1, b"1"))
    assert sub.recv(20).seq == 1
    held.suspend()
    assert not held.stats().there
    held.resume(OFFER, "imu")
    sub.wait_for_publishers(0, timeout=20)
    held.ask()
    held.begin(Beginning(8))
    held.arrive(Parcel(8, 1, b"8"))
    assert sub.recv(20).seq == 8
    assert held.stats().missing == {"link": 6}
    assert sub.stats.lost == {"network": 6}


@pytest.mark.parametrize(("told", "later"), [(9, []), (0, [Parcel(9, 0, None)])])
def test_what_an_engine_sends_once_more_does_not_make_the_outage_the_engines(take, told, later) -> None:
    held, sub = take()
    held.begin(Beginning(1))
    for each in parcels(1, 2):
        held.arrive(each)
    held.suspend()
    held.resume(held.offer, "imu")
    held.ask()
    for each in parcels(3, 4):  # they had not been confirmed
        held.arrive(each)
    held.begin(Beginning(told))
    for each in (*later, *parcels(9, 10, 12)):
        held.arrive(each)
    assert held.stats().missing == {"link": 4, "engine": 1}


def test_large_and_reliable_messages_wait_in_a_queue_of_their_own(take) -> None:
    held, sub = take(reliable=True)
    held.begin(Beginning(1))
    for n in range(1, 301):
        held.arrive(Parcel(n, n, b"x" * 1000))
    assert [sub.recv(20).seq for _ in range(300)] == list(range(1, 301))


def test_what_is_too_large_for_subscribers_is_told_and_the_next_arrives(take, caplog) -> None:
    held, sub = take()
    held.begin(Beginning(1))
    held.arrive(Parcel(1, 1, bytes((64 << 20) + 1)))
    wait_until(lambda: "not published" in caplog.text, timeout=20)
    held.arrive(Parcel(2, 1, b"2"))
    assert sub.recv(20).seq == 2
