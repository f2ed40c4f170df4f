"""The list of services, where several servers answer one name."""

from __future__ import annotations

import asyncio

import pytest

import ipcpy as ipc
from lan_process import wait_until


def test_all_servers_of_a_name_are_one_service(serve, there, name):
    serve(lambda request: 1)
    serve(lambda request: 2)
    wait_until(lambda: [len(s.servers) for s in ipc.services(0, there) if s.name == name] == [2])


def test_a_service_that_is_closed_is_listed_no_more_though_its_clients_are_there(serve, ask, there, name):
    service = serve(lambda request: 1)
    ask().call(timeout=20)
    assert name in [each.name for each in ipc.services(0, there)]
    service.close()
    wait_until(lambda: name not in [each.name for each in ipc.services(0, there)])


def test_a_coroutine_gets_the_same_list(serve, there, name):
    serve(lambda request: 1)
    wait_until(lambda: name in [each.name for each in ipc.services(0, there)])
    for timeout in (0, 5):
        assert name in [each.name for each in asyncio.run(ipc.services_async(timeout, there))]


def test_a_closed_node_and_a_wrong_timeout_are_refused():
    with ipc.Node("brief") as node, pytest.raises(ipc.ArgumentError):
        ipc.services("soon", node)
    with pytest.raises(ipc.ClosedError):
        ipc.services(node=node)
