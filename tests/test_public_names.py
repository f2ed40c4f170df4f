"""What `import ipcpy` promises: names, docstrings that tell the truth, and little time."""

from __future__ import annotations

import doctest
import importlib
import importlib.metadata
import pkgutil

import pytest

import ipcpy

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


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        ipcpy.no_such_name  # noqa: B018


def test_the_version_is_that_of_the_package():
    assert ipcpy.__version__ == importlib.metadata.version("ipcpy")
    assert tuple(map(int, ipcpy.__version__.split("."))) > (2026, 8, 4, 1)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_are_right(name):
    if not name.endswith("__main__"):
        assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_import_loads_nothing_slow(spawn):
    program = (
        "import sys, ipcpy; print(*sorted({'asyncio', 'click', 'numpy', 'socket', 'zeroconf'} & set(sys.modules)))"
    )
    assert spawn(program).succeed().strip() == ""
