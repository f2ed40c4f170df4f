from __future__ import annotations

import click
import pytest

from ipcpy.cli.units import BYTES, DURATION, SILENCE, SPLIT, TIME_OR_NONE, quantity


@pytest.mark.parametrize(
    ("text", "kind", "number"),
    [
        ("1GB", "bytes", 1e9), ("1.5 mb", "bytes", 1.5e6), ("64KiB", "bytes", 65536), ("100", "bytes", 100),
        ("60s", "seconds", 60), ("10min", "seconds", 600), ("0.5s", "seconds", 0.5), ("20ms", "seconds", 0.02),
        ("2h", "seconds", 7200), ("60", "seconds", 60), (".5", "seconds", 0.5),
    ],
)  # fmt: skip
def test_quantities(text: str, kind: str, number: float) -> None:
    assert quantity(text, kind) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1e3", "1 GB x", "nan", "inf", "9" * 400, "٣s", "10m in"])
def test_what_is_none(text: str) -> None:
    assert quantity(text, "bytes") is None
    assert quantity(text, "seconds") is None


def test_a_split_is_a_size_or_a_time() -> None:
    assert SPLIT.convert("1GB", None, None) == (10**9, None)
    assert SPLIT.convert("10min", None, None) == (None, 600.0)
    assert SPLIT.convert("10m", None, None) == (10_000_000, None)
    for text in ("5", "0s", "1 parsec", ""):
        with pytest.raises(click.BadParameter, match="neither a size nor a time with its unit"):
            SPLIT.convert(text, None, None)


def test_a_silence_has_a_topic_and_a_time() -> None:
    assert SILENCE.convert("a/b=0.5s", None, None) == ("a/b", 0.5)
    assert SILENCE.convert("a=b=2", None, None) == ("a=b", 2.0)
    for text in ("imu", "=1s", "imu=", "imu=x", "imu=0s"):
        with pytest.raises(click.BadParameter, match="such as imu=0.5s"):
            SILENCE.convert(text, None, None)


def test_the_others_say_what_they_expect() -> None:
    assert BYTES.convert("1kB", None, None) == 1000
    assert DURATION.convert("1min", None, None) == 60.0
    with pytest.raises(click.BadParameter, match="is no size, such as 500MB or 1GB"):
        BYTES.convert("10min", None, None)
    with pytest.raises(click.BadParameter, match="is no time, such as 0.5s, 60s or 10min"):
        DURATION.convert("1GB", None, None)


def test_nothing_is_no_time_but_where_it_means_at_once() -> None:
    assert TIME_OR_NONE.convert("0s", None, None) == 0.0
    with pytest.raises(click.BadParameter, match="is no time"):
        DURATION.convert("0s", None, None)
    with pytest.raises(click.BadParameter, match="is no size"):
        BYTES.convert("0", None, None)
