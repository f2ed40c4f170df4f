from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from ipcpy.bridges.rules import Limits
from ipcpy.bridges.thinning import Thinner


def played(thinner: Thinner[int], times: list[float], size: int = 100, end: float = 0.0) -> list[tuple[float, int]]:
    """Put a message at each time, and take what may go on at every millisecond."""
    out = []
    pending = list(enumerate(times))
    for tick in range(math.ceil(1000 * max(end, times[-1])) + 2):
        now = tick / 1000
        while pending and pending[0][1] <= now:
            thinner.put("p", pending.pop(0)[0], size)
        while (taken := thinner.take(now)) is not None:
            out.append((now, taken[1]))
    return out


def test_without_limits_all_go_on_in_order() -> None:
    assert [each for _, each in played(Thinner(), [0.0, 0.0, 0.0, 0.01])] == [0, 1, 2, 3]


def test_a_rate_lets_the_newest_pass_and_counts_the_others() -> None:
    thinner: Thinner[int] = Thinner(Limits(rate=10))
    out = played(thinner, [n / 100 for n in range(1000)])
    assert 99 <= len(out) <= 101
    assert sum(thinner.left_out.values()) + len(out) + len(thinner) == 1000
    assert all(now - each / 100 <= 0.011 for now, each in out), "each was the newest when it went"
    assert set(thinner.left_out) == {("p", "rate")}


def test_the_last_message_before_a_silence_is_not_lost() -> None:
    out = played(Thinner(Limits(rate=1)), [0.0, 0.1, 0.2], end=3.0)
    assert [each for _, each in out] == [0, 2]


def test_a_rate_holds_for_each_publisher() -> None:
    thinner: Thinner[int] = Thinner(Limits(rate=1))
    thinner.put("a", 1, 1)
    thinner.put("b", 2, 1)
    assert thinner.take(0.0) == ("a", 1)
    assert thinner.take(0.0) == ("b", 2)


def test_a_bandwidth_holds_for_all_together() -> None:
    thinner: Thinner[int] = Thinner(Limits(bandwidth=10_000))
    out = played(thinner, [n / 100 for n in range(1000)], size=1000)
    assert 98 <= len(out) <= 103
    assert thinner.left_out["p", "bandwidth"] + len(out) + len(thinner) == 1000


def test_a_message_larger_than_the_bandwidth_crosses_and_is_paid_for_afterwards() -> None:
    out = played(Thinner(Limits(bandwidth=1000)), [0.0, 0.5, 1.0], size=2000, end=5.0)
    assert [each for _, each in out] == [0, 2]
    assert 1.9 <= out[1][0] <= 2.1


def test_squeezed_only_the_newest_of_each_publisher_waits() -> None:
    thinner: Thinner[int] = Thinner()
    for number in range(4):
        thinner.put("a", number, 1)
    thinner.put("b", 9, 1)
    thinner.squeeze("uplink")
    assert (len(thinner), thinner.left_out) == (2, {("a", "uplink"): 3})
    assert [thinner.take(0.0), thinner.take(0.0), thinner.take(0.0)] == [("a", 3), ("b", 9), None]


def test_who_went_waits_no_more() -> None:
    thinner: Thinner[int] = Thinner()
    thinner.put("a", 1, 1)
    assert thinner.head() == "a"
    thinner.forget("a")
    assert (len(thinner), thinner.head(), thinner.left(0.0)) == (0, None, math.inf)


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60), st.sampled_from([0.5, 3, 10, 200]))
def test_whatever_comes_the_rate_holds_and_every_message_is_in_the_books(times: list[float], rate: float) -> None:
    thinner: Thinner[int] = Thinner(Limits(rate=rate))
    out = played(thinner, sorted(times), end=8.0)
    assert sum(thinner.left_out.values()) + len(out) == len(times)
    assert out[-1][1] == len(times) - 1
    for first, third in zip(out, out[2:], strict=False):
        assert third[0] - first[0] >= 1.4 / rate - 0.002
