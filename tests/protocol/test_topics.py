"""Topic names and patterns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.errors import ArgumentError
from ipcpy.protocol.topics import check_pattern, check_topic, is_pattern, matches


@pytest.mark.parametrize("topic", ["imu", "robot/7/imu", "a" * 255, "ü/日本", "a.b-c_d:e"])
def test_names(topic):
    assert check_topic(topic) == check_pattern(topic) == topic
    assert not is_pattern(topic)


@pytest.mark.parametrize("topic", ["*", "**", "robot/*/imu", "robot/**", "**/imu", "a/**/b/*"])
def test_patterns(topic):
    assert check_pattern(topic) == topic
    assert is_pattern(topic)
    with pytest.raises(ArgumentError, match="pattern"):
        check_topic(topic)


@pytest.mark.parametrize(
    "topic",
    ["", "/", "/imu", "imu/", "a//b", "a b", "a\nb", "a*", "a/b*/c", "***", "a" * 256, "ü" * 128, "\ud800", "\0"],
)
def test_neither(topic):
    for check in (check_topic, check_pattern):
        with pytest.raises(ArgumentError, match="a topic is a name"):
            check(topic)


@pytest.mark.parametrize("topic", [None, 5, b"imu", ["imu"]])
def test_no_text(topic):
    with pytest.raises(ArgumentError, match="a topic is a str"):
        check_topic(topic)


segments = st.sampled_from(["a", "b", "*", "**"])


@given(st.lists(segments, min_size=1, max_size=6), st.lists(st.sampled_from("ab"), min_size=1, max_size=6))
def test_matches_is_what_a_regular_expression_says(pattern, names):
    parts = ["(/[^/]+)*" if segment == "**" else "/[^/]+" if segment == "*" else f"/{segment}" for segment in pattern]
    expected = re.fullmatch("".join(parts), "/" + "/".join(names)) is not None
    assert matches("/".join(pattern), "/".join(names)) == expected


def test_no_pattern_takes_long():
    assert not matches("/".join(["**", "a"] * 60), "/".join(["a"] * 120) + "/b")
