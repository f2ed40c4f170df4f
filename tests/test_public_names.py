"""What `import ipcpy` promises: names, handles that show what users use, docstrings that are true, little time."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil

import pytest

import ipcpy
import ipcpy.testing
from ipcpy.bridges.memory import MemoryAdapter, Sky

PROMISED = {
    *("Publisher", "Subscriber", "Message", "Node", "topics", "nodes"),
    *("MsgLibrary", "MsgPack", "Raw"),
    *("SocketUDP", "get_msg", "get_ip"),
    *("IpcError", "ArgumentError", "CodecError", "SchemaError", "ClosedError", "TransportError", "RecvTimeout"),
}
MODULES = sorted(module.name for module in pkgutil.walk_packages(ipcpy.__path__, "ipcpy."))


def test_the_promised_names_are_there():
    assert PROMISED <= set(ipcpy.__all__)


@pytest.mark.parametrize("name", sorted(ipcpy.__all__))
def test_a_public_name_can_be_used_and_is_documented(name):
    value = getattr(ipcpy, name)
    if callable(value):
        assert (value.__doc__ or "").strip()
    assert name in dir(ipcpy)


def test_type_checkers_see_the_names_that_there_are_where_they_are():
    """The package names its names twice: for Python, which imports them late, and for those who only read it."""
    block = next(node for node in ast.parse(inspect.getsource(ipcpy)).body if isinstance(node, ast.If))
    read = {(alias.name, alias.asname, line.module) for line in block.body for alias in line.names}
    assert read == {(name, name, home) for name, home in ipcpy._HOME_OF.items()}


def test_all_shows_the_public_names_and_the_version():
    assert dir(ipcpy) == sorted([*ipcpy.__all__, "__version__"])
    everything = {}
    exec("from ipcpy import *", everything)
    assert set(ipcpy.__all__) <= set(everything)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        ipcpy.no_such_name  # noqa: B018


# -- handles: what ``dir`` shows is for users ------------------------------------------------------------------------

HANDLES = {
    "Bag": "about array clocks close damage delay end_ns messages paths save size span_ns start_ns topics verify",
    "BlackBox": "close dump paths stats",
    "Bridge": "close closed id linked name rules status",
    "Node": "clock close closed domain domains flows flows_async id keys name namespace nodes resolve stats"
    " strangers topics wait_complete wait_complete_async watch why why_async",
    "Parameters": "close keys load on_change on_set save set set_async wait_for_parameters wait_for_parameters_async",
    "Player": "close duration last pause paused position publishers rate resume run run_async stats step steps topics"
    " wait_for_subscribers wait_for_subscribers_async",
    "Publisher": "close id loan publish publish_async publish_many publish_many_async stats subscribers topic"
    " wait_for_subscribers wait_for_subscribers_async why",
    "Recorder": "close failure path paths stats",
    "Subscriber": "close delay id latest publishers recv recv_async recv_many recv_many_async stats topic"
    " wait_for_publishers wait_for_publishers_async watch why",
    "Watch": "close get get_async",
}


@pytest.fixture
def handles():
    """One of each public class that is held."""
    with ipcpy.testing.MemoryNetwork() as network:
        node = network.node("handles")
        yield {
            "Node": node,
            "Watch": node.watch(),
            "Parameters": ipcpy.Parameters("a", node=node),
            "Publisher": ipcpy.Publisher("a", node=node),
            "Subscriber": ipcpy.Subscriber("a", node=node),
            "Bridge": ipcpy.Bridge(MemoryAdapter(Sky()), node=node),
        }


@pytest.fixture
def recorders(tmp_path):
    """One of each public class that records or reads recordings."""
    pytest.importorskip("mcap", reason="needs ipcpy[bag]")
    with ipcpy.testing.MemoryNetwork() as network:
        recorder = ipcpy.Recorder(tmp_path / "a.mcap", node=network.node("recorder"))
        box = ipcpy.BlackBox(1, tmp_path, node=network.node("box"))
        recorder.close()
        bag = ipcpy.Bag(recorder.path)
        player = ipcpy.Player(bag, node=network.node("player"))
        yield {"Recorder": recorder, "BlackBox": box, "Bag": bag, "Player": player}
        player.close()
        bag.close()
        box.close()


@pytest.mark.parametrize("name", ["Bag", "BlackBox", "Player", "Recorder"])
def test_a_recorder_shows_what_users_use_and_nothing_else(recorders, name):
    assert {each for each in dir(recorders[name]) if not each.startswith("_")} == set(HANDLES[name].split())


@pytest.mark.parametrize("name", sorted(HANDLES.keys() - {"Bag", "BlackBox", "Player", "Recorder"}))
def test_a_handle_shows_what_users_use_and_nothing_else(handles, name):
    shown = {each for each in dir(handles[name]) if not each.startswith("_")}
    assert shown == set(HANDLES[name].split())


@pytest.mark.parametrize("name", sorted(HANDLES))
def test_all_that_a_handle_shows_is_documented(name):
    for each in HANDLES[name].split():
        assert (inspect.getdoc(getattr(getattr(ipcpy, name), each)) or "").strip(), each


# -- docstrings, time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_are_right(name):
    if name.startswith("ipcpy.bag"):
        pytest.importorskip("mcap", reason="needs ipcpy[bag]")
    if name.startswith("ipcpy.top"):
        pytest.importorskip("textual", reason="needs ipcpy[top]")
    if name.startswith("ipcpy.web"):
        pytest.importorskip("aiohttp", reason="needs ipcpy[web]")
    if not name.endswith("__main__"):
        assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_import_loads_nothing_slow(spawn):
    program = (
        "import sys, ipcpy; print(*sorted({'asyncio', 'click', 'numpy', 'socket', 'zeroconf'} & set(sys.modules)))"
    )
    assert spawn(program).succeed().strip() == ""
