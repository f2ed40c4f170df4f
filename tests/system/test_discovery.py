"""Whatever the network does, nodes find each other again, and data flows again, with nothing restarted."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from robots import ROBOT, Robot, both_hear, measured, robot


def now() -> float:
    return time.monotonic()


def test_without_any_network_processes_of_a_host_find_each_other(lan):
    hosts = lan(1)
    hosts.address(1, None)
    hosts.link(1, up=False)
    first = robot(hosts.spawn, "first", 1)
    second = robot(hosts.spawn, "second", 1)
    _, found = second.event("found", "first")
    measured("found with lo alone", found - second.begun, 0.1, 3.0)
    measured("data with lo alone", both_hear(first, second, second.begun), 0.2, 3.0)


def test_a_network_that_comes_after_the_nodes_goes_and_returns(lan):
    hosts = lan(2)
    for host in (1, 2):
        hosts.address(host, None)
        hosts.link(host, up=False)
    one, two = robot(hosts.spawn, "one", 1), robot(hosts.spawn, "two", 2)
    both_hear(robot(hosts.spawn, "neighbour", 1), one)
    for host in (1, 2):
        hosts.link(host, up=True)
        hosts.address(host, f"{hosts.ip(host)}/24")
    came = now()
    measured("matched after the network came", both_hear(one, two, came), 2.0, 5.0)
    hosts.link(2, up=False)
    assert one.event("lost", "two")[0] in ("timed out", "host unreachable")
    two.event("lost", "one")
    hosts.link(2, up=True)
    returned = now()
    measured("matched after the network returned", both_hear(one, two, returned), 2.0, 5.0)
    assert one.nodes() == ["neighbour", "one", "two"]
    assert two.logged("the network changed") <= 6


def test_a_network_that_is_gone_for_a_moment_ends_nothing(lan):
    hosts = lan(2)
    one, two = robot(hosts.spawn, "one", 1), robot(hosts.spawn, "two", 2)
    both_hear(one, two)
    hosts.link(2, up=False)
    hosts.link(2, up=True)
    measured("matched after a flap", both_hear(one, two), 2.0, 5.0)
    assert "lost" not in one.process.stdout


def test_addresses_change_on_either_side(lan):
    hosts = lan(2)
    one, two = robot(hosts.spawn, "one", 1), robot(hosts.spawn, "two", 2)
    both_hear(one, two)
    hosts.address(2, "10.77.0.50/24")
    measured("matched at the new address", both_hear(one, two, now()), 2.0, 5.0)
    hosts.address(1, "192.168.9.1/24")
    hosts.address(2, "192.168.9.2/24")
    measured("matched in the new subnet", both_hear(one, two, now()), 2.0, 5.0)
    assert one.nodes() == ["one", "two"] == two.nodes()


def test_a_new_interface_is_used(lan):
    hosts = lan(2)
    one, two = robot(hosts.spawn, "one", 1), robot(hosts.spawn, "two", 2)
    both_hear(one, two)
    hosts.block(1, 2, segment=0)
    one.event("lost", "two")
    two.event("lost", "one")
    for host in (1, 2):
        hosts.add_nic(host, 1)
    measured("matched over a new interface", both_hear(one, two, now()), 2.0, 5.0)


@pytest.mark.parametrize("how", ["cut between", "cable", "switched off", "pulled out"])
def test_data_takes_another_path_when_one_dies(lan, how):
    hosts = lan(2)
    for host in (1, 2):
        hosts.add_nic(host, 1)
    one, two = robot(hosts.spawn, "one", 1), robot(hosts.spawn, "two", 2)
    both_hear(one, two)
    used = dict((row[0], row[4]) for row in one.ask("nodes"))["two"]
    segment = int(used.split(".")[2])
    nic = f"eth{segment}"
    if how == "cut between":
        hosts.block(1, 2, segment=segment)
    elif how == "pulled out":
        hosts.remove_nic(2, nic)
    else:
        hosts.link(2, up=False, nic=nic, end="cable" if how == "cable" else "host")
    measured(f"data on another path ({how})", both_hear(one, two, now()), 2.0, 5.0)
    assert one.nodes() == ["one", "two"]
    assert "lost" not in one.process.stdout + two.process.stdout


def test_interfaces_fail_alone(lan):
    """One card is dead, one in a subnet of its own, one carries no multicast: the fourth is enough."""
    hosts = lan(2)
    for segment in (1, 2, 3):
        for host in (1, 2):
            hosts.add_nic(host, segment)
    hosts.link(2, up=False, nic="eth0", end="cable")
    hosts.address(2, "172.20.0.2/24", nic="eth1")
    hosts.multicast(False, segment=2)
    one, two = robot(hosts.spawn, "one", 1), robot(hosts.spawn, "two", 2)
    measured("matched with bad interfaces beside", both_hear(one, two, two.begun), 0.5, 4.0)


def test_static_peers_need_no_multicast_and_tell_of_others(lan):
    hosts = lan(3)
    hosts.multicast(False)
    base = robot(hosts.spawn, "base", 1)
    base2 = robot(hosts.spawn, "base2", 1)
    two = robot(hosts.spawn, "two", 2, peers=hosts.ip(1))
    measured("matched with a static peer on one side", both_hear(two, base, two.begun), 0.3, 3.0)
    three = robot(hosts.spawn, "three", 3, env={"IPCPY_PEERS": f"nowhere.invalid,{hosts.ip(1)}"})
    measured("matched by what a peer told", both_hear(two, three, three.begun), 1.0, 5.0)
    both_hear(base2, three)
    for each in (base, base2, two, three):
        assert each.nodes() == ["base", "base2", "three", "two"]


def test_twins_are_told_apart(lan):
    """Equal host names, equal node names, equal pids in pid namespaces of their own."""
    hosts = lan(2, names=["robot", "robot"])
    program = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    watcher = robot(hosts.spawn, "watcher", 1)
    path = Path(hosts._folder.name) / "twin.py"
    path.write_text(ROBOT)
    twins = [
        Robot(hosts.spawn(host, [*program, sys.executable, str(path), "twin", json.dumps({})]), "twin")
        for host in (1, 1, 2)
    ]
    assert len({twin.pid for twin in twins}) == 1
    for _ in twins:
        watcher.event("found", "twin")
    rows = [row for row in watcher.ask("nodes") if row[0] == "twin"]
    assert len({row[1] for row in rows}) == 3
    assert {(row[2], row[3]) for row in rows} == {("robot", twins[0].pid)}
    twins[1].process.end()
    reason, _ = watcher.event("lost", "twin")
    assert reason in ("process died", "timed out")
    assert sorted(row[1] for row in watcher.ask("nodes") if row[0] == "twin") == sorted(
        twin.id for twin in (twins[0], twins[2])
    )


def test_domains_keep_apart_even_as_static_peers(lan):
    hosts = lan(2)
    one = robot(hosts.spawn, "one", 1)
    other = robot(hosts.spawn, "other", 2, domain="another", peers=hosts.ip(1))
    near = robot(hosts.spawn, "near", 1, domain="another", peers=f"127.0.0.1,{hosts.ip(2)}")
    both_hear(other, near)
    friend = robot(hosts.spawn, "friend", 2, peers=hosts.ip(1))
    both_hear(one, friend)
    assert one.nodes() == ["friend", "one"]
    assert other.nodes() == ["near", "other"]
    assert sorted(one.ask("topics")) == ["from/friend", "from/one"]
    assert one.ask("dropped")["domain"] > 0


def test_a_route_that_appears_is_taken(lan):
    """As a VPN's: host 3 leads to a network where host 2 is, and host 1 learns of it while its node runs."""
    hosts = lan(3)
    hosts.add_nic(2, 1)
    hosts.remove_nic(2, "eth0")
    hosts.add_nic(3, 1)
    assert hosts.run(3, ["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]).returncode == 0  # sysctl may be missing
    one = robot(hosts.spawn, "one", 1, peers="10.77.1.2")
    two = robot(hosts.spawn, "two", 2)
    both_hear(one, robot(hosts.spawn, "near", 1))
    assert one.nodes() == ["near", "one"]
    at = now()
    assert hosts.run(2, ["ip", "route", "add", "10.77.0.0/24", "via", "10.77.1.3"]).returncode == 0
    assert hosts.run(1, ["ip", "route", "add", "10.77.1.0/24", "via", "10.77.0.3"]).returncode == 0
    measured("matched over a new route", both_hear(one, two, at), 2.0, 6.0)


def test_only_loopback_keeps_everything_on_the_host(lan):
    hosts = lan(2)
    one = robot(hosts.spawn, "one", 1, interfaces="lo")
    near = robot(hosts.spawn, "near", 1)
    far = robot(hosts.spawn, "far", 2, peers=hosts.ip(1))
    both_hear(one, near)
    both_hear(near, far)
    assert one.nodes() == ["near", "one"]
    assert far.nodes() == ["far", "near"]


FIELDS = 1_000  # 15 kB of names

LARGE_TYPE = f"""
import collections, sys
import ipcpy as ipc
Large = collections.namedtuple("Large", [f"a_field_{{at:04}}" for at in range({FIELDS})])
"""
PUBLISH_LARGE = (
    LARGE_TYPE
    + """
with ipc.Publisher("large", ipc.MsgLibrary({1: (f"<{len(Large._fields)}f", Large)})) as publisher:
    print("ready", flush=True)
    publisher.wait_for_subscribers(timeout=20)
    publisher.publish(Large(*range(len(Large._fields))))
    sys.stdin.readline()
"""
)
RECEIVE_LARGE = """
import ipcpy as ipc
with ipc.Subscriber("large") as subscriber:
    print(subscriber.recv(timeout=20).data.a_field_0999)
"""


def fragments(hosts, host):
    """Return how many IP packets a host has cut into fragments."""
    names, values = (line.split() for line in hosts.run(host, ["grep", "^Ip:", "/proc/net/snmp"]).stdout.splitlines())
    return int(values[names.index("FragCreates")])


def test_a_type_of_a_thousand_fields_passes_between_hosts_without_a_fragment_of_an_ip_packet(lan):
    hosts = lan(2)
    publisher = hosts.spawn(1, PUBLISH_LARGE)
    publisher.wait_line("ready")
    assert hosts.spawn(2, RECEIVE_LARGE).succeed().strip() == "999.0"
    publisher.send_line("end")
    assert publisher.wait() == 0
    assert [fragments(hosts, host) for host in (1, 2)] == [0, 0]
