"""Each single datagram of a join lost in turn, each moment a pause: what it costs is bounded."""

from __future__ import annotations

import pytest

from linknet import Network, Node

WORST = 0.06  # seconds that one lost datagram may cost: the first pause of a greeting is 50 ms


class Lossy(Network):
    """Loses the datagrams of some numbers, counted from ``begin``."""

    def __init__(self, *lost: int) -> None:
        super().__init__()
        self.lost = frozenset(lost)
        self.carried: int | None = None

    def begin(self) -> None:
        self.carried = 0

    def carry(self, segment, data, source, to) -> None:
        if self.carried is not None:
            self.carried += 1
            if self.carried in self.lost:
                return
        super().carry(segment, data, source, to)


def join(net: Lossy, alone: float) -> tuple[Node, Node]:
    first = net.node(topics=1)
    net.run(alone)
    net.begin()
    return first, net.node(topics=1)


@pytest.mark.parametrize("alone", [0.0, 0.0003, 0.04, 0.06, 1.0, 5.0])
def test_no_single_lost_datagram_of_a_join_costs_much(alone):
    clean = Lossy()
    join(clean, alone)
    clean.run(1, clean.whole)
    for number in range(1, clean.carried + 20):
        net = Lossy(number)
        join(net, alone)
        assert net.run(2, net.whole) < WORST, f"datagram {number}"


@pytest.mark.parametrize("end", [Node.close, Node.kill])
@pytest.mark.parametrize("after", [0.0001, 0.02, 0.8, 2.1, 3.0])
def test_no_single_lost_datagram_of_a_restart_costs_much(end, after):
    """The new process has the address of the old one, and announces its topic a little later than itself."""
    for number in range(40):
        for later in (0.0, 0.0003, 0.001):
            net = Lossy(number)
            host = net.host()
            net.node(topics=1)
            old = net.node(host)
            net.run(0.5)
            net.begin()
            end(old)
            net.run(after)
            new = net.node(host)
            net.run(later)
            new.put(n1="topic")
            assert net.run(2, net.whole) < WORST, f"datagram {number}, topic {later} s later"


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("length", [0.1, 0.6, 1.0, 1.7, 2.5])
def test_after_a_pause_amid_a_join_a_lost_datagram_costs_little(who, length):
    """A process that does not run for a while, as on a busy computer, and a datagram lost besides."""
    for at in range(0, 12, 2):
        for number in range(20):
            net = Lossy(number)
            pair = join(net, 1.0)
            begun = net.now
            net.at(begun + at * 0.0001, pair[who].stop)
            net.at(begun + at * 0.0001 + length, pair[who].resume)
            net.run(length + 2, net.whole)
            assert net.now - begun - length < 0.3, f"paused {at}, datagram {number}"
