"""``ipcpy services``, against another process."""

from __future__ import annotations

import json
import sys

import pytest

from arm import ARM

IPCPY = [sys.executable, "-m", "ipcpy.cli"]


@pytest.fixture
def arm(spawn):
    process = spawn(ARM)
    process.wait_line("ready")
    return process


def test_services_are_shown_with_types_and_who_answers(arm, spawn):
    head, first, second, third, footer = spawn([*IPCPY, "services"]).succeed().splitlines()
    assert head.split() == ["SERVICE", "REQUEST", "REPLY", "ANSWERED", "BY", "ASKED", "BY", "HOSTS"]
    assert first.split()[:6] == ["arm/move", "Goal", "msgpack", "(steps)", "arm", "-"]
    assert second.split()[:5] == ["double", "any", "msgpack", "arm", "-"]
    assert third.startswith("fail ")
    assert footer.startswith("3 services in domain test")


def test_services_as_json(arm, spawn):
    found = [json.loads(line) for line in spawn([*IPCPY, "services", "--json"]).succeed().splitlines()]
    assert [each["service"] for each in found] == ["arm/move", "double", "fail"]
    assert found[0]["request"]["schema"]["messages"][0]["fields"] == ["x", "y"]
    assert (found[0]["steps"], found[1]["steps"]) == (True, False)
    assert [server["node"]["name"] for server in found[0]["servers"]] == ["arm"]


def test_the_topics_that_services_are_made_of_are_no_topics_of_list(arm, spawn):
    process = spawn([*IPCPY, "list", "--timeout", "0.3"])
    assert process.wait(timeout=40) == 3


def test_no_services_is_exit_code_3_and_says_what_may_help(spawn):
    process = spawn([*IPCPY, "services", "--timeout", "0.2", "--domain", "nobody"])
    assert process.wait(timeout=40) == 3
    assert "no service within 0.2 s in domain 'nobody'" in process.report()
