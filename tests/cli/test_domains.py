"""Looking at several domains: what is waited for, and what is said where nothing is found."""

from __future__ import annotations

import json
import sys
import uuid

import pytest

import ipcpy as ipc
from ipcpy.cli.domains import events, in_domains, look_around, nobody_around
from ipcpy.overview.fleet import Fleet

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
ROBOT = """
    import sys
    import ipcpy as ipc
    nodes = [ipc.Node(f"robot-{domain}", domain=domain) for domain in sys.argv[1:]]
    pubs = [ipc.Publisher("imu", node=node) for node in nodes]
    print("ready", flush=True)
    sys.stdin.read()
"""


def fleet_of(*domains):
    return Fleet(lambda domain: ipc.Node("viewer", domain=domain), domains)


@pytest.fixture
def domains():
    return sorted(f"d{number}-{uuid.uuid4().hex[:8]}" for number in range(2))


@pytest.fixture
def robots(spawn, domains):
    process = spawn(ROBOT, *domains)
    process.wait_line("ready")
    return process


def test_list_shows_the_topics_of_each_domain(spawn, robots, domains):
    printed = spawn([*IPCPY, "list", "--timeout", "20", "--domain", ",".join(domains)]).succeed().splitlines()
    assert [line.split()[:2] for line in printed[:3]] == [["DOMAIN", "TOPIC"], *([domain, "imu"] for domain in domains)]
    assert printed[3].startswith(f"2 topics in the domains {domains[0]}, {domains[1]};")


def test_flows_of_each_domain_are_shown_and_named(spawn, robots, domains):
    command = [*IPCPY, "flows", "--timeout", "20", "--every", "0.1", "--domain", ",".join(domains)]
    printed = spawn(command).succeed().splitlines()
    assert [line.split()[:2] for line in printed[:3]] == [["DOMAIN", "TOPIC"], *([domain, "imu"] for domain in domains)]
    assert f"in the domains {domains[0]}, {domains[1]}" in printed[-1]
    records = [json.loads(line) for line in spawn([*command, "--json"]).succeed().splitlines()]
    assert [(record["domain"], record["topic"]) for record in records] == [(domain, "imu") for domain in domains]


def test_nodes_of_all_domains_are_found(spawn, robots, domains):
    printed = spawn([*IPCPY, "nodes", "--all-domains", "--json", "--timeout", "20"]).succeed().splitlines()
    found = {node["domain"]: node["name"] for node in map(json.loads, printed)}
    assert found.items() >= {domain: f"robot-{domain}" for domain in domains}.items()


def test_watching_tells_in_which_domain_something_came(spawn, robots, domains):
    watching = spawn([*IPCPY, "nodes", "--watch", "--domain", ",".join(domains)])
    lines = sorted(watching.wait_line(r"\+ .*").group() for _ in domains)
    for domain, line in zip(domains, lines, strict=True):
        assert line.startswith(f"+ {domain}  robot-{domain} (")


def test_events_of_all_nodes_are_told(domains):
    with fleet_of(*domains) as fleet:
        told = events(fleet)
        seen = set()
        while seen < set(domains):
            event = next(told)
            assert isinstance(event, ipc.NodeFound)
            seen.add(event.node.domain)


def test_one_node_is_enough_to_have_found_something(domains):
    with fleet_of(*domains) as fleet, ipc.Node("robot", domain=domains[1]) as node, ipc.Publisher("imu", node=node):
        assert look_around(fleet, 20, lambda each: bool(each.topics()))
        assert not look_around(fleet, 0.1, lambda each: len(each.topics()) > 1)


def test_what_was_not_found_is_said_with_where_it_was_looked_for(domains):
    with fleet_of(*domains) as fleet:
        said = nobody_around("topic", 1.0, fleet)
        assert said == f"no topic within 1 s in the domains {domains[0]}, {domains[1]}. Try: ipcpy doctor."
    with fleet_of("lab") as fleet:
        assert "in domain 'lab'. Does the other program run" in nobody_around("topic", 1.0, fleet)


def test_many_domains_are_counted():
    class Many:
        domains = tuple("abcdefgh")
        left_out = ("i",)

    assert in_domains(Many()) == "in the domains a, b, c, d, e and 3 more (1 more domain left out)"
