"""Who shares no key is told of: by list, nodes, why and doctor, with a key and without one."""

from __future__ import annotations

import json
import sys

import pytest

import ipcpy as ipc

pytest.importorskip("cryptography", reason="needs ipcpy[secure]")

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
ROBOT = """
    import sys
    import ipcpy as ipc
    keyed = ipc.Node("keyed", key=sys.argv[1])
    imu = ipc.Publisher("imu", node=keyed)
    other = ipc.Node("other", key=sys.argv[2])
    odom = ipc.Publisher("odom", node=other)
    plain = ipc.Node("plain", key=False)
    gps = ipc.Publisher("gps", node=plain)
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def files(tmp_path):
    """Two key files."""
    return ipc.new_key(tmp_path / "ours"), ipc.new_key(tmp_path / "theirs", algorithm="aes-256-gcm")


@pytest.fixture
def robot(spawn, files):
    process = spawn(ROBOT, *(file.path for file in files))
    process.wait_line("ready")
    return process


def other_key(file, count=1):
    nodes = "nodes here use" if count > 1 else "node here uses"
    return f"{count} {nodes} a key you do not have (fingerprint: {file.keys[0].fingerprint})."


NO_KEY = "1 node here uses none, and this program has a key."


def run(spawn, *words, codes=(0,)):
    """Return what a command printed, and what it said beside that."""
    process = spawn([*IPCPY, *words])
    assert process.wait(30) in codes, process.report()
    return process.stdout, process.stderr


@pytest.mark.parametrize(
    ("ours", "shown", "hidden"),
    [(0, "imu", {"odom", "gps"}), (1, "odom", {"imu", "gps"}), (None, "gps", {"imu", "odom"})],
)
def test_list_shows_the_topics_of_who_shares_the_key_and_tells_of_the_others(robot, spawn, files, ours, shown, hidden):
    key = files[ours].path if ours is not None else ""
    told = {other_key(file) for number, file in enumerate(files) if number != ours}
    told |= {NO_KEY} if ours is not None else set()
    topics, said = run(spawn, "list", "--json", "--key", key)
    assert [json.loads(line)["topic"] for line in topics.splitlines()] == [shown]
    assert not [name for name in hidden if name in said]
    for sentence in told:
        assert sentence in said


def test_nodes_tells_of_them_too(robot, spawn, files):
    shown, said = run(spawn, "nodes", "--key", files[0].path)
    assert "keyed" in shown and "plain" not in shown and "other " not in shown
    assert other_key(files[1]) in said and NO_KEY in said


def test_where_nothing_is_found_the_error_tells_of_them(robot, spawn, files, tmp_path):
    third = ipc.new_key(tmp_path / "third")
    _, said = run(spawn, "list", "--key", third.path, codes=(3,))
    assert NO_KEY in said
    assert all(other_key(file) in said for file in files)


def test_why_tells_of_them(robot, files, wait_until):
    with ipc.Node("asking", key=files[1].path) as node, ipc.Subscriber("imu", node=node) as sub:
        wait_until(lambda: other_key(files[0]) in sub.why() and NO_KEY in sub.why())
        assert "No publisher of 'imu' is known" in sub.why()


def test_the_doctor_asks_sealed_and_tells_of_them(robot, spawn, files):
    shown, _ = run(spawn, "doctor", "--json", "--key", files[0].path, codes=(0, 4))
    found = {finding["code"]: finding for finding in map(json.loads, shown.splitlines())}
    assert found["other-key"]["data"] == {"nodes": 1, "fingerprint": files[1].keys[0].fingerprint}
    assert found["no-key"]["data"] == {"nodes": 1, "fingerprint": None}
    assert files[0].keys[0].fingerprint in found["settings"]["text"]
    assert found["peer"]["text"].startswith("keyed on ") and "data passes both ways" in found["peer"]["text"]


def test_the_doctor_without_a_key_tells_of_them(robot, spawn, files):
    shown, _ = run(spawn, "doctor", "--json", codes=(0, 4))
    found = [json.loads(line) for line in shown.splitlines()]
    told = {finding["data"]["fingerprint"] for finding in found if finding["code"] == "other-key"}
    assert told == {file.keys[0].fingerprint for file in files}
    assert "no-key" not in {finding["code"] for finding in found}


@pytest.mark.parametrize(
    "words", ["info imu", "services", "call arm 1 --timeout 1", "param list", "pub imu 1 --timeout 1"]
)
def test_whichever_command_finds_nothing_tells_of_them(robot, spawn, files, tmp_path, words):
    third = ipc.new_key(tmp_path / "third")
    _, said = run(spawn, *words.split(), "--key", third.path, codes=(3,))
    assert NO_KEY in said
    assert all(other_key(file) in said for file in files)


def test_a_topic_that_is_kept_from_us_is_told_of_beside_those_that_are_not(robot, spawn, files):
    _, said = run(spawn, "info", "odom", "--key", files[0].path, codes=(3,))
    assert "Topics there are: imu. " in said
    assert other_key(files[1]) in said
