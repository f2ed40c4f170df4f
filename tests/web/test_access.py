"""Who may ask: pages of others, names of others and those without a token get nothing."""

from __future__ import annotations

import pytest

from ipcpy.web.access import Asked, Guard, is_loopback

OPEN = Guard.of("", ["Robot.local", "robot"])
CLOSED = Guard.of("secret", ["robot.local"])


@pytest.mark.parametrize(
    "asked",
    [
        Asked("127.0.0.1:8470"),
        Asked("localhost:8470"),
        Asked("LOCALHOST"),
        Asked("localhost.:8470"),
        Asked("[::1]:8470", local="::1"),
        Asked("robot.local:8470"),
        Asked("192.168.1.7:8470", local="192.168.1.7"),
        Asked("127.0.0.1:8470", origin="http://127.0.0.1:8470", site="same-origin", reads=False),
        Asked("robot.local", origin="https://robot.local", reads=False),
        Asked("127.0.0.1:8470", site="cross-site", page=True),
        Asked("127.0.0.1:8470", site="none"),
    ],
    ids=str,
)
def test_who_asks_this_server_by_its_names_from_its_own_page_is_answered(asked):
    assert OPEN.refusal(asked) == ""


@pytest.mark.parametrize(
    "asked",
    [
        Asked(""),
        Asked("evil.example"),
        Asked("evil.example:8470"),
        Asked("127.0.0.1.evil.example:8470"),
        Asked("localhost.evil.example"),
        Asked("192.168.1.8:8470", local="192.168.1.7"),
        Asked("localhost:8470", local="192.168.1.7"),
        Asked("127.0.0.1:8470", local="192.168.1.7"),
        Asked("127.0.0.1:8470@evil.example"),
        Asked("evil.example#127.0.0.1"),
        Asked("robot.local:8470:99"),
        Asked("robot.local\n"),
        Asked("127.0.0.1:8470", origin="http://evil.example"),
        Asked("127.0.0.1:8470", origin="http://evil.example", page=True),
        Asked("127.0.0.1:8470", origin="http://127.0.0.1:9000"),
        Asked("127.0.0.1:8470", origin="http://localhost:8470"),
        Asked("127.0.0.1:8470", origin="null"),
        Asked("127.0.0.1:8470", origin=""),
        Asked("127.0.0.1:8470", origin="http://[::1"),
        Asked("127.0.0.1:8470", origin="file://127.0.0.1:8470"),
        Asked("127.0.0.1:8470", site="cross-site"),
        Asked("127.0.0.1:8470", site="same-site"),
        Asked("127.0.0.1:8470", site="cross-site", page=True, reads=False),
    ],
    ids=str,
)
def test_who_asks_otherwise_is_told_why_not(asked):
    assert OPEN.refusal(asked)


@pytest.mark.parametrize("token", ["", "secre", "secret ", "SECRET", "sécret", "\ud800"])
def test_without_the_token_there_is_no_answer(token):
    assert "token" in CLOSED.refusal(Asked("robot.local", token=token))


def test_with_the_token_there_is_one_and_files_without_data_need_none():
    assert CLOSED.refusal(Asked("robot.local", token="secret")) == ""
    assert CLOSED.refusal(Asked("robot.local"), free=True) == ""
    assert CLOSED.refusal(Asked("evil.example"), free=True)


def test_the_token_is_not_shown():
    assert "secret" not in repr(CLOSED)


@pytest.mark.parametrize(("address", "local"), [("127.9.9.9", True), ("0.0.0.0", False), ("", False), ("robot", False)])
def test_loopback_is_known(address, local):
    assert is_loopback(address) is local
