"""``ipcpy doctor`` as a command, on loopback: what it prints, its exit codes, and systems that tell little."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

import ipcpy as ipc
from ipcpy.cli.program import program
from ipcpy.doctor import examination as doctor
from ipcpy.errors import ArgumentError, TransportError
from ipcpy.facts import LEVELS
from ipcpy.transport import interfaces, probes

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
ROBOT = """
    import sys
    import ipcpy as ipc
    node = ipc.Node("arm")
    print("ready", flush=True)
    sys.stdin.read()
"""


def diagnosis(*levels):
    advice = ("sudo do it",)
    return ipc.Diagnosis(tuple(ipc.Finding(each, f"c-{each}", "eth0", f"It is {each}.", advice) for each in levels))


@pytest.fixture
def say(monkeypatch):
    """Have the doctor find what a test wants."""

    def say(found, *arguments):
        monkeypatch.setattr(ipc, "diagnose", lambda *_, **__: found, raising=False)
        return CliRunner().invoke(program, ["doctor", *arguments])

    return say


@pytest.mark.parametrize(
    ("levels", "code", "last"),
    [
        (("note", "ok"), 0, "All is well."),
        (("warning", "ok"), 4, "0 problems, 1 warning."),
        (("problem", "warning", "warning"), 5, "1 problem, 2 warnings."),
    ],
)
def test_the_exit_code_tells_the_worst(say, levels, code, last):
    done = say(diagnosis(*levels))
    assert (done.exit_code, done.output.splitlines()[-1]) == (code, last)


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("300", 100), ("1", 40), ("-5", 100), ("x", 100)])
def test_sentences_fit_the_terminal(say, monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", columns)
    found = ipc.Diagnosis((ipc.Finding("note", "long", "eth0", "word " * 100),))
    lines = say(found).output.splitlines()[:-1]
    assert width - 5 < max(map(len, lines)) <= width


def test_a_finding_is_a_sentence_and_what_to_do(say):
    assert say(diagnosis("problem")).output.splitlines()[:2] == ["problem  It is problem.", "           > sudo do it"]


def test_json_has_a_line_for_each(say):
    done = say(diagnosis("warning", "ok"), "--json")
    first, second = map(json.loads, done.output.splitlines())
    assert set(first) == {"level", "code", "about", "text", "advice", "data"}
    assert (first["level"], first["advice"], second["level"]) == ("warning", ["sudo do it"], "ok")


def test_text_from_the_network_moves_no_cursor(say):
    found = ipc.Diagnosis((ipc.Finding("ok", "peer", "x", "a\x1b[2Jb", ("c\x07",)),))
    assert "\x1b[2J" not in say(found).output and "\x07" not in say(found).output


def test_loopback_alone(spawn):
    process = spawn([*IPCPY, "doctor", "--json"])
    found = [json.loads(line) for line in process.succeed().splitlines()]
    codes = {each["code"] for each in found}
    assert {"settings", "multicast", "group-port", "link-ports", "buffer", "offload", "nobody"} <= codes
    assert [each["level"] for each in found] == sorted((each["level"] for each in found), key=LEVELS.index)
    assert {each["about"] for each in found if each["code"] == "multicast"} == {"lo"}
    assert process.stderr == ""


def test_a_node_on_this_host_is_asked(spawn):
    spawn(ROBOT).wait_line("ready")
    process = spawn([*IPCPY, "doctor", "--json", "--timeout", "3"])
    (peer,) = [each for each in map(json.loads, process.succeed().splitlines()) if each["code"] == "peer"]
    assert peer["about"].startswith("arm on ")
    assert peer["data"]["in"] and peer["data"]["out"] and 0 < peer["data"]["rtt"] < 1


def test_a_host_that_was_named(spawn):
    process = spawn([*IPCPY, "doctor", "127.0.0.1:9", "--peer", "no.such.name.invalid", "--timeout", "0.3"])
    assert process.wait() == 5
    assert "no ipcpy program listens at UDP port 9" in process.stdout.replace("\n         ", " ")
    assert "no.such.name.invalid" in process.stdout


def test_the_doctor_does_not_take_itself_for_a_program(spawn):
    process = spawn([*IPCPY, "doctor", "127.0.0.1", "--json", "--timeout", "0.3"])
    assert process.wait() == 5
    codes = {each["code"] for each in map(json.loads, process.stdout.splitlines())}
    assert "peer-not-running" in codes and "peer" not in codes


def test_a_program_of_this_host_is_found_beside_the_doctor(spawn):
    spawn(ROBOT).wait_line("ready")
    process = spawn([*IPCPY, "doctor", "127.0.0.1", "--json", "--timeout", "3"])
    (peer,) = [each for each in map(json.loads, process.succeed().splitlines()) if each["code"] == "peer"]
    assert peer["data"]["port"] == 17_770


def test_diagnose_refuses_what_is_no_host():
    with pytest.raises(ArgumentError, match="a peer is"):
        ipc.diagnose(["host:0"])


def test_hosts_may_be_one_text(monkeypatch):
    monkeypatch.setattr(doctor, "resolve", lambda host: ())
    found = ipc.diagnose("one.invalid, two.invalid:5", timeout=0.1)
    assert {each.about for each in found.findings if each.code == "no-such-name"} == {"one.invalid", "two.invalid"}


def test_wrong_settings_are_a_finding_not_an_error(monkeypatch):
    monkeypatch.setenv("IPCPY_KEY", "secret")
    found = ipc.diagnose(timeout=0.1)
    assert found.level == "problem"
    assert "IPCPY_KEY" in next(each.text for each in found.findings if each.code == "no-node")
    wrong = ipc.diagnose(timeout=0.1, domain="\n")
    assert any("domain is a short printable text" in each.text for each in wrong.findings)


# -- systems that tell little ------------------------------------------------------------------------------------------


def refuse(*_, **__):
    raise TransportError(24, "Too many open files")


def test_a_system_without_proc_netlink_or_sockets_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setattr(probes, "RMEM_MAX", tmp_path / "none")
    monkeypatch.setattr(probes, "GroupSocket", refuse)
    monkeypatch.setattr(probes, "DataSocket", refuse)
    monkeypatch.setattr(probes.sys, "platform", "plan9")
    monkeypatch.setattr(interfaces.netlink, "AVAILABLE", False)
    monkeypatch.setattr(doctor, "probe", refuse)
    monkeypatch.setattr(doctor, "Node", refuse)
    monkeypatch.setattr(doctor, "zeroconf_version", lambda: None)
    monkeypatch.setattr(doctor, "zeroconf_error", lambda: "ImportError: none")
    found = ipc.diagnose(["127.0.0.1"], timeout=0.1)
    assert {"no-node", "buffer", "offload", "group-port-taken", "mdns-port-taken"} <= {e.code for e in found.findings}
