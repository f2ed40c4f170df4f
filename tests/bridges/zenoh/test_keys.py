from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.bridges.zenoh.keys import Keys, escape, unescape

KEY = ("ab" * 8, "cd" * 8)


def test_a_key_says_the_topic_before_whose_it_is_so_that_access_rules_can_name_it() -> None:
    assert Keys().of("data", "robot7/imu", KEY) == f"ipcpy/data/robot7/imu/{KEY[0]}/{KEY[1]}"
    assert Keys("red").all_of("offer", "robot7/**") == "red/offer/robot7/**/*/*"


@given(st.lists(st.text(st.characters(exclude_characters="/*", codec="utf-8"), min_size=1), min_size=1).map("/".join))
def test_every_topic_comes_back_and_has_nothing_that_zenoh_gives_a_meaning(topic: str) -> None:
    text = Keys().of("offer", topic, KEY)
    assert not set("?#$@") & set(text)
    assert Keys().read(text) == ("offer", topic, KEY)
    assert unescape(escape(topic)) == topic


@pytest.mark.parametrize(
    "text", ["red/data/imu/a/b", "ipcpy/data", "ipcpy/data/imu/zz/zz", f"ipcpy/what/imu/{KEY[0]}/{KEY[1]}"]
)
def test_what_is_no_key_of_ours_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        Keys().read(text)
