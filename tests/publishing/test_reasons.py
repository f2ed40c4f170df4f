"""What a publisher says of how far it is with a subscriber."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ipcpy.graph import EndpointInfo, NodeInfo
from ipcpy.protocol.data.matching import State
from ipcpy.publishing.reasons import how_far


def info(state="alive", mismatch=()):
    node = NodeInfo("0" * 16, "arm", "h2", 7, "default", "10.0.0.2:17770", "1", state, 4.25)
    return EndpointInfo("1" * 16, "subscriber", "imu", "any", {}, False, 0, node, mismatch)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (State.PROBING, "it is known, but has not answered to UDP from here: is a firewall between?"),
        (State.STARTING, "it answered; that it is ready has not come yet."),
        (State.MATCHED, "matched."),
        (State.VERIFYING, "matched, and being asked whether it is still there."),
        (State.REFUSED, "it takes nothing, for the types differ."),
    ],
)
def test_it_says_how_far_a_match_is(state, said):
    match = SimpleNamespace(state=state, confirmed=False)
    assert how_far(match, info()) == f"Subscriber 'arm' on h2 (10.0.0.2:17770): {said}"


@pytest.mark.parametrize(
    ("way", "said"), [("shared", "go through shared memory."), ("refused", "no shared memory is to be had with it")]
)
def test_it_says_which_way_large_messages_go_once_matched(way, said):
    assert said in how_far(SimpleNamespace(state=State.MATCHED, confirmed=True), info(), way)
    assert "memory" not in how_far(SimpleNamespace(state=State.STARTING, confirmed=False), info(), way)


def test_how_types_differ_is_what_the_subscriber_said():
    said = how_far(SimpleNamespace(state=State.REFUSED, confirmed=False), info(mismatch=("gz: f here, d there",)))
    assert said.endswith("it takes nothing, for the types differ: gz: f here, d there.")


@pytest.mark.parametrize(("confirmed", "known"), [(True, "matched"), (False, "known")])
def test_one_that_does_not_answer_is_not_said_to_be_simply_matched(confirmed, known):
    said = how_far(SimpleNamespace(state=State.MATCHED, confirmed=confirmed), info("unresponsive"))
    assert said.endswith(f"{known}, but its process has not answered for 4.2 s (stopped, or cut off).")
