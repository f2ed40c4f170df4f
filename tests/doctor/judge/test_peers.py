"""What is said of other hosts, from facts made up for it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from findings import ELSEWHERE, NUMBERS, PLACES, bad, words
from ipcpy.doctor.judge.peers import judge_peer
from ipcpy.facts import PeerFacts

PEER = PeerFacts(
    "arm on robot",
    "10.0.0.7",
    ports=(17_770,),
    answered=True,
    heard=True,
    hears=True,
    rtt=(0.0003, 0.0002),
    clock=0.001,
    clock_error=0.0001,
    out=True,
    in_=True,
    sizes={1_252: (True, True), 1_472: (True, True)},
)
SILENT = PeerFacts("10.0.0.7", "10.0.0.7", asked_for=True, ports=(17_770, 17_771))


def judge(facts, places=PLACES, **change):
    return list(judge_peer(replace(facts, **change), places))


def test_a_peer_to_which_all_passes():
    (found,) = judge(PEER)
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
        ({"usual_only": True}, {("problem", "host-blocks-data")}),
        ({"usual_only": True, "in_": False}, {("problem", "host-blocks-data")}),
        ({"usual_only": True, "in_": None, "out": None}, {("problem", "host-blocks-data")}),
        ({"asked": 100, "lost": 2}, set()),
        ({"asked": 100, "lost": 3}, {("warning", "peer-loss")}),
        ({"asked": 100, "lost": 100}, {("warning", "peer-loss")}),
        ({"asked": 15, "lost": 2}, set()),
        ({"asked": 15, "lost": 3}, {("warning", "peer-loss")}),
        ({"clock": 3.2}, {("warning", "clock")}),
        ({"clock": -3.2}, {("warning", "clock")}),
        ({"clock": 3.2, "clock_error": 5.0}, set()),
        ({"clock": 3.2, "local": True}, set()),
        ({"state": "unresponsive"}, {("warning", "peer-unresponsive")}),
    ],
)
def test_a_peer_to_which_not_all_passes(change, expected):
    assert bad(judge(PEER, **change)) == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clock": 90.0}, "is 90 s ahead of ours"),
        (
            {"asked": 100, "lost": 36},
            "(10.0.0.7:17770), 36 or their answers got lost (36%",
        ),
        ({"usual_only": True}, "comes to the link ports here (17770 to 17779), but to other ports it is dropped"),
        ({"clock": -0.25}, "is 0.25 s behind ours"),
        ({"sizes": {1_252: (True, True), 1_472: (False, False)}}, "1,472 bytes do not pass to arm on robot"),
        ({"sizes": {1_252: (True, True), 1_472: (True, False)}}, "do not pass back from arm on robot"),
        ({"heard": False}, "Multicast from arm on robot (10.0.0.7:17770) does not come here"),
        ({"hears": False}, "Multicast from here does not come to arm on robot"),
        ({"heard": False, "hears": False}, "passes neither way"),
    ],
)
def test_which_way_is_broken_is_said(change, said):
    assert any(said in each.text for each in judge(PEER, **change))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, "peer-silent"),
        ({"deaf": True}, "peer-unheard-here"),
        ({"deaf": True, "alive": True}, "peer-unheard-here"),  # ICMP passes, so the firewall is no farther than here
        ({"greeted": True}, "peer-no-echo"),
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
    level = "note" if code == "peer-no-echo" else "problem"
    assert bad(judge(SILENT, **change)) == {(level, code)}


def test_the_port_that_does_not_answer_is_named():
    (found,) = judge(SILENT, refused=frozenset((17_771,)))
    assert "but UDP port 17770 (the one that is taken first) does not answer" in found.text


def test_whatever_is_known_of_a_peer_can_be_said():
    three = (None, True, False)
    for answered, heard, hears, out, in_ in product((True, False), three, three, three, three):
        assert judge(PEER, answered=answered, heard=heard, hears=hears, out=out, in_=in_)
        bad(judge(PEER, answered=answered, heard=heard, hears=hears, out=out, in_=in_))


def test_a_path_that_takes_less_is_given_the_largest_packet_that_passes():
    (found,) = [e for e in judge(PEER, sizes={1_252: (True, True), 1_472: (False, False)}) if e.code == "peer-mtu"]
    assert "sudo ip link set DEVICE mtu 1280 " in found.advice[0]  # 1,252 + 20 (IPv4) + 8 (UDP)
    assert "Best-effort messages of one datagram so large get lost; larger ones arrive late" in found.text


def test_the_ports_to_let_pass_are_named_and_no_others():
    said = [
        judge(SILENT, ELSEWHERE, ports=(4_001,)),
        judge(SILENT, ELSEWHERE, ports=(4_001,), heard=True),
        judge(SILENT, ELSEWHERE, ports=(4_001,), deaf=True),
        judge(SILENT, ELSEWHERE, ports=(4_001,), alive=True),
        judge(PEER, ELSEWHERE, ports=(4_001,), heard=False),
    ]
    for findings in said:
        assert "sudo ufw allow 4000:4003/udp" in words(findings)
        assert not NUMBERS.search(words(findings))


def test_what_got_lost_is_said_where_all_is_well():
    assert ", none of 100 questions got lost" in judge(PEER, asked=100)[0].text
    assert ", 1 of 100 questions got lost" in judge(PEER, asked=100, lost=1)[0].text
    assert judge(PEER, asked=100, lost=1)[0].data["loss"] == 0.01
    assert judge(PEER)[0].data["loss"] is None


def test_ports_that_are_open_are_not_to_be_opened():
    (found,) = [each for each in judge(PEER, usual_only=True, in_=False) if each.level == "problem"]
    assert not any("17769:17779" in line for line in found.advice)
    assert "sudo ufw allow proto udp from 10.0.0.7" in found.advice


@pytest.mark.parametrize("version", ["2026.8.4", "2026.11.22", "2025.1.1.dev3"])
def test_an_ipcpy_that_is_older_is_told_to_be_updated(version):
    (found,) = judge(SILENT, greeted=True, version=version)
    assert f"Its ipcpy {version} is older than 2026.11.23" in found.text
    (advice,) = found.advice
    assert advice.startswith("pip install . ") and "PyPI's ipcpy is another" in advice


@pytest.mark.parametrize("version", ["", "1.0", "c-0.1", "2026.11.23", "2027.1.1", "2026", "firmware 2020.1.1"])
def test_a_program_that_answers_no_question_need_not_be_older(version):
    (found,) = judge(SILENT, greeted=True, version=version)
    assert "another implementation of the protocol need not answer them" in found.text
    assert "older" not in found.text
    assert found.advice == ()
