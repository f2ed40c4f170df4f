"""What the log says of announcements that cannot be read: each once, and never many."""

from __future__ import annotations

import logging

import pytest

from ipcpy.node.refusals import A_SECOND, AT_ONCE, MAX_TOLD, Refusals
from still import HandClock


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def refusals(clock):
    return Refusals(clock)


def test_each_complaint_of_a_node_is_logged_once_with_who_and_why(refusals, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            refusals.tell(7, "the node 7", "'v' (version) is missing")
        refusals.tell(7, "the node 7", "'p' (pid) is text, not an integer")
        refusals.tell(8, "the node 8", "'v' (version) is missing")
    assert [record.getMessage() for record in caplog.records] == [
        "the node 7: 'v' (version) is missing",
        "the node 7: 'p' (pid) is text, not an integer",
        "the node 8: 'v' (version) is missing",
    ]


def test_however_much_is_wrong_the_log_stays_readable(refusals, clock, caplog):
    with caplog.at_level(logging.WARNING):
        for number in range(10_000):
            refusals.tell(number, "somebody", "something")
        assert len(caplog.records) == AT_ONCE
        clock.now += 1 / A_SECOND
        for number in range(10_000):
            refusals.tell(number, "somebody", "something")
    assert len(caplog.records) == AT_ONCE + 1


def test_what_is_remembered_is_bounded(refusals, clock):
    for number in range(2 * MAX_TOLD):
        clock.now += 1 / A_SECOND
        refusals.tell(number, "somebody", "something")
    assert len(refusals._told) == MAX_TOLD
