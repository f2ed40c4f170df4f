"""What a subscriber says of how far it is with a publisher."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ipcpy.graph import NodeInfo
from ipcpy.subscribing.reasons import how_far
from ipcpy.timeouts import NEVER

KNOWN = {"shared": 0, "left_at": NEVER, "mismatch": (), "matched": False, "address": None}
AT = {"address": ("10.0.0.7", 1)}


def node(state="alive"):
    return NodeInfo("0" * 16, "arm", "h1", 7, "default", "10.0.0.7:17770", "1", state, 4.25)


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        ({}, "it is known, but nothing has come from it to UDP here: is a firewall between?"),
        (AT, "it is known and was answered; its START has not come yet."),
        ({**AT, "matched": True}, "matched."),
        ({**AT, "matched": True, "shared": 3}, "matched. Large messages come through shared memory."),
        ({**AT, "mismatch": ("gz: f here, d there", "no gy")}, "the types differ: gz: f here, d there; no gy."),
        ({**AT, "left_at": 5.0}, "it went a moment ago."),
    ],
)
def test_it_says_how_far_a_match_is(flow, said):
    assert how_far(SimpleNamespace(**{**KNOWN, **flow}), node()) == f"Publisher 'arm' on h1 (10.0.0.7:17770): {said}"


@pytest.mark.parametrize(("matched", "known"), [(True, "matched"), (False, "known")])
def test_one_that_does_not_answer_is_not_said_to_be_simply_matched(matched, known):
    said = how_far(SimpleNamespace(**{**KNOWN, "matched": matched}), node("unresponsive"))
    assert said.endswith(f"{known}, but its process has not answered for 4.2 s (stopped, or cut off).")


def test_a_subscriber_of_a_pattern_says_which_topic_it_speaks_of():
    flow = SimpleNamespace(**{**KNOWN, **AT, "matched": True, "topic": "robot/imu"})
    assert how_far(flow, node(), named=True) == "robot/imu: publisher 'arm' on h1 (10.0.0.7:17770): matched."
