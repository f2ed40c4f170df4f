"""Nodes in several domains: which are opened, which are not, and that all are closed."""

from __future__ import annotations

import os
import time
import uuid
from types import SimpleNamespace

import pytest

import ipcpy as ipc
from ipcpy.overview.fleet import MAX_DOMAINS, Fleet
from lan_process import wait_until

ROBOT = """
import sys, ipcpy as ipc
node = ipc.Node(sys.argv[1], domain=sys.argv[2])
pub = ipc.Publisher("imu", node=node)
print("up", flush=True)
sys.stdin.read()
"""


class Net:
    """Domains that somebody made up, and the nodes that are made in them."""

    def __init__(self, *heard):
        self.heard, self.made = list(heard), []
        self.late = {}  # domains, and when they are heard of

    def make(self, domain):
        if domain is not None and domain.startswith("-"):
            raise ipc.ArgumentError("domain is a short printable text")
        node = Known(self, domain or "default")
        self.made.append(node)
        return node

    def open(self):
        return [node.domain for node in self.made if not node.closed]


class Known:
    """A node, as far as a fleet uses it."""

    def __init__(self, net, domain):
        self.net, self.domain, self.closed = net, domain, False
        self.stats = SimpleNamespace(dropped={"domain": 3} if net.late else {})

    def domains(self):
        late = [domain for domain, since in self.net.late.items() if time.monotonic() >= since]
        return (self.domain, *self.net.heard, *late)

    def close(self):
        self.closed = True


def test_no_domain_is_that_of_the_environment():
    net = Net("lab")
    with Fleet(net.make) as fleet:
        assert fleet.domains == ("default",)
        assert not fleet.several
        assert fleet.look() == ()
        fleet.gather()
        assert net.open() == ["default"]


def test_domains_are_opened_in_the_order_asked_for_and_once():
    net = Net("lab")
    with Fleet(net.make, ["b", "a", "b"]) as fleet:
        assert fleet.domains == ("b", "a")
        assert fleet.several
        assert fleet.node("a").domain == "a"
        assert fleet.node("lab") is None
    assert net.open() == []
    assert len(net.made) == 2


def test_everywhere_means_what_is_heard_of_now_and_later():
    net = Net("lab")
    with Fleet(net.make, everywhere=True) as fleet:
        assert fleet.several
        assert fleet.look() == ("lab",)
        assert fleet.look() == ()
        net.heard.append("home")
        assert fleet.look() == ("home",)
        assert fleet.domains == ("default", "home", "lab")


def test_a_domain_that_can_be_none_is_left_out_and_said_once(caplog):
    net = Net("-forged", "lab")
    with Fleet(net.make, everywhere=True) as fleet:
        fleet.look()
        fleet.look()
        assert fleet.domains == ("default", "lab")
        assert fleet.left_out == ("-forged",)
    assert len(caplog.records) == 1
    assert "'-forged' cannot be looked at: domain is" in caplog.text


def test_who_makes_up_domains_does_not_fill_the_memory():
    net = Net(*(f"forged{number:04}" for number in range(1000)))
    with Fleet(net.make, everywhere=True) as fleet:
        fleet.look()
        assert len(fleet.domains) == len(net.made) == MAX_DOMAINS
        assert len(fleet.left_out) == 1000 - MAX_DOMAINS + 1
        net.heard.append("late")
        assert fleet.look() == ()


def test_a_domain_asked_for_that_can_be_none_is_refused_and_nothing_stays_open():
    net = Net()
    with pytest.raises(ipc.ArgumentError):
        Fleet(net.make, ["lab", "-"])
    assert [node.domain for node in net.made] == ["lab"]
    assert net.open() == []


def test_a_closed_fleet_opens_nothing():
    net = Net("lab")
    fleet = Fleet(net.make, everywhere=True)
    fleet.close()
    fleet.close()
    assert fleet.look() == ()
    assert fleet.nodes == ()
    fleet.gather()
    assert net.open() == []


def test_domains_that_greet_and_are_not_named_yet_have_more_time():
    net = Net()
    net.late = {"lab": time.monotonic() + 1.02}
    with Fleet(net.make, everywhere=True) as fleet:
        fleet.gather(timeout=1.0)
        assert fleet.domains == ("default", "lab")


def test_robots_of_other_domains_are_found_by_mdns(spawn):
    """Two processes in domains of their own, and a fleet in a third one that is told of neither."""
    domains = {f"fleet{uuid.uuid4().hex[:8]}" for _ in range(2)}
    robots = [spawn(ROBOT, f"robot{number}", domain) for number, domain in enumerate(domains)]
    for robot in robots:
        robot.wait_line("up")
    with Fleet(lambda domain: ipc.Node("viewer", domain=domain), everywhere=True) as fleet:
        wait_until(lambda: (fleet.look(), domains <= set(fleet.domains))[1], 20)
        assert fleet.domains[0] == os.environ["IPCPY_DOMAIN"]
        for domain in domains:
            wait_until(lambda domain=domain: [topic.name for topic in fleet.node(domain).topics()] == ["imu"], 20)
