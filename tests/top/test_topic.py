"""One topic: its flows, its newest message, and a plot of what one chooses."""

from __future__ import annotations

import math
from collections import namedtuple

import pytest

pytest.importorskip("textual", reason="needs ipcpy[top]")

import ipcpy as ipc
from ipcpy.overview.fleet import Fleet
from ipcpy.testing import MemoryNetwork
from ipcpy.top.app import Top
from terminal import line_with, lines, piloted, text, until

Imu = namedtuple("Imu", "gx gy")


@pytest.fixture
def network():
    with MemoryNetwork() as network:
        yield network


def top(network):
    return Top(Fleet(lambda _: network.node("top")))


async def open_topic(pilot, app, topic):
    """Look at a topic that is at the top of the table."""
    await until(pilot, lambda: line_with(app, topic))
    await pilot.press("enter")
    await until(pilot, lambda: lines(app)[0].startswith(topic))


def test_the_newest_message_is_a_tree_and_a_number_of_it_is_plotted(network):
    pub = ipc.Publisher("imu", ipc.MsgLibrary({23: ("<2f", Imu)}), node=network.node("arm"))
    app = top(network)

    async def test(pilot):
        await open_topic(pilot, app, "imu")
        await until(pilot, lambda: pub.subscribers)
        for number in range(50):
            pub.publish(Imu(math.sin(number / 8), number))
        await until(pilot, lambda: "message 50" in text(app))
        assert "* gx: " in line_with(app, "gx: ")
        assert "gy: 49" in line_with(app, "gy: ")
        assert "plot of gx" in text(app)
        await until(pilot, lambda: "now" in text(app))
        await pilot.press("down", "enter")
        assert "plot of gy" in text(app)
        assert "* gy: 49" in line_with(app, "gy: ")
        for number in range(50, 60):
            pub.publish(Imu(0.0, number))
        await until(pilot, lambda: " 59 " in text(app) and " 49 " in text(app))  # the labels of the plot

    piloted(app, test)


def test_who_sends_to_whom_is_shown(network):
    pub = ipc.Publisher("imu", node=network.node("arm"))
    sub = ipc.Subscriber("imu", node=network.node("brain"))
    app = top(network)

    async def test(pilot):
        await until(pilot, lambda: pub.subscribers and sub.publishers)
        await open_topic(pilot, app, "imu")
        await until(pilot, lambda: line_with(app, "arm").split()[:2] == ["arm", "brain"])
        assert "top" not in [line.split()[1] for line in lines(app)[2:6] if len(line.split()) > 1]

    piloted(app, test)


def test_a_subscriber_without_a_publisher_is_shown_and_why(network):
    sub = ipc.Subscriber("gps", node=network.node("brain"))
    app = top(network)

    async def test(pilot):
        await open_topic(pilot, app, "gps")
        await until(pilot, lambda: line_with(app, "nobody").split()[:2] == ["nobody", "brain"])
        await until(pilot, lambda: "No publisher of 'gps'" in text(app))

    piloted(app, test)
    sub.close()


def test_a_list_is_opened_and_shut(network):
    pub = ipc.Publisher("scan", keep=1, node=network.node("lidar"))
    pub.publish({"ranges": list(range(9))})
    app = top(network)

    async def test(pilot):
        await open_topic(pilot, app, "scan")
        await until(pilot, lambda: "+ ranges: 9 items" in text(app))
        await pilot.press("enter")
        assert "- ranges: 9 items" in text(app)
        assert "[8]: 8" in text(app)
        await pilot.press("down", "down", "down", "enter")
        assert "plot of ranges[2]" in text(app)
        await pilot.press("home", "enter")
        assert "[8]: 8" not in text(app)

    piloted(app, test)


def test_space_holds_the_picture_and_goes_on(network):
    pub = ipc.Publisher("count", keep=1, node=network.node("counter"))
    pub.publish(1)
    app = top(network)

    async def test(pilot):
        await open_topic(pilot, app, "count")
        await until(pilot, lambda: "message 1" in text(app))
        await pilot.press("space")
        assert "HELD" in lines(app)[0]
        pub.publish(2)
        sub = app.screen._listening
        await until(pilot, lambda: sub.newest.data == 2)
        assert "message 1" in text(app)
        await pilot.press("space")
        await until(pilot, lambda: "message 2" in text(app))
        assert "HELD" not in lines(app)[0]

    piloted(app, test)


def test_plus_and_minus_change_how_much_time_is_plotted(network):
    pub = ipc.Publisher("count", keep=1, node=network.node("counter"))
    pub.publish(1)
    app = top(network)

    async def test(pilot):
        await open_topic(pilot, app, "count")
        await until(pilot, lambda: "-10 s" in text(app))
        await pilot.press("minus")
        assert "-30 s" in text(app)
        await pilot.press("plus", "plus")
        assert "-5 s" in text(app)
        await pilot.press(*["plus"] * 9)
        assert "-2 s" in text(app)

    piloted(app, test)


def test_a_topic_that_goes_says_so_and_escape_leads_back(network):
    pub = ipc.Publisher("imu", node=network.node("arm"))
    app = top(network)

    async def test(pilot):
        await open_topic(pilot, app, "imu")
        listening = app.screen._listening
        pub.close()
        await until(pilot, lambda: "is gone" in lines(app)[0])
        await pilot.press("escape")
        await until(pilot, lambda: lines(app)[0].startswith("ipcpy top"))
        with pytest.raises(ipc.ClosedError):
            listening._subscriber.recv(timeout=0)

    piloted(app, test)
