from __future__ import annotations

import pytest

from ipcpy.bag.form import ORIGINALS_SCHEMA, Origin, Original, read_original
from ipcpy.views import Rest

ORIGIN = Origin(
    topic="robot/imu",
    publisher="00ff00ff00ff00ff",
    codec="struct",
    schema={"messages": [{"id": 23, "name": "Imu", "format": "<3f", "fields": ["x", "y", "z"], "kind": "named"}]},
    body="struct",
    id=23,
    high=1,
    reliable=True,
    keep=3,
    node="imu.py",
    node_id="1122334455667788",
    host="robot7",
    pid=4711,
    domain="lab",
)


def test_what_is_said_of_a_channel_comes_back() -> None:
    assert Origin.of(ORIGIN.metadata()) == ORIGIN
    assert all(isinstance(key, str) and isinstance(text, str) for key, text in ORIGIN.metadata().items())


def test_a_channel_of_others_is_none_of_ours() -> None:
    assert Origin.of({}) is None
    assert Origin.of({"offered_qos_profiles": "", "ipcpy.topic": "x"}) is None


@pytest.mark.parametrize(
    ("key", "text"),
    [("schema", "{"), ("schema", "[]"), ("schema", "[" * 100_000), ("id", "x"), ("high", ""), ("body", "all"),
     ("publisher", "00"), ("publisher", "xy"), ("pid", "1e3")],
)  # fmt: skip
def test_damaged_metadata_are_a_value_error(key: str, text: str) -> None:
    with pytest.raises(ValueError, match="damaged"):
        Origin.of({**ORIGIN.metadata(), f"ipcpy.{key}": text})


def test_missing_metadata_are_a_value_error() -> None:
    told = ORIGIN.metadata()
    del told["ipcpy.schema"]
    with pytest.raises(ValueError, match="damaged"):
        Origin.of(told)


def test_golden_bytes_of_an_original() -> None:
    original = Original(1, 2, Rest(3, 4, b"abcde"))
    assert (original.pack() + b"abcde").hex(" ") == (
        "00 01 00 00 01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00 03 00 00 00 04 00 00 00 05 00 00 00 61 62 63 64 65"
    )
    assert read_original(original.pack() + b"abcde") == original


def test_others_read_an_original_as_cdr() -> None:
    dynamic = pytest.importorskip("mcap_ros2._dynamic", reason="needs mcap-ros2-support")
    decode = dynamic.generate_dynamic(ORIGINALS_SCHEMA.name, ORIGINALS_SCHEMA.text)[ORIGINALS_SCHEMA.name]
    read = decode(Original(2**64 - 1, 2, Rest(3, 4, b"abcde")).pack() + b"abcde")
    assert (read.publisher, read.seq, read.at, read.skip, read.bytes) == (2**64 - 1, 2, 3, 4, b"abcde")


@pytest.mark.parametrize("size", [0, 31, 36, 38])
def test_what_is_no_original_is_a_value_error(size: int) -> None:
    whole = Original(1, 2, Rest(3, 4, b"abcde")).pack() + b"abcde"
    with pytest.raises(ValueError, match="an original"):
        read_original((whole + b"x")[:size])
