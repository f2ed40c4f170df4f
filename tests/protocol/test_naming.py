"""What a name becomes: namespaces, absolute names, rules; and what a sentence says of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.errors import ArgumentError
from ipcpy.protocol.naming import Naming
from ipcpy.protocol.topics import MAX_BYTES, check_topic


def became(naming, *asked):
    return [naming.pattern(each).topic for each in asked]


def test_without_a_namespace_a_name_is_what_it_is():
    assert became(Naming(), "imu", "/imu", "robot/*/imu", "/**") == ["imu", "imu", "robot/*/imu", "**"]


@pytest.mark.parametrize("namespace", ["robot1", "/robot1", "robot1/", " /robot1/ "])
def test_a_namespace_is_put_before_what_is_not_absolute(namespace):
    naming = Naming(namespace)
    assert naming.namespace == "robot1"
    assert became(naming, "imu", "/imu", "*/imu", "/**") == ["robot1/imu", "imu", "robot1/*/imu", "**"]


@pytest.mark.parametrize("namespace", ["", "/", "  "])
def test_an_empty_namespace_is_none(namespace):
    assert became(Naming(namespace), "imu") == ["imu"]


@pytest.mark.parametrize("namespace", ["a b", "rob*", "**", "//a", "a//b", 5, None, "x" * 256])
def test_a_wrong_namespace_is_refused_with_what_one_is(namespace):
    with pytest.raises(ArgumentError, match="namespace is a name such as 'robot1'"):
        Naming(namespace)


def test_a_rule_gives_another_name():
    naming = Naming("", [("imu", "front/imu"), ("/gps", "/shared/gps")])
    assert became(naming, "imu", "/imu", "gps", "imu2", "a/imu") == [
        "front/imu",
        "front/imu",
        "shared/gps",
        "imu2",
        "a/imu",
    ]


def test_both_sides_of_a_rule_are_under_the_namespace():
    naming = Naming("robot1", [("imu", "front/imu"), ("/map", "map"), ("odom", "/odom")])
    assert became(naming, "imu", "/robot1/imu", "/imu") == ["robot1/front/imu", "robot1/front/imu", "imu"]
    assert became(naming, "/map", "map", "odom") == ["robot1/map", "robot1/map", "odom"]


def test_a_rule_is_applied_once_so_two_names_can_be_exchanged():
    assert became(Naming("", [("left", "right"), ("right", "left")]), "left", "right") == ["right", "left"]


def test_a_rule_for_a_tree_holds_for_all_below_and_for_patterns():
    naming = Naming("r", [("camera/**", "front/**"), ("camera/depth/**", "/depth/**"), ("camera/raw", "raw")])
    assert became(naming, "camera/image", "camera", "camera/*/image") == ["r/front/image", "r/front", "r/front/*/image"]
    assert became(naming, "camera/**", "cameras", "camera/raw") == ["r/front/**", "r/cameras", "r/raw"]
    assert became(naming, "camera/depth/image") == ["depth/image"], "the rule that names most of it"
    assert became(Naming("", [("**", "robot1/**")]), "imu", "**") == ["robot1/imu", "robot1/**"]
    assert became(Naming("", [("robot1/**", "**")]), "robot1/imu", "robot1") == ["imu", "robot1"]


def test_a_pattern_has_a_rule_of_its_own():
    assert became(Naming("", [("*/imu", "front/*")]), "*/imu", "a/imu") == ["front/*", "a/imu"]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ([("a b", "c")], "remap is OLD:=NEW.*got 'a b:=c'"),
        ([("a", "")], "remap is OLD:=NEW"),
        ([("a", "b"), ("/a", "c")], "two rules for one name"),
        ([("a/**", "b/**"), ("a/**", "c/**")], "two rules for one name"),
        ([("a", "b/*")], "makes no pattern of a name"),
        ([("a", "b/**")], "'\\*\\*' at the end of both names or of none"),
        ([("a/**", "b")], "'\\*\\*' at the end of both names or of none"),
    ],
)
def test_a_wrong_rule_is_refused_with_what_is_wrong(rules, says):
    with pytest.raises(ArgumentError, match=says):
        Naming("", rules)


def test_the_same_rule_twice_is_one():
    assert became(Naming("", [("a", "b"), ("/a", "b")]), "a") == ["b"]


def test_a_sentence_names_what_was_asked_for_and_what_it_became():
    naming = Naming("robot1", [("imu", "front/imu")])
    assert naming.topic("gps").told == "'robot1/gps' (asked for as 'gps', in namespace 'robot1')"
    assert naming.topic("imu").told == "'robot1/front/imu' (asked for as 'imu', in namespace 'robot1', remapped)"
    assert naming.topic("/robot1/imu").told == "'robot1/front/imu' (asked for as '/robot1/imu', remapped)"
    assert naming.topic("/gps").told == Naming().topic("gps").told == "'gps'"


def test_no_publisher_gets_a_pattern():
    with pytest.raises(
        ArgumentError, match=r"cannot be a pattern, got 'r/a/\*' \(asked for as 'a/\*', in namespace 'r'\)"
    ):
        Naming("r").topic("a/*")


def test_what_becomes_too_long_is_refused_with_both_names():
    asked = "x" * 250
    with pytest.raises(ArgumentError, match=f"at most {MAX_BYTES} bytes, got 'robot1/{asked}' .asked for as '{asked}'"):
        Naming("robot1").topic(asked)


@pytest.mark.parametrize("asked", ["", "/", "//imu", "imu/", "/a b", 5, None])
def test_what_is_no_name_is_refused(asked):
    with pytest.raises(ArgumentError, match="a topic is a"):
        Naming("robot1").topic(asked)


def test_what_is_ipcpys_own_is_called_what_it_is_called():
    naming = Naming("robot1", [("/**", "/elsewhere/**")])
    assert became(naming, "/ipcpy/blackbox/dump", "ipcpy/x") == ["ipcpy/blackbox/dump", "elsewhere/robot1/ipcpy/x"]


names = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)
asked = st.tuples(st.sampled_from(["", "/"]), names).map("".join)
trees = st.tuples(asked, asked).map(lambda pair: (f"{pair[0]}/**", f"{pair[1]}/**"))
rules = st.lists(st.one_of(st.tuples(asked, asked), trees), max_size=3)


@given(st.one_of(st.just(""), names), rules, asked)
def test_a_name_becomes_a_name_whatever_the_rules(namespace, rules, name):
    try:
        naming = Naming(namespace, rules)
    except ArgumentError as error:
        assert "two rules" in str(error)
        return
    found = naming.topic(name)
    assert check_topic(found.topic) == found.topic
    plain = Naming(namespace).topic(name).topic
    sides = [tuple(Naming(namespace).pattern(side).topic for side in rule) for rule in rules]
    exact = dict(side for side in sides if "*" not in side[0])
    if plain in exact:
        assert found.topic == exact[plain]
    elif not any(plain == old[:-3] or plain.startswith(old[:-2]) for old, _ in sides if "*" in old):
        assert found.topic == plain
