"""Readings of all domains: what one of them does not tell stops nobody."""

from __future__ import annotations

import asyncio

import ipcpy as ipc
from flowing import MadeUpNode, Pair
from ipcpy.overview.fleet import Fleet
from ipcpy.top.reading import Readings


class Broken(MadeUpNode):
    """A node whose link does not work, or that was closed."""

    error: Exception = ipc.TransportError("no buffer space")

    async def flows_async(self, *, timeout):
        raise self.error


def readings(*nodes, **options):
    by_domain = {node.domain: node for node in nodes}
    return Readings(Fleet(by_domain.get, list(by_domain), **options), lambda: None)


def test_each_domain_is_read():
    read = readings(MadeUpNode(Pair(pace=(10.0, 0.0))), MadeUpNode(Pair(), domain="home"))
    asyncio.run(read.read())
    assert [row.key for row in read.overview.topics()] == [("home", "imu"), ("lab", "imu")]
    assert read.trouble == ""


def test_trouble_in_one_domain_is_told_and_the_others_are_read():
    read = readings(Broken(domain="home"), MadeUpNode(Pair()))
    asyncio.run(read.read())
    assert read.trouble == "home: no buffer space"
    assert [row.domain for row in read.overview.topics()] == ["lab"]


def test_a_node_that_was_closed_is_no_trouble():
    broken = Broken()
    broken.error = ipc.ClosedError("closed")
    read = readings(broken)
    asyncio.run(read.read())
    assert read.trouble == ""


def test_domains_that_come_are_read_and_those_that_go_are_forgotten():
    lab, home = MadeUpNode(Pair()), MadeUpNode(Pair(), domain="home")
    fleet = Fleet({"lab": lab, "home": home}.get, ["lab"], everywhere=True)
    read = Readings(fleet, lambda: None)
    asyncio.run(read.read())
    assert read.overview.domains == ("lab",)
    lab.others = ("home",)
    asyncio.run(read.read())
    assert read.overview.domains == ("home", "lab")
    fleet.close()
    asyncio.run(read.read())
    assert read.overview.domains == ()
