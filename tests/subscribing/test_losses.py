"""What a gap is laid to: on this host the kernel's count of drops decides, on a network it explains as many."""

from __future__ import annotations

import pytest

from ipcpy.subscribing.losses import EXPLAINS, Losses
from receiving import Socket


@pytest.fixture
def socket():
    return Socket()


def test_on_this_host_a_gap_is_the_kernels_if_it_dropped_anything_since_the_publisher_was_met(socket):
    losses = Losses([socket])
    socket.dropped = 3
    assert losses.cause(1, 0.0, local_since=3) == "network"
    socket.dropped = 4
    assert losses.cause(100, 0.0, local_since=3) == "kernel"


def test_across_a_network_each_drop_explains_one_missing_datagram(socket):
    losses = Losses([socket])
    assert losses.cause(1, 0.0, local_since=None) == "network"
    socket.dropped = 2
    assert losses.cause(1, 1.0, local_since=None) == "kernel"
    assert losses.cause(1, 1.0, local_since=None) == "kernel"
    assert losses.cause(1, 1.0, local_since=None) == "network"


def test_a_drop_explains_nothing_after_a_while(socket):
    losses = Losses([socket])
    socket.dropped = 10
    assert losses.cause(1, 0.0, local_since=None) == "kernel"
    assert losses.cause(1, EXPLAINS + 0.1, local_since=None) == "network"
    assert losses.cause(1, EXPLAINS + 0.2, local_since=None) == "network", "what was not explained in time is forgotten"


def test_the_drops_of_all_sockets_count_also_of_those_that_come_later(socket):
    sockets = [socket]
    losses = Losses(sockets)
    later = Socket()
    sockets.append(later)
    later.dropped = 1
    assert losses.drops() == 1
    assert losses.cause(1, 0.0, local_since=None) == "kernel"
