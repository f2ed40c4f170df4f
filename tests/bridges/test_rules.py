from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.bridges.rules import Limits, Route, Rules


def test_without_rules_everything_crosses_but_what_is_ipcpys_own() -> None:
    rules = Rules()
    assert (rules.beyond("imu"), rules.here("imu")) == ("imu", "imu")
    assert rules.wanted() == ("**",)
    assert rules.beyond("ipcpy/bridge/1") is None
    assert rules.here("ipcpy/blackbox") is None


@pytest.mark.parametrize("hidden", ["@ipcpy/service/arm/move/0123456789abcdef", "@ipcpy/answer/1/2", "@ipcpy"])
def test_hidden_topics_cross_by_no_rule_and_no_prefix(hidden: str) -> None:
    for rules in (
        Rules(),
        Rules(["*/**"]),
        Rules(["/**"]),
        Rules(prefix="robot7"),
        Rules(["/**", "**"], prefix="robot7"),
    ):
        assert rules.beyond(hidden) is None
        assert rules.here(hidden) is None
        assert rules.here(f"robot7/{hidden}") in (None, f"robot7/{hidden}")
    with pytest.raises(ipc.ArgumentError, match="ipcpy's own"):
        Rules(["in:@ipcpy/**"])


def test_a_prefix_is_added_on_the_way_out_and_taken_off_on_the_way_in() -> None:
    rules = Rules(["out:imu", "in:cmd/**"], prefix="robot7")
    assert rules.beyond("imu") == "robot7/imu"
    assert rules.beyond("cmd/go") is None
    assert rules.here("robot7/cmd/go") == "cmd/go"
    assert [rules.here(name) for name in ("robot7/imu", "cmd/go", "robot77/cmd/go", "robot7")] == [None] * 4
    assert rules.wanted() == ("robot7/cmd/**",)


def test_a_slash_in_front_keeps_the_name_whatever_the_prefix() -> None:
    rules = Rules(["/fleet/**", "imu"], prefix="robot7")
    assert rules.beyond("fleet/time") == "fleet/time"
    assert rules.here("fleet/time") == "fleet/time"
    assert rules.wanted() == ("fleet/**", "robot7/imu")


def test_what_is_excluded_crosses_neither_way() -> None:
    rules = Rules(exclude=["camera/**"])
    assert rules.beyond("camera/raw") is None
    assert rules.here("camera/raw") is None


def test_the_first_limit_that_fits_counts() -> None:
    rules = Rules(rate={"imu": 10, "**": 1}, bandwidth={"camera/*": 1000})
    assert rules.limits("imu") == Limits(10, None)
    assert rules.limits("camera/raw") == Limits(1, 1000)


def test_a_name_that_the_prefix_makes_too_long_is_not_exported() -> None:
    assert Rules(prefix="p" * 100).beyond("t" * 200) is None


def test_a_direction_is_told_from_a_name_with_a_colon() -> None:
    assert Route.read("ns:imu") == Route("ns:imu")
    assert Route.read("in:imu") == Route("imu", out=False)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rules(["a b"]),
        lambda: Rules(["out:"]),
        lambda: Rules([7]),  # type: ignore[list-item]
        lambda: Rules(prefix="a/*"),
        lambda: Rules(rate={"imu": 0}),
        lambda: Rules(rate={"imu": True}),
        lambda: Rules(bandwidth={"imu": "x"}),  # type: ignore[dict-item]
        lambda: Rules(exclude=["a#b/#"]),
    ],
)
def test_what_is_wrong_is_refused_at_once(make) -> None:
    with pytest.raises(ipc.ArgumentError):
        make()
