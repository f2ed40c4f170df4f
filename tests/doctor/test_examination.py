"""Which hosts the doctor asks, what it knows of them before, and how findings are put together; all on loopback."""

from __future__ import annotations

import threading
import uuid

import pytest

import ipcpy as ipc
from ipcpy.doctor import examination
from ipcpy.errors import TransportError
from ipcpy.facts import LEVELS
from ipcpy.settings import LINK_PORTS


@pytest.fixture(autouse=True)
def domain(monkeypatch):
    """A domain that no other test is in, and a doctor in a hurry."""
    name = f"doctor-{uuid.uuid4().hex}"
    monkeypatch.setenv("IPCPY_DOMAIN", name)
    monkeypatch.setattr(examination, "FIRST", 0.05)
    return name


@pytest.fixture
def asked(monkeypatch):
    """The facts of the hosts that would be asked, each time; nobody answers."""
    calls = []

    def probe(hosts, domain, *, only_loopback, way_to, link):
        assert only_loopback
        calls.append({each.address: each for each in hosts})
        return list(hosts)

    monkeypatch.setattr(examination, "probe", probe)
    return calls


@pytest.fixture
def names(monkeypatch):
    """The addresses of names; of others there are none."""
    known: dict[str, tuple[str, ...]] = {}
    monkeypatch.setattr(examination, "resolve", lambda host: known.get(host, ()))
    return known


@pytest.fixture
def diagnose_until(wait_until):
    """``diagnose_until(condition)`` examines until what is found fulfils it, and returns the diagnosis."""

    def diagnose_until(condition):
        def diagnose():
            found = ipc.diagnose(timeout=0.8)
            return found if condition(found) else None

        return wait_until(diagnose, timeout=30.0)

    return diagnose_until


def codes(found):
    return {each.code for each in found.findings}


def test_a_named_host_is_asked_at_the_port_that_was_named_or_at_all_usual_ones(asked, names):
    names |= {"one": ("10.0.0.1",), "two": ("10.0.0.2", "10.0.0.3")}
    ipc.diagnose("one:9, two", timeout=0.0)
    (hosts,) = asked
    assert {address: each.ports for address, each in hosts.items()} == {
        "10.0.0.1": (9,),
        "10.0.0.2": tuple(LINK_PORTS),
        "10.0.0.3": tuple(LINK_PORTS),
    }
    assert all(each.asked_for and not each.local for each in hosts.values())
    assert {each.name for each in hosts.values()} == {"one", "two"}


def test_this_host_is_known_and_the_doctors_own_node_is_not_asked(asked, names):
    names["localhost"] = ("127.0.0.1",)
    ipc.diagnose("localhost", timeout=0.0)
    facts = asked[0]["127.0.0.1"]
    assert facts.local and facts.ours == "127.0.0.1"
    (own,) = facts.refused
    assert own > 0


def test_a_node_that_is_found_is_asked_at_its_link(asked, diagnose_until):
    with ipc.Node("arm"):
        diagnose_until(lambda found: "nobody" not in codes(found))
    (facts,) = asked[-1].values()
    assert facts.name.startswith("arm on ") and facts.version == ipc.__version__
    assert facts.port is not None and not facts.asked_for


def test_of_a_host_that_was_named_it_is_known_what_its_node_says(asked, names, wait_until):
    names["robot"] = ("127.0.0.1",)

    def version():
        ipc.diagnose("robot", timeout=0.8)
        return asked[-1]["127.0.0.1"].version

    with ipc.Node("arm"):
        wait_until(lambda: version() == ipc.__version__, timeout=30.0)
    assert asked[-1]["127.0.0.1"].asked_for


def test_no_more_than_so_many_hosts_are_asked(asked, names, monkeypatch):
    monkeypatch.setattr(examination, "MOST", 3)
    names["fleet"] = tuple(f"10.0.0.{n}" for n in range(1, 9))
    ipc.diagnose("fleet", timeout=0.0)
    assert len(asked[0]) == 3


def test_what_can_be_no_name_has_no_address(asked, monkeypatch):
    def resolve(host):
        raise UnicodeError("label empty or too long")

    monkeypatch.setattr(examination, "resolve", resolve)
    found = ipc.diagnose("a..b", timeout=0.0)
    assert any("The name a..b has no IPv4 address" in each.text for each in found.findings)


def test_a_name_server_that_does_not_answer_holds_nobody_up(asked, monkeypatch):
    answer = threading.Event()
    monkeypatch.setattr(examination, "resolve", lambda host: answer.wait(30) and ("10.0.0.1",))
    monkeypatch.setattr(examination, "RESOLVE", 0.1)
    try:
        found = ipc.diagnose("robot7", timeout=0.0)
        assert not answer.is_set()
        assert next(each for each in found.findings if each.code == "slow-name").about == "robot7"
        assert asked == []
    finally:
        answer.set()


def test_nobody_there_is_a_note_that_says_what_to_do(asked):
    found = ipc.diagnose(timeout=0.0)
    nobody = next(each for each in found.findings if each.code == "nobody")
    assert nobody.level == "note" and "ipcpy doctor HOST" in nobody.advice[0]


def test_a_program_of_another_domain_is_told_apart(asked, diagnose_until, domain, monkeypatch):
    usual = f"{domain}-usual"
    monkeypatch.setattr(examination, "DOMAIN", usual)

    def named(found):
        return [each.data for each in found.findings if each.code == "other-domain" and each.data["domain"]]

    with ipc.Node("arm", domain=usual):
        found = diagnose_until(named)
    assert named(found) == [{"addresses": ["127.0.0.1"], "domain": usual}]


def test_the_worst_is_said_first(asked, names, monkeypatch):
    monkeypatch.setenv("IPCPY_DOMIAN", "lab")
    found = ipc.diagnose("no.such.name", timeout=0.0)
    levels = [LEVELS.index(each.level) for each in found.findings]
    assert levels == sorted(levels)
    assert found.level == "problem"
    assert {"no-such-name", "unknown-variable"} <= codes(found)


def test_interfaces_that_the_settings_name_and_that_are_not_there_are_told(asked, monkeypatch):
    monkeypatch.setenv("IPCPY_INTERFACES", "lo,127.0.0.77")
    found = ipc.diagnose(timeout=0.0)
    assert {each.about for each in found.findings if each.code == "no-such-interface"} == {"127.0.0.77"}


def test_a_system_without_sockets_for_questions_is_a_finding(monkeypatch, names):
    def refuse(*_, **__):
        raise TransportError(24, "Too many open files")

    monkeypatch.setattr(examination, "probe", refuse)
    names["one"] = ("10.0.0.1",)
    found = ipc.diagnose("one", timeout=0.0)
    assert "Too many open files" in next(each.text for each in found.findings if each.code == "no-node")


def test_the_ports_of_greetings_and_links_are_the_one_range_that_advice_names():
    ports = sorted((examination.PLACES.group[1], *examination.PLACES.links))
    assert ports == list(range(ports[0], ports[-1] + 1))


@pytest.mark.parametrize("interfaces", ["lo;eth0", 5])
def test_interfaces_that_can_be_none_are_a_finding(domain, asked, names, interfaces):
    found = ipc.diagnose(timeout=0.5, interfaces=interfaces)
    assert any(each.level == "problem" and "interfaces are" in each.text for each in found.findings)


@pytest.mark.parametrize("timeout", [float("nan"), "soon", None, float("inf")])
def test_a_time_to_listen_that_never_ends_is_refused(timeout):
    with pytest.raises(ipc.ArgumentError, match="timeout is a time in seconds"):
        ipc.diagnose(timeout=timeout)
