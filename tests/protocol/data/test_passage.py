"""How large datagrams may be: what is learnt from those that come and those that never do."""

from __future__ import annotations

import random

import pytest

from ipcpy.protocol.data.passage import LEAST, LOST, PROVEN, ROUNDS, SAFE, Passage

JUMBO = 8_972


def test_what_is_asked_for_in_vain_is_sent_smaller_step_by_step() -> None:
    way = Passage(JUMBO, trusted=False)
    for smaller in (SAFE, LEAST):
        assert [way.missed(way.size, LOST) for _ in range(ROUNDS)] == [False] * (ROUNDS - 1) + [True]
        assert way.size == way.single == smaller
    assert not any(way.missed(way.size, LOST) for _ in range(100)) and way.size == LEAST, "nothing is smaller"


def test_few_fragments_take_more_rounds() -> None:
    way = Passage(JUMBO, trusted=False)
    assert [way.missed(JUMBO, 1) for _ in range(LOST)].index(True) == LOST - 1


def test_datagrams_that_are_not_asked_for_again_are_no_larger_than_on_ethernet_until_such_have_come() -> None:
    way = Passage(JUMBO, trusted=False)
    assert (way.size, way.single) == (JUMBO, SAFE)
    way.arrived(JUMBO)
    assert way.single == JUMBO
    assert Passage(1_400, trusted=False).single == 1_400


def test_a_way_that_took_them_before_is_believed_for_longer_and_then_no_more() -> None:
    way = Passage(JUMBO, trusted=False)
    way.arrived(JUMBO)
    assert [way.missed(way.size, LOST) for _ in range(PROVEN * ROUNDS)] == [False] * (PROVEN * ROUNDS - 1) + [True]
    assert way.size == SAFE


def test_what_is_sent_once_more_in_vain_goes_in_fragments_next() -> None:
    way = Passage(SAFE, trusted=False)
    assert (way.whole(again=False), way.whole(again=True)) == (SAFE, LEAST)
    assert Passage(JUMBO, trusted=False).whole(again=False) == SAFE, "larger ones at once"
    way.size = LEAST
    assert way.whole(again=False) == way.whole(again=True) == LEAST


def test_one_host_is_trusted() -> None:
    way = Passage(65_000, trusted=True)
    assert way.single == 65_000 and not any(way.missed(65_000, 1_000) for _ in range(100))


def test_with_an_overhead_all_sizes_are_those_of_what_is_given_and_the_way_sees_the_same() -> None:
    way = Passage(JUMBO - 52, trusted=False, overhead=52)
    assert (way.single, way.whole(again=False), way.smaller) == (SAFE - 52, SAFE - 52, SAFE - 52)
    for smaller in (SAFE, LEAST):
        assert any(way.missed(way.size, LOST) for _ in range(ROUNDS)) and way.size == way.single == smaller - 52
    way.fit(10)
    assert way.size == LEAST - 52


@pytest.mark.parametrize(("window", "size"), [(4_096, 4_096), (100, LEAST), (1 << 20, 65_000)])
def test_a_datagram_fits_into_the_subscribers_socket(window: int, size: int) -> None:
    way = Passage(65_000, trusted=True)
    way.fit(window)
    assert way.size == way.single == size


def test_plain_loss_makes_nothing_smaller() -> None:
    random_ = random.Random(4)
    for count in (1, 2, 10):
        way = Passage(JUMBO, trusted=False)
        for _ in range(20_000):
            lost = sum(random_.random() < 0.3 for _ in range(count))
            if lost < count:
                way.arrived(JUMBO)
            else:
                assert not way.missed(JUMBO, lost)
        assert way.size == JUMBO


def test_small_ones_that_arrive_do_not_hide_that_large_ones_never_do() -> None:
    way = Passage(JUMBO, trusted=False)
    for _ in range(ROUNDS - 1):
        assert not way.missed(JUMBO, LOST)
        way.arrived(2_000)
    assert way.single == 2_000 and way.missed(JUMBO, LOST)


def test_datagrams_that_the_next_size_would_not_help_prove_nothing() -> None:
    way = Passage(JUMBO, trusted=False)
    assert not any(way.missed(SAFE, LOST) for _ in range(100)) and way.size == JUMBO
