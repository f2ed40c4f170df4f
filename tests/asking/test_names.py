"""The topics of services: which they are, and that no user's topic or pattern is one."""

from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.asking.names import answers_topic, check_service, client_of, place_of, requests_topic, service_name
from ipcpy.protocol.naming import Naming
from ipcpy.protocol.topics import check_pattern, check_topic, matches

SERVER, CLIENT = "0123456789abcdef", "fedcba9876543210"


def test_a_topic_tells_service_and_server():
    assert place_of(requests_topic("arm/move", SERVER)) == ("arm/move", SERVER)
    assert client_of(answers_topic(SERVER, CLIENT), SERVER) == CLIENT
    assert client_of(answers_topic(CLIENT, SERVER), SERVER) is None


@pytest.mark.parametrize("topic", ["arm/move", "@ipcpy/service/arm", f"@ipcpy/answer/{SERVER}/{CLIENT}", "@ipcpy"])
def test_other_topics_are_no_place_of_a_service(topic):
    assert place_of(topic) is None


def test_the_longest_name_of_a_service_still_makes_a_topic():
    assert check_topic(requests_topic(check_service("a" * 200), SERVER)).endswith(SERVER)
    with pytest.raises(ipc.ArgumentError, match="at most 200 bytes"):
        check_service("é" * 101)


@pytest.mark.parametrize("name", ["", "a b", "arm/*", "//arm", "@ipcpy/service/x/0123456789abcdef", None, b"arm"])
def test_a_wrong_name_is_refused(name):
    with pytest.raises(ipc.ArgumentError):
        check_service(name)


def test_a_name_is_under_the_namespace_and_says_what_was_asked_for():
    naming = Naming("left", [("move", "go")])
    name = service_name(check_service("move"), naming)
    assert (str(name), repr(name)) == ("left/go", "'left/go' (asked for as 'move', in namespace 'left', remapped)")
    assert service_name(check_service("/move"), naming) == "move"
    with pytest.raises(ipc.ArgumentError, match="at most 200 bytes, got 'left/"):
        service_name(check_service("a" * 200), naming)


@pytest.mark.parametrize("topic", ["@ipcpy", "@ipcpy/service/arm/0123456789abcdef", "@ipcpy/**"])
def test_no_user_can_have_a_topic_of_ipcpys_own(topic):
    with pytest.raises(ipc.ArgumentError, match="ipcpy's own"):
        check_pattern(topic)
    assert check_pattern("@ipcpyx/a") == "@ipcpyx/a"


@pytest.mark.parametrize("pattern", ["**", "*/service/**", "*"])
def test_no_users_pattern_stands_for_one(pattern):
    assert not matches(pattern, requests_topic("arm", SERVER))
    assert not matches(pattern, "@ipcpy")
