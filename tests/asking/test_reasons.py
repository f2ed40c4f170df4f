"""What is said of services: who is there, who was, and what else there is."""

from __future__ import annotations

import pytest

import ipcpy as ipc


def test_a_service_that_is_not_there_names_those_that_are(serve, there, ask, name):
    serve(lambda request: 1)
    ask().wait_for_service(20)
    with ipc.Client("nothing/of/that", node=there) as other:
        assert f"No server of 'nothing/of/that' is known in domain '{there.domain}'. Services: " in other.why()
        assert name in other.why()


def test_where_no_service_is_known_that_is_said():
    with ipc.Node("alone", domain="nobody-else") as node, ipc.Client("arm", node=node) as client:
        assert client.why().endswith("No service is known at all.")


@pytest.mark.parametrize("others", [False, True])
def test_who_shares_no_key_is_told_of(serve, there, ask, monkeypatch, others):
    if others:
        serve(lambda request: 1)
        ask().wait_for_service(20)
    stranger = ipc.Stranger(2, "acid coral raft zone")
    monkeypatch.setattr(there._core.picture, "strangers", lambda: (stranger,))
    with ipc.Client("nothing/of/that", node=there) as client:
        assert ("Services: " in client.why()) is others
        assert client.why().endswith(f". {stranger.text}.")


def test_who_is_asked_is_said(serve, ask):
    serve(lambda request: 1)
    client = ask()
    client.wait_for_service(20)
    assert client.why().startswith("Server 'server' on ")
    assert client.why().endswith(": it is asked.")


def test_a_server_that_cannot_be_matched_is_no_missing_service(serve, ask):
    serve(lambda request: 1)
    client = ask()
    client.wait_for_service(20)
    second = ask()
    with pytest.raises((ipc.RecvTimeout, ipc.NoService)):
        second.call(timeout=0)
