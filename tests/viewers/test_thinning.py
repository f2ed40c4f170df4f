from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.viewers.thinning import Thinning


def test_each_publisher_is_thinned_to_the_rate_and_what_is_left_out_is_counted() -> None:
    thinning = Thinning(10)
    kept = [
        (publisher, now)
        for now in range(0, 1_000_000_000, 10_000_000)  # a second, a message of each every 10 ms
        for publisher in ("a", "b")
        if not thinning.leaves_out(publisher, now)
    ]
    assert [now for publisher, now in kept if publisher == "a"] == list(range(0, 1_000_000_000, 100_000_000))
    assert len(kept) == 20
    assert thinning.thinned == 180


def test_without_a_rate_everything_is_shown() -> None:
    thinning = Thinning(None)
    assert not any(thinning.leaves_out("a", 0) for _ in range(100))
    assert thinning.thinned == 0


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    thinning = Thinning(1)
    assert not thinning.leaves_out("a", 10**18)
    assert not thinning.leaves_out("a", 5)
    assert thinning.leaves_out("a", 6)


def test_who_is_thinned_is_remembered_but_not_for_ever() -> None:
    thinning = Thinning(1)
    for number in range(20_000):
        assert not thinning.leaves_out(str(number), 0)
    assert thinning.leaves_out("19999", 1)
    assert not thinning.leaves_out("0", 1)


@pytest.mark.parametrize("rate", [0, -1, True, "fast", float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: object) -> None:
    with pytest.raises(ipc.ArgumentError, match="a number of messages a second"):
        Thinning(rate)  # type: ignore[arg-type]
