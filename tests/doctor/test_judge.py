"""What facts mean: every finding of diagnosis/, from facts made up for it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from ipcpy.doctor.judge.host import judge_host
from ipcpy.doctor.judge.interfaces import judge_interfaces
from ipcpy.doctor.judge.peers import judge_peer
from ipcpy.doctor.judge.settings import judge_name, judge_settings, judge_strangers
from ipcpy.facts import (
    LEVELS,
    Diagnosis,
    Finding,
    HostFacts,
    InterfaceFacts,
    NameFacts,
    PeerFacts,
    SettingsFacts,
    Trial,
)

WORKS = Trial("works")
LO = InterfaceFacts("lo", ("127.0.0.1/8",), 65_536, True, True, True, True, group=WORKS, mdns=WORKS)
ETH0 = InterfaceFacts("eth0", ("10.0.0.1/24",), 1_500, True, True, False, True, group=WORKS, mdns=WORKS)
HOST = HostFacts(
    "Linux",
    group_port=WORKS,
    mdns_port=WORKS,
    links_taken=1,
    rmem_max=4 << 20,
    buffer=8 << 20,
    gso=True,
    gro=True,
    files=(1_024, 4_096),
    zeroconf="0.150.0",
)
PEER = PeerFacts(
    "arm on robot",
    "10.0.0.7",
    17_770,
    answered=True,
    heard=True,
    hears=True,
    asked=(17_770,),
    rtt=(0.0003, 0.0002),
    clock=0.001,
    clock_error=0.0001,
    out=True,
    in_=True,
    sizes={1_252: (True, True), 1_472: (True, True)},
)
SILENT = PeerFacts("10.0.0.7", "10.0.0.7", asked_for=True, asked=(17_770, 17_771))


def bad(findings):
    """Return level and code of what is not ok, after a look at all of them."""
    found = list(findings)
    for each in found:
        assert each.level in LEVELS
        assert each.text.endswith((".", "?")), each.text
        assert "  " not in each.text and "None" not in each.text
        if each.level == "problem":
            assert each.advice
    return {(each.level, each.code) for each in found if each.level != "ok"}


def text(findings, code):
    (found,) = [each for each in findings if each.code == code]
    return found.text


# -- interfaces ------------------------------------------------------------------------------------------------------


def test_interfaces_that_work():
    assert bad(judge_interfaces([LO, ETH0])) == set()
    assert bad(judge_interfaces([LO], only_loopback=True)) == {("note", "only-loopback")}


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
    assert bad(judge_interfaces([LO, replace(ETH0, **change)])) == expected


@pytest.mark.parametrize(("result", "way"), [("not sent", "allow out"), ("not heard", "allow 17769/udp")])
def test_advice_on_a_firewall_is_for_the_way_that_it_blocks(result, way):
    found = next(e for e in judge_interfaces([replace(ETH0, group=Trial(result))]) if e.level == "problem")
    assert way in found.advice[0]


def test_a_loopback_that_is_down():
    assert ("problem", "interface-down") in bad(judge_interfaces([replace(LO, up=False, enabled=False), ETH0]))


def test_multicast_that_is_switched_off_is_switched_on_again():
    broken = replace(ETH0, multicast=False, group=Trial("not joined", "No such device"))
    (found,) = [each for each in judge_interfaces([broken]) if each.code == "multicast-not-joined"]
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
    assert bad(judge_interfaces([LO, ETH0, replace(ETH0, name="eth1", networks=(network,))])) == expected


# -- this host -------------------------------------------------------------------------------------------------------


def test_a_host_that_has_everything():
    assert bad(judge_host(HOST)) == set()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"group_port": Trial("taken")}, {("problem", "group-port-taken")}),
        ({"group_port": Trial("refused", "no")}, {("problem", "group-port-taken")}),
        ({"mdns_port": Trial("taken")}, {("warning", "mdns-port-taken")}),
        ({"mdns_port": Trial("works", shared=True)}, set()),
        ({"links_taken": 10}, {("warning", "link-ports-taken")}),
        ({"links_taken": None}, {("note", "link-ports")}),
        ({"buffer": 425_984, "rmem_max": 212_992}, {("note", "buffer")}),
        ({"buffer": 8_192, "rmem_max": 4_096}, {("warning", "buffer")}),
        ({"buffer": None}, {("note", "buffer")}),
        ({"gso": False}, {("note", "offload")}),
        ({"gso": None, "gro": None, "system": "Darwin"}, {("note", "offload")}),
        ({"files": (64, 128)}, {("warning", "file-limit")}),
        ({"files": (64, -1)}, set()),
        ({"files": None}, set()),
        ({"zeroconf": "0.149.3"}, {("warning", "zeroconf")}),
        ({"zeroconf": "1.0"}, set()),
        ({"zeroconf": None, "zeroconf_error": "ImportError: no"}, {("warning", "zeroconf")}),
        ({"zeroconf": None}, set()),
    ],
)
def test_a_host_that_lacks_something(change, expected):
    assert bad(judge_host(replace(HOST, **change))) == expected


def test_a_system_that_tells_nothing_is_no_error():
    assert {level for level, _ in bad(judge_host(HostFacts("Plan 9")))} == {"note"}


def test_the_receive_buffer_says_what_it_means():
    small = list(judge_host(replace(HOST, buffer=425_984, rmem_max=212_992)))
    assert "net.core.rmem_max is 212,992" in text(small, "buffer")
    assert "Large messages (images) arrive all the same" in text(small, "buffer")


# -- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (SettingsFacts(), set()),
        (SettingsFacts(peers=(NameFacts("10.0.0.7", 17_770, ("10.0.0.7",)),)), set()),
        (SettingsFacts(error="IPCPY_LOG is one of debug"), {("problem", "no-node")}),
        (SettingsFacts(unknown=("IPCPY_DOMIAN",)), {("warning", "unknown-variable")}),
        (SettingsFacts(missing=("wlan7",)), {("warning", "no-such-interface")}),
        (SettingsFacts(peers=(NameFacts("base.local", None, ()),)), {("problem", "no-such-name")}),
        (SettingsFacts(peers=(NameFacts("base.local", None, None),)), {("warning", "slow-name")}),
    ],
)
def test_settings(facts, expected):
    assert bad(judge_settings(facts)) == expected


def test_settings_are_said_as_they_are_understood():
    facts = SettingsFacts("lab", ("eth0",), (NameFacts("base", 9, ("10.0.0.1",)),), log="debug")
    assert text(judge_settings(facts), "settings") == "Domain 'lab', eth0, base:9, log from debug."


def test_a_name_that_was_asked_for():
    (found,) = judge_name(NameFacts("robot7", None, ()), "the command")
    assert "Or write its address, such as 10.0.0.7, in the command." in found.advice


def test_other_domains():
    found = list(judge_strangers([("10.0.0.2", ""), ("10.0.0.3", ""), ("10.0.0.3", "default")], "lab"))
    assert bad(found) == {("note", "other-domain")}
    assert found[0].text.startswith("There are 2 hosts in another domain, heard at 10.0.0.2, 10.0.0.3")
    assert found[1].advice == ("If they should meet:  export IPCPY_DOMAIN=default",)
    assert bad(judge_strangers([], "lab")) == set()


# -- other hosts -----------------------------------------------------------------------------------------------------


def test_a_peer_to_which_all_passes():
    (found,) = judge_peer(PEER)
    assert found.level == "ok"
    assert found.text == (
        "arm on robot (10.0.0.7:17770) answers, round trip 200 µs, data passes both ways, datagrams of 1,472 bytes "
        "pass, its clock differs by 1 ms (± 100 µs)."
    )
    assert found.data["largest"] == 1_472


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"out": False}, {("problem", "peer-blocks-data")}),
        ({"in_": False}, {("problem", "host-blocks-data")}),
        ({"in_": False, "hears": False}, {("problem", "host-blocks-data")}),
        ({"out": False, "in_": False}, {("problem", "peer-blocks-data"), ("problem", "host-blocks-data")}),
        ({"out": None, "in_": None}, set()),
        ({"heard": False}, {("warning", "peer-multicast")}),
        ({"hears": False}, {("warning", "peer-multicast")}),
        ({"heard": False, "hears": False}, {("warning", "peer-multicast")}),
        ({"heard": False, "hears": False, "static": True}, {("note", "peer-multicast")}),
        ({"heard": None, "hears": None}, set()),
        ({"heard": False, "hears": False, "local": True}, set()),
        ({"sizes": {1_252: (True, True), 1_472: (False, False)}}, {("problem", "peer-mtu")}),
        ({"sizes": {1_252: (True, True), 1_472: (True, False)}}, {("problem", "peer-mtu")}),
        ({"sizes": {1_252: (False, False)}}, {("problem", "peer-mtu")}),
        ({"sizes": {}}, set()),
        ({"clock": 3.2}, {("warning", "clock")}),
        ({"clock": -3.2}, {("warning", "clock")}),
        ({"clock": 3.2, "clock_error": 5.0}, set()),
        ({"clock": 3.2, "local": True}, set()),
        ({"state": "unresponsive"}, {("warning", "peer-unresponsive")}),
    ],
)
def test_a_peer_to_which_not_all_passes(change, expected):
    assert bad(judge_peer(replace(PEER, **change))) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clock": 90.0}, "is 90 s ahead of ours"),
        ({"clock": -0.25}, "is 0.25 s behind ours"),
        ({"sizes": {1_252: (True, True), 1_472: (False, False)}}, "1,472 bytes do not pass to arm on robot"),
        ({"sizes": {1_252: (True, True), 1_472: (True, False)}}, "do not pass back from arm on robot"),
        ({"heard": False}, "Multicast from arm on robot (10.0.0.7:17770) does not come here"),
        ({"hears": False}, "Multicast from here does not come to arm on robot"),
        ({"heard": False, "hears": False}, "passes neither way"),
    ],
)
def test_which_way_is_broken_is_said(change, words):
    assert any(words in each.text for each in judge_peer(replace(PEER, **change)))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, "peer-silent"),
        ({"deaf": True}, "peer-unheard-here"),
        ({"deaf": True, "alive": True}, "peer-unheard-here"),  # ICMP passes, so the firewall is no farther than here
        ({"greeted": True}, "peer-older"),
        ({"forbidden": True, "unreachable": True}, "peer-blocked-here"),
        ({"unreachable": True}, "peer-unreachable"),
        ({"heard": True}, "peer-one-way"),
        ({"refused": frozenset((17_770, 17_771)), "alive": True}, "peer-not-running"),
        ({"refused": frozenset((17_770,)), "alive": True}, "peer-not-running"),  # a host says so only now and then
        ({"refused": frozenset((17_771,)), "alive": True}, "peer-blocked-there"),
        ({"alive": True}, "peer-blocked-there"),
    ],
)
def test_a_peer_that_does_not_answer(change, code):
    level = "note" if code == "peer-older" else "problem"
    assert bad(judge_peer(replace(SILENT, **change))) == {(level, code)}


def test_the_port_that_does_not_answer_is_named():
    (found,) = judge_peer(replace(SILENT, refused=frozenset((17_771,))))
    assert "but UDP port 17770 (the one that is taken first) does not answer" in found.text


def test_whatever_is_known_of_a_peer_can_be_said():
    three = (None, True, False)
    for answered, heard, hears, out, in_ in product((True, False), three, three, three, three):
        facts = replace(PEER, answered=answered, heard=heard, hears=hears, out=out, in_=in_)
        bad(judge_peer(facts))


# -- the whole -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("levels", "worst"), [((), "ok"), (("ok", "note"), "note"), (("ok", "problem"), "problem")])
def test_the_level_of_a_diagnosis_is_its_worst(levels, worst):
    assert Diagnosis(tuple(Finding(level, "code", "about", "Text.") for level in levels)).level == worst
