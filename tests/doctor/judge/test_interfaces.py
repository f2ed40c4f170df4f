"""What is said of network interfaces, from facts made up for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from findings import ELSEWHERE, NUMBERS, PLACES, bad, words
from ipcpy.doctor.judge.interfaces import judge_interfaces
from ipcpy.facts import InterfaceFacts, Trial

WORKS = Trial("works")
LO = InterfaceFacts(
    "lo",
    ("127.0.0.1/8",),
    mtu=65_536,
    enabled=True,
    up=True,
    loopback=True,
    multicast=True,
    group=WORKS,
    mdns=WORKS,
)
ETH0 = replace(LO, name="eth0", networks=("10.0.0.1/24",), mtu=1_500, loopback=False)


def judge(*interfaces, places=PLACES, only_loopback=False):
    return list(judge_interfaces(interfaces, places, only_loopback=only_loopback))


def test_interfaces_that_work():
    assert bad(judge(LO, ETH0)) == set()
    assert bad(judge(LO, only_loopback=True)) == {("note", "only-loopback")}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"up": False, "enabled": False}, {("warning", "interface-down"), ("warning", "no-network")}),
        ({"up": False}, {("warning", "interface-down"), ("warning", "no-network")}),
        ({"up": False, "networks": ()}, {("note", "interface-down"), ("warning", "no-network")}),
        ({"networks": ()}, {("note", "no-address"), ("warning", "no-network")}),
        ({"group": Trial("not joined", "no")}, {("problem", "multicast-not-joined")}),
        ({"group": Trial("not sent", "no")}, {("problem", "multicast-not-sent")}),
        ({"group": Trial("not heard")}, {("problem", "multicast-not-heard")}),
        ({"group": Trial("taken")}, set()),  # told once, of the host
        ({"multicast": False}, {("warning", "multicast-off")}),
        ({"mdns": Trial("not heard")}, {("warning", "mdns-not-heard")}),
        ({"mtu": 400}, {("warning", "mtu")}),
        ({"mtu": 1_400}, {("note", "mtu")}),
        ({"mtu": 9_000}, {("note", "mtu")}),
        ({"used": False}, {("note", "not-used"), ("note", "only-loopback")}),
    ],
)
def test_an_interface_that_is_not_as_usual(change, expected):
    assert bad(judge(LO, replace(ETH0, **change))) == expected


@pytest.mark.parametrize(("result", "way"), [("not sent", "allow out"), ("not heard", "allow 17769/udp")])
def test_advice_on_a_firewall_is_for_the_way_that_it_blocks(result, way):
    found = next(e for e in judge(replace(ETH0, group=Trial(result))) if e.level == "problem")
    assert way in found.advice[0]


@pytest.mark.parametrize(("result", "way"), [("not sent", "allow out 5353/udp"), ("not heard", "allow 5353/udp")])
def test_advice_on_mdns_is_for_the_way_that_is_blocked(result, way):
    (found,) = [each for each in judge(replace(ETH0, mdns=Trial(result))) if each.level == "warning"]
    assert way in found.advice[0]


def test_the_groups_that_were_tried_are_named_and_no_others():
    def trials(result):
        return judge(replace(ETH0, group=Trial(result), mdns=Trial(result)), places=ELSEWHERE)

    assert "239.1.2.3:4000 did not come back" in words(trials("not heard"))
    assert "mDNS (224.9.9.9:4999) does not pass" in words(trials("not heard"))
    assert "sudo ufw allow 4000/udp " in words(trials("not joined"))
    for result in ("not joined", "not sent", "not heard"):
        assert not NUMBERS.search(words(trials(result)))


@pytest.mark.parametrize("result", ["not joined", "not sent", "not heard"])
def test_without_multicast_on_loopback_programs_of_this_host_are_found_at_their_ports(result):
    (found,) = [each for each in judge(replace(LO, group=Trial(result)), ETH0) if each.about == "lo"]
    assert (found.level, found.code) == ("warning", f"multicast-{result.replace(' ', '-')}")
    assert "look for each other at UDP ports 17770 to 17779" in found.text
    assert not any("IPCPY_PEERS" in advice for advice in found.advice)


def test_a_loopback_that_is_down():
    assert ("problem", "interface-down") in bad(judge(replace(LO, up=False, enabled=False), ETH0))


def test_multicast_that_is_switched_off_is_switched_on_again():
    broken = replace(ETH0, multicast=False, group=Trial("not joined", "No such device"))
    (found,) = [each for each in judge(broken) if each.code == "multicast-not-joined"]
    assert "sudo ip link set eth0 multicast on" in found.advice
    assert "(No such device)" in found.text


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("10.0.1.1/24", set()),
        ("10.0.0.2/24", {("note", "same-network")}),
        ("10.0.0.1/24", {("warning", "same-address")}),
    ],
)
def test_two_interfaces(network, expected):
    assert bad(judge(LO, ETH0, replace(ETH0, name="eth1", networks=(network,)))) == expected


@pytest.mark.parametrize(("networks", "expected"), [(("10.0.0.1/24", "10.0.1.1/24"), set()), (("10.0.0.1/24",), set())])
def test_addresses_of_several_networks_on_an_interface_are_nothing_to_tell(networks, expected):
    assert bad(judge(LO, replace(ETH0, networks=networks))) == expected


def test_two_addresses_in_one_network_are_told_with_how_to_choose():
    (found,) = [each for each in judge(LO, replace(ETH0, networks=("10.0.0.1/24", "10.0.0.201/24"))) if each.advice]
    assert (found.level, found.code, found.about) == ("note", "same-network", "eth0")
    assert "10.0.0.1, 10.0.0.201" in found.text and "10.0.0.0/24" in found.text
    assert found.advice[0].startswith("export IPCPY_INTERFACES=10.0.0.1 ")
