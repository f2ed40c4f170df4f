"""Small messages of a reliable topic in a row: what arrives is what arrives of those that are looked at one by one."""

from __future__ import annotations

import threading

import pytest

import ipcpy as ipc
from ipcpy.publishing import quick
from ipcpy.testing import MemoryNetwork


def test_messages_in_a_row_arrive_in_order_with_large_ones_among_them():
    with ipc.Publisher("quick", reliable=True) as pub, ipc.Subscriber("quick", depth=100_000) as sub:
        pub.wait_for_subscribers(timeout=20)
        data = [bytes(70_000) if n % 97 == 50 else n for n in range(3_000)]
        thread = threading.Thread(target=lambda: [pub.publish(each) for each in data])
        thread.start()
        assert [sub.recv(timeout=20).data for _ in data] == data
        thread.join(20)
        assert (pub.stats.published, sub.stats.lost) == (3_000, {})


@pytest.mark.parametrize("loss", [0.1, 0.3])
def test_what_is_lost_of_a_row_is_sent_again(loss):
    with MemoryNetwork(loss=loss, seed=3) as net:
        sub = ipc.Subscriber("quick", node=net.node("sub"))
        pub = ipc.Publisher("quick", reliable=True, node=net.node("pub"))
        pub.wait_for_subscribers(timeout=20)
        for n in range(800):
            pub.publish(n)
        assert [sub.recv(timeout=20).data for _ in range(800)] == list(range(800))


def test_a_subscriber_that_comes_in_the_midst_of_a_row_misses_nothing_from_then_on():
    with ipc.Publisher("quick", reliable=True, keep=5) as pub, ipc.Subscriber("quick", depth=10_000) as first:
        pub.wait_for_subscribers(timeout=20)
        for n in range(200):
            pub.publish(n)
        with ipc.Subscriber("quick") as second:
            pub.wait_for_subscribers(2, timeout=20)
            for n in range(200, 400):
                pub.publish(n)
            assert [second.recv(timeout=20).data for _ in range(205)] == list(range(195, 400))
        assert [first.recv(timeout=20).data for _ in range(400)] == list(range(400))


def test_several_in_a_row_need_one_look(monkeypatch):
    looks = []
    see = quick.Quick.see
    monkeypatch.setattr(quick.Quick, "see", lambda self: (looks.append(1), see(self)))
    with ipc.Publisher("quick", reliable=True) as pub, ipc.Subscriber("quick") as sub:
        pub.wait_for_subscribers(timeout=20)
        for n in range(500):
            pub.publish(n)
            assert sub.recv(timeout=20).data == n
        large = len(looks)
        for _ in range(10):
            pub.publish(bytes(quick.QUICK + 1))
            sub.recv(timeout=20)
        assert large < 250
        assert len(looks) == large + 10  # larger ones are looked at one by one


def test_a_publisher_that_is_closed_publishes_nothing_quickly():
    with ipc.Publisher("quick", reliable=True) as pub, ipc.Subscriber("quick") as sub:
        pub.wait_for_subscribers(timeout=20)
        for n in range(5):
            pub.publish(n)
            sub.recv(timeout=20)
        pub.close()
        with pytest.raises(ipc.ClosedError):
            pub.publish(6)
