"""Topic names and patterns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.errors import ArgumentError
from ipcpy.protocol.topics import check_asked, check_pattern, check_topic, is_pattern, matches, told_pattern, told_topic


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


def test_what_is_asked_for_is_absolute_behind_a_slash():
    assert check_asked("imu") == (False, "imu")
    assert check_asked("/cafe\u0301/*") == (True, "caf\u00e9/*")
    for wrong in ("/", "//imu", "/imu/", "/#", "", None):
        with pytest.raises(ArgumentError):
            check_asked(wrong)


segments = st.sampled_from(["a", "b", "*", "**"])


@given(st.lists(segments, min_size=1, max_size=6), st.lists(st.sampled_from("ab"), min_size=1, max_size=6))
def test_matches_is_what_a_regular_expression_says(pattern, names):
    parts = ["(/[^/]+)*" if segment == "**" else "/[^/]+" if segment == "*" else f"/{segment}" for segment in pattern]
    expected = re.fullmatch("".join(parts), "/" + "/".join(names)) is not None
    assert matches("/".join(pattern), "/".join(names)) == expected


def test_no_pattern_takes_long():
    assert not matches("/".join(["**", "a"] * 60), "/".join(["a"] * 120) + "/b")


COMPOSED, APART = "caf\u00e9/\u00fc", "cafe\u0301/u\u0308"


@pytest.mark.parametrize("check", [check_topic, check_pattern, told_topic, told_pattern])
def test_two_ways_to_write_a_letter_are_one_name(check):
    assert check(COMPOSED) == check(APART) == COMPOSED


def test_a_pattern_is_brought_to_the_form_of_names():
    assert matches(check_pattern("*/u\u0308/**"), check_topic(COMPOSED))


def test_a_name_is_measured_in_the_form_it_travels_in():
    assert check_topic("e\u0301" * 127) == "\u00e9" * 127  # 381 bytes as typed, 254 as sent
    with pytest.raises(ArgumentError, match="longer than 255 bytes"):
        check_topic("\u0958" * 80)  # one of the few that take more room in NFC: 240 bytes as typed, 480 as sent


@given(st.text(st.characters(categories=["L", "M", "N"]), min_size=1, max_size=20))
def test_a_name_that_was_accepted_is_accepted_as_it_is(topic):
    try:
        name = check_topic(topic)
    except ArgumentError:
        return
    assert check_topic(name) == told_pattern(name) == name


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        ("robot/#", r"'#' is MQTT's: use \*\* here"),
        ("#", r"use \*\* here"),
        ("robot/+/imu", r"'\+' is .*: use \* here"),
    ],
)
def test_patterns_of_mqtt_are_refused_with_what_to_write_instead(topic, said):
    for check in (check_pattern, check_topic):
        with pytest.raises(ArgumentError, match=said):
            check(topic)
    assert told_topic(topic) == told_pattern(topic) == topic  # a peer of an older version may have it as a name


@pytest.mark.parametrize("topic", ["c++", "#1", "motor#2/+5V"])
def test_names_may_have_their_characters(topic):
    assert check_topic(topic) == topic
