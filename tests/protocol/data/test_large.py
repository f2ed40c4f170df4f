"""Large best-effort messages back to back (tests/support/datanet.py): what a socket or a network drops is repaired."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from datanet import SOURCE, Network, Publisher, Subscriber, Weather, paced
from ipcpy.addresses import LOOPBACK
from ipcpy.protocol.wire import FRAGMENT_HEADER, Kind

WINDOW = 8 << 20
HERE, AFAR = LOOPBACK, "10.0.0.1"


def first_of_each(index: int, times: int = 1) -> Callable[[bytes], bool]:
    """Return what drops one fragment of each message as often as told."""
    dropped: dict[int, int] = {}

    def drops(data: bytes) -> bool:
        if data[3] != Kind.FRAGMENT:
            return False
        _, extra, _, seq, _, total, offset = FRAGMENT_HEADER.unpack_from(data)
        size = extra >> 16
        if offset // size != (index if index >= 0 else -(-total // size) - 1) or dropped.get(seq, 0) >= times:
            return False
        dropped[seq] = dropped.get(seq, 0) + 1
        return True

    return drops


@pytest.mark.parametrize("pause", [0.0, 0.03, 0.5])
@pytest.mark.parametrize("index", [0, 1, -1])
@pytest.mark.parametrize("ip", [HERE, AFAR])
def test_a_fragment_that_is_dropped_once_costs_no_message(ip: str, index: int, pause: float) -> None:
    net = Network(Weather(), 1)
    pub, sub = Publisher(net, ip=ip), Subscriber(net, 1, ip=ip, window=WINDOW)
    pub.meet(sub)
    net.run(1.0)
    net.drops = first_of_each(index)
    for _ in paced(net, 6, pause):
        pub.publish(bytes(200_000))
    net.run(net.now + 0.3)
    assert len(sub.got) == 6 and not +sub.receiver.lost
    net.run(net.now + 10)
    assert net.quiet and not pub.backlog(sub)


@pytest.mark.parametrize("window", [212_992, WINDOW])
@pytest.mark.parametrize("count", [4, 8])
def test_publishers_that_fill_one_socket_together_lose_nothing(window: int, count: int) -> None:
    net = Network(Weather(), 1)
    sub = Subscriber(net, 1, ip=HERE, window=window, speed=1e9)
    pubs = [Publisher(net, ip=HERE, number=SOURCE + number) for number in range(count)]
    for pub in pubs:
        pub.meet(sub)
    net.run(1.0)
    for _ in range(3):
        for pub in pubs:
            pub.publish(bytes(2_500_000))
        net.run(net.now + 0.2)
    net.run(net.now + 1.0)
    assert len(sub.got) == 3 * count, [dict(+flow.receiver.lost) for flow in sub.flows.values()]
    assert not any(+flow.receiver.lost for flow in sub.flows.values())
    if window == WINDOW:
        assert sub.dropped, "else nothing was tried here"
    assert not any(pub.backlog(sub) for pub in pubs)


@pytest.mark.parametrize("ip", [HERE, AFAR])
def test_a_subscriber_that_does_not_run_for_a_while_gets_every_image(ip: str) -> None:
    net = Network(Weather(), 1)
    pub, sub = Publisher(net, ip=ip), Subscriber(net, 1, ip=ip, window=425_984, speed=500e6)
    pub.meet(sub)
    net.run(1.0)
    sub.held_until = net.now + 0.4
    for _ in paced(net, 30, 1 / 30):
        pub.publish(bytes(921_600))
    net.run(net.now + 1.0)
    assert len(sub.got) == 30 and not +sub.receiver.lost
