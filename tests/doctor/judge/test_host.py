"""What is said of this host, from facts made up for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from findings import ELSEWHERE, NUMBERS, PLACES, bad, text, words
from ipcpy.doctor.judge.host import judge_host
from ipcpy.facts import HostFacts, Trial

WORKS = Trial("works")
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
    compiled=True,
)


def judge(places=PLACES, **change):
    return list(judge_host(replace(HOST, **change), places))


def test_a_host_that_has_everything():
    assert bad(judge()) == set()


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
        ({"compiled": False, "why_pure": "IPCPY_PURE is set"}, {("note", "pure")}),
        ({"compiled": None}, set()),
    ],
)
def test_a_host_that_lacks_something(change, expected):
    assert bad(judge(**change)) == expected


def test_a_system_that_tells_nothing_is_no_error():
    assert {level for level, _ in bad(judge_host(HostFacts("Plan 9"), PLACES))} == {"note"}


def test_the_receive_buffer_says_what_it_means():
    small = judge(buffer=425_984, rmem_max=212_992)
    assert "net.core.rmem_max is 212,992" in text(small, "buffer")
    assert "Large messages (images) arrive all the same" in text(small, "buffer")
    (found,) = [each for each in small if each.code == "buffer"]
    assert found.advice == ("sudo sysctl -w net.core.rmem_max=4194304",)


def test_free_link_ports_are_counted():
    assert text(judge(links_taken=3), "link-ports") == "7 of 10 link ports (17770 to 17779) are free."


def test_the_ports_that_were_tried_are_named_and_no_others():
    works = words(judge(ELSEWHERE, links_taken=1))
    assert "UDP port 4000, by which programs greet, can be had." in works
    assert "UDP port 4999 (mDNS) can be had." in works
    assert "2 of 3 link ports (4001 to 4003) are free." in works
    taken = words(judge(ELSEWHERE, group_port=Trial("taken"), mdns_port=Trial("taken"), links_taken=3))
    assert "sudo ss -ulpn sport = 4000 " in taken and "sudo ss -ulpn sport = 4999 " in taken
    assert "All 3 link ports (4001 to 4003) are in use" in taken
    unknown = words(judge(ELSEWHERE, links_taken=None))
    assert not NUMBERS.search(works + taken + unknown)


def test_what_runs_is_said_with_the_reason():
    pure = next(each for each in judge(compiled=False, why_pure="IPCPY_PURE is set") if each.code == "pure")
    assert "pure Python (IPCPY_PURE is set)" in pure.text and "CRC-32 of zlib." in pure.text
    assert "zlib-ng" in pure.advice[0]
    assert not next(each for each in judge(compiled=False, crc="zlib-ng") if each.code == "pure").advice
    compiled = next(each for each in judge(crc="zlib-ng") if each.code == "compiled")
    assert compiled.text == "The compiled part of ipcpy is used, with the CRC-32 of zlib-ng."
