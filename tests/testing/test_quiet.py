"""Quiet: what is on its way, unread or being worked on is not quiet."""

from __future__ import annotations

import threading

import pytest

from ipcpy import MsgLibrary, Publisher, Subscriber
from ipcpy.testing import MemoryNetwork
from ipcpy.testing.network import core_of, cores_of
from ipcpy.testing.quiet import Quiet


@pytest.fixture
def net():
    with MemoryNetwork() as network:
        yield network


def quiet(net, apart, *, served=True):
    return Quiet(lambda: cores_of(net), core_of(apart), served=served)


def test_nodes_without_anything_are_quiet(net):
    assert quiet(net, net.node()).wait(0) in ("", None) or quiet(net, net.node()).wait(30) == ""


def test_it_waits_until_a_callback_is_done(net):
    apart, node = net.node(), net.node()
    go, seen = threading.Event(), []

    def work(message):
        go.wait(30)
        seen.append(message.data)

    with Subscriber("a", callback=work, node=node), Publisher("a", node=apart) as pub:
        pub.wait_for_subscribers(1, timeout=10)
        looks = quiet(net, apart)
        pub.publish(1)
        assert looks.wait(0.1) == "a"
        assert seen == []
        go.set()
        assert looks.wait(30) == ""
        assert seen == [1]


def test_what_nobody_waits_for_is_named(net):
    apart, node = net.node(), net.node()
    with Subscriber("a", node=node) as sub, Publisher("a", node=apart) as pub:
        pub.wait_for_subscribers(1, timeout=10)
        pub.publish(1)
        assert quiet(net, apart).wait(0.1) == "a"
        assert quiet(net, apart, served=False).wait(30) == ""
        assert sub.recv(0).data == 1


def test_the_node_apart_meets_those_under_test_in_both_directions(net):
    apart, node = net.node(), net.node()
    with Publisher("pose", node=node) as pose, Publisher("other", node=node), Subscriber("pose", node=apart) as out:
        with Publisher("imu", node=apart) as imu, Subscriber("*", node=node) as sub:
            assert quiet(net, apart).meet(10) == ""
            pose.wait_for_subscribers(2, timeout=10)  # with that of its own node, which ``meet`` does not wait for
            pose.publish(5)
            imu.publish(6)
            assert out.recv(timeout=10).data == 5
            assert {sub.recv(timeout=10).data for _ in range(2)} == {5, 6}


def test_types_that_differ_never_meet(net):
    apart, node = net.node(), net.node()
    one, two = (MsgLibrary({1: (form, tuple)}) for form in ("<3f", "<2d"))
    with Publisher("imu", one, node=apart), Subscriber("imu", two, node=node):
        assert quiet(net, apart).meet(0.2) == "imu"
