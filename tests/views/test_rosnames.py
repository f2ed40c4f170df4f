from __future__ import annotations

import keyword
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.views.rosnames import field_name, type_name, unused

ROS_FIELD = re.compile(r"(?!.*__)(?!.*_$)[a-z][a-z0-9_]*")  # as rosidl has it
ROS_TYPE = re.compile(r"[A-Z][A-Za-z0-9]*")


@given(st.text(max_size=20))
def test_whatever_the_name_ros_takes_what_becomes_of_it(name: str) -> None:
    assert ROS_FIELD.fullmatch(field_name(name))
    assert ROS_TYPE.fullmatch(type_name(name))


@pytest.mark.parametrize("name", ["gx", "temp_2", "a1b", *map(str.lower, keyword.kwlist)])
def test_a_name_that_ros_takes_stays(name: str) -> None:
    assert field_name(name) == name


def test_a_taken_name_gets_the_next_free_number() -> None:
    assert unused("a", set()) == "a"
    assert unused("a", {"a", "a2", "a4"}) == "a3"
