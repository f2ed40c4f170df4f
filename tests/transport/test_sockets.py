"""transport.sockets: a node sends by the system's sockets, unless others are put in their place."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial

import pytest

from ipcpy.transport.connected import ConnectedSocket
from ipcpy.transport.data import DataSocket
from ipcpy.transport.group import FanoutSocket
from ipcpy.transport.link import LinkSocket
from ipcpy.transport.sockets import Sockets


def test_the_usual_ones_are_the_system_s() -> None:
    usual = Sockets()
    assert (usual.data, usual.connected, usual.fanout, usual.link) == (
        DataSocket,
        ConnectedSocket,
        FanoutSocket,
        LinkSocket,
    )
    assert usual.mdns


def test_each_kind_makes_sockets_with_the_arguments_of_its_class() -> None:
    host = "127.0.0.1"
    data, link = Sockets().data(host), Sockets().link(host, ())
    connected, fanout = Sockets().connected((host, data.port), 1_400), Sockets().fanout(("239.255.77.71", 9), 1, host)
    made = (data, connected, fanout, link)
    assert len({each.fileno() for each in made} - {-1}) == 4
    for each in made:
        each.close()
    assert {each.fileno() for each in made} == {-1}


@pytest.mark.parametrize("kind", [field.name for field in fields(Sockets) if field.name != "mdns"])
def test_one_kind_is_replaced_without_the_others(kind: str) -> None:
    other = partial(DataSocket, "127.0.0.1")
    changed = replace(Sockets(), **{kind: other})
    assert getattr(changed, kind) is other
    assert replace(changed, **{kind: getattr(Sockets(), kind)}) == Sockets()
