"""bridges.mqtt.names: topics here, names there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.bridges.mqtt.names import Names
from ipcpy.errors import ArgumentError
from ipcpy.protocol.topics import matches

MAP = {"sensors": "home/robot7", "sensors/door/bell": "home/bell", "/fleet/time": "clock"}


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("robot7/imu", "robot7/imu"),
        ("robot7/sensors/door", "home/robot7/door"),
        ("robot7/sensors", "home/robot7"),
        ("robot7/sensors/door/bell", "home/bell"),
        ("robot7/sensorsx/door", "robot7/sensorsx/door"),
        ("fleet/time", "clock"),
        ("robot8/imu", "robot8/imu"),
    ],
)
def test_a_topic_has_a_name_there_which_is_that_topic_here(topic: str, name: str) -> None:
    names = Names("robot7", MAP)
    assert names.there(topic) == name
    assert names.here(name) == topic


def test_without_a_prefix_a_map_is_of_names_as_they_are() -> None:
    names = Names("", {"imu": "home/imu"})
    assert (names.there("imu"), names.here("home/imu"), names.here("imu")) == ("home/imu", "imu", None)


@pytest.mark.parametrize("topic", ["a+b", "c#", "ipcpy/bridges/x", "ipcpy", "$SYS/x"])
def test_what_brokers_cannot_name_has_no_name_there(topic: str) -> None:
    assert Names().there(topic) is None


@pytest.mark.parametrize(
    "name",
    ["robot7/", "robot7//imu", "/imu", "robot7/a b", "robot7/*/x", "robot7/\x01", "robot7/sensors", "fleet/time"]
    + ["robot7/" + "x" * 300, "$SYS/broker/uptime", "", "ipcpy/bridges/x"],
)
def test_what_is_none_of_ours_or_no_topic_is_none_here(name: str) -> None:
    assert Names("robot7", MAP).here(name) is None


def test_bridges_tell_of_themselves_beside_the_topics() -> None:
    names = Names("robot7", root="own")
    assert names.offer("robot7/imu", "0a", "0b") == "own/offers/robot7/imu/@/0a/0b"
    assert names.offer_key("own/offers/robot7/imu/@/0a/0b") == ("0a", "0b")
    assert names.bridge("0a") == "own/bridges/0a"
    assert names.between_bridges("own/bridges/0a") == ["bridges", "0a"]
    assert names.between_bridges(names.begins("0a", "0b")) == ["begins", "0a", "0b"]
    assert names.between_bridges(names.ask("0a", "0b")) == ["asks", "0a", "0b"]
    assert names.between_bridges(names.answer("0c", "0a", "0b")) == ["answers", "0c", "0a", "0b"]
    for name in ("own/offers/@/0a/0b", "own/offers/imu/0a/0b", "robot7/imu", "own/offers"):
        assert names.offer_key(name) is None
    assert names.between_bridges("own") is None
    assert names.between_bridges("robot7/imu") is None
    assert names.offer_filters(["robot7/imu", "*/gps", "cmd/**"]) == [
        "own/offers/+/gps/@/+/+",
        "own/offers/cmd/#",
        "own/offers/robot7/imu/@/+/+",
    ]
    assert names.offer_filters(["**"]) == ["own/offers/#"]


@pytest.mark.parametrize(
    ("patterns", "filters"),
    [
        (["robot7/imu"], ["robot7/imu"]),
        (["robot7/camera/**"], ["robot7/camera/#"]),
        (["robot7/*/imu"], ["home/robot7/imu", "robot7/+/imu"]),
        (["a/**/b"], ["a/#"]),
        (["robot7/**"], ["home/bell/#", "home/robot7/#", "robot7/#"]),
        (["robot7/**", "robot7/imu", "robot7/camera/*"], ["home/bell/#", "home/robot7/#", "robot7/#"]),
        (["robot7/sensors/door"], ["home/robot7/door", "robot7/sensors/door"]),
        (["fleet/time"], ["clock", "fleet/time"]),
        (["**"], ["#"]),
        ([], []),
    ],
)
def test_patterns_become_as_few_filters_as_take_all_of_them(patterns: list[str], filters: list[str]) -> None:
    assert Names("robot7", MAP).filters(patterns) == filters


_segment = st.sampled_from(["a", "b", "c"])
_topics = st.lists(_segment, min_size=1, max_size=4).map("/".join)
_patterns = st.lists(st.sampled_from(["a", "b", "c", "*", "**"]), min_size=1, max_size=4).map("/".join)


def taken(filter: str, name: str) -> bool:
    """Tell what a broker does (MQTT 5, 4.7)."""
    mine, theirs = filter.split("/"), name.split("/")
    for number, segment in enumerate(mine):
        if segment == "#":
            return True
        if number >= len(theirs) or segment not in ("+", theirs[number]):
            return False
    return len(mine) == len(theirs)


@given(_topics, st.lists(_patterns, max_size=3), st.dictionaries(_topics, _topics, max_size=3))
def test_no_topic_that_a_pattern_stands_for_is_missed(topic: str, patterns: list[str], pairs: dict[str, str]) -> None:
    try:
        names = Names("", pairs)
    except ArgumentError:
        return
    name = names.there(topic)
    assert name is not None
    if any(matches(pattern, topic) for pattern in patterns):
        assert any(taken(each, name) for each in names.filters(patterns))
    here = names.here(name)
    assert here is None or names.there(here) == name


@pytest.mark.parametrize(
    ("prefix", "pairs", "problem"),
    [
        ("", {"imu": "$SYS/x"}, r"map: names that begin with \$ are the broker's own"),
        ("ipcpy", {}, "the prefix 'ipcpy' is below 'ipcpy', where bridges tell of themselves: see --root"),
        ("", {"imu": "a/+"}, "map: a name at the broker is a text"),
        ("", {"imu": ""}, "map: a name at the broker is a text"),
        ("", {"a b": "x"}, "a topic is a name"),
        ("", {"imu": "x", "gps": "x"}, "two topics cannot have the same name"),
    ],
)
def test_what_cannot_be_a_name_is_said_at_once(prefix: str, pairs: dict[str, str], problem: str) -> None:
    with pytest.raises(ArgumentError, match=problem):
        Names(prefix, pairs)
