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


@pytest.mark.parametrize("reliable", [False, True])
@pytest.mark.parametrize("size", [2_000, 5_000, 20_000, 1_000_000])
@pytest.mark.parametrize(("own", "passes"), [(8_972, 1_472), (8_972, 1_000), (1_472, 1_400), (8_972, 8_972)])
def test_where_full_size_datagrams_are_dropped_without_a_word_smaller_ones_are_sent(
    own: int, passes: int, size: int, reliable: bool, caplog: pytest.LogCaptureFixture
) -> None:
    net = Network(Weather(), 1)
    pub, sub = Publisher(net, datagram=own, reliable=reliable), Subscriber(net, 1)
    pub.meet(sub)
    net.run(1.0)
    net.drops = lambda data: len(data) > passes
    for _ in paced(net, 5, 0.5):
        pub.publish(bytes(size))
    net.run(net.now + 3.0)
    assert len(sub.got) == 5 and not +sub.receiver.lost, "none was lost"
    assert len(caplog.records) == (0 if passes == own else 1 if passes == 1_472 or own == 1_472 else 2)
    if passes < own:
        assert f"datagrams of {own} bytes do not reach node (topic) at 10.0.1.1: a switch or tunnel" in caplog.text
    sent = net.sent
    for _ in paced(net, 5, 0.5):
        pub.publish(bytes(size))
    net.run(net.now + 3.0)
    assert len(sub.got) == 10
    fragments = -(-size // (min(passes, 508 if passes < 1_472 else passes) - 44))
    assert net.sent - sent < 5 * (1.2 * fragments + 20), "it is known now"


def test_a_way_that_takes_less_than_it_did_is_found_out_too(caplog: pytest.LogCaptureFixture) -> None:
    net = Network(Weather(), 1)
    pub, sub = Publisher(net, datagram=8_972), Subscriber(net, 1)
    pub.meet(sub)
    net.run(1.0)
    pub.publish(bytes(100_000))
    net.run(net.now + 1.0)
    assert pub.delivery.outlet.max_body == 8_972 - 36, "what is small goes in one datagram"
    net.drops = lambda data: len(data) > 1_472
    for _ in paced(net, 4, 0.5):
        pub.publish(bytes(100_000))
    net.run(net.now + 3.0)
    assert len(sub.got) == 5 and not +sub.receiver.lost
    assert pub.delivery.outlet.max_body == 1_472 - 36 and len(caplog.records) == 1


def test_plain_loss_is_not_taken_for_a_way_that_takes_less(caplog: pytest.LogCaptureFixture) -> None:
    net = Network(Weather(loss=0.3, jitter=0.0005), 1)
    pub, sub = Publisher(net, datagram=8_972), Subscriber(net, 1)
    pub.meet(sub)
    net.run(3.0)
    for number in paced(net, 100, 0.03):
        pub.publish(bytes(20_000 if number % 2 else 60_000))
    net.run(net.now + 3.0)
    assert not caplog.records
    assert len(sub.got) >= 98


@pytest.mark.parametrize("window", [4_096, 20_000])
def test_no_more_is_sent_ahead_than_the_window_of_a_small_peer(window: int) -> None:
    net = Network(Weather(), 1)
    pub, sub = Publisher(net, ip=HERE), Subscriber(net, 1, ip=HERE, window=window, speed=1e7)
    pub.meet(sub)
    net.run(1.0)
    for number in paced(net, 6, 0.5):
        pub.publish(bytes(2_000 if number % 2 else 100_000))
    net.run(net.now + 2.0)
    assert len(sub.got) == 6 and not +sub.receiver.lost
    assert not sub.dropped, "its socket held all that was sent"
