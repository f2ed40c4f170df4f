"""Arrows point down only: reads the imports of ipcpy and fails on a wrong one."""

from __future__ import annotations

import ast
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "ipcpy"

# Bottom to top. A part imports from its own layer or below, but siblings never import one another.
LEAVES = {"errors", "facts", "graph", "log", "message", "settings", "stats", "version"}
SIBLINGS = {"codec", "diagnosis", "discovery", "protocol", "transport"}
LAYERS = [
    LEAVES,
    SIBLINGS,
    {
        "echoing",
        "fanout",
        "flow",
        "gathering",
        "inbound",
        "inbox",
        "loop",
        "peering",
        "reader",
        "route",
        "routes",
        "view",
        "waiters",
        "watching",
    },
    {"introductions"},
    {"node"},
    {"delivery", "fanouts"},
    {"publisher", "subscriber"},
    {"hearing", "probing"},
    {"doctor"},
    {"__init__"},
    {"__main__", "cli", "testing"},
]

PURE = {"codec", "diagnosis", "protocol"}
IMPURE = {
    "asyncio",
    "multiprocessing",
    "os",
    "select",
    "selectors",
    "signal",
    "socket",
    "subprocess",
    "threading",
    "time",
}
ONLY_IN = {"socket": "transport", "zeroconf": "discovery", "click": "cli"}
LAZY = {"numpy", "zeroconf"}  # 94 and 55 ms: inside the functions that need them


@dataclass(frozen=True)
class Import:
    """One imported module, ``ipcpy`` with the name that is taken from it."""

    module: str
    name: str | None
    line: int
    at_start: bool  # runs when the module is imported


def imports(tree: ast.AST, package: list[str], at_start: bool = True) -> Iterator[Import]:
    """Find every import, those in functions and by ``import_module("name")`` included."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import(names):
                yield from (Import(alias.name, None, node.lineno, at_start) for alias in names)
            case ast.ImportFrom(module, names, level):
                base = package[: len(package) - level + 1] if level else []
                full = ".".join([*base, *([module] if module else [])])
                yield from (Import(full, alias.name, node.lineno, at_start) for alias in names)
            case ast.Call(ast.Name("__import__") | ast.Attribute(attr="import_module"), [ast.Constant(str(name)), *_]):
                yield Import(name, None, node.lineno, at_start)
            case ast.If(ast.Name("TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"), body, orelse):
                yield from imports(ast.Module(body, []), package, at_start=False)
                yield from imports(ast.Module(orelse, []), package, at_start)
                continue
        inner = at_start and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports(node, package, inner)


def rank(part: str) -> int | None:
    """Return the layer of a part, 0 for the leaves; None where it has none."""
    return next((number for number, layer in enumerate(LAYERS) if part in layer), None)


def wrong_imports(path: str, source: str, parts: set[str]) -> list[str]:
    """Say what is wrong with the imports of one file.

    Args:
        path: relative to the package, such as ``codec/library.py``.
        source: its text.
        parts: the modules and folders directly in the package; what else is imported from ``ipcpy`` is a public name.
    """
    *folders, file = Path(path).with_suffix("").parts
    me = folders[0] if folders else file
    if rank(me) is None:
        return [f"{path}: {me} has no layer; give it one in LAYERS"]
    wrong = []
    for found in imports(ast.parse(source), ["ipcpy", *folders]):
        top, _, rest = found.module.partition(".")
        if top == "ipcpy":
            part = rest.split(".")[0] or (found.name if found.name in parts else "__init__")
            problem = _inward(me, part or "__init__")
        else:
            problem = _outward(me, top, found.at_start)
        if problem:
            wrong.append(f"{path}:{found.line}: {problem}")
    return wrong


def _inward(me: str, part: str) -> str | None:
    mine, other = rank(me), rank(part)
    if me == part:
        return None
    if other is None:
        return f"{part} has no layer; give it one in LAYERS"
    if me == "cli" and part != "__init__":
        return f"cli may use the public names of ipcpy only, not ipcpy.{part}"
    if me in SIBLINGS and part in SIBLINGS:
        return f"{me} and {part} are siblings and never import one another"
    assert mine is not None
    return f"{me} is below {part} and must not import it" if other > mine else None


def _outward(me: str, top: str, at_start: bool) -> str | None:
    if me in PURE and top in IMPURE:
        return f"{me} is pure and must not import {top}"
    if top in ONLY_IN and me != ONLY_IN[top]:
        return f"only {ONLY_IN[top]} may import {top}"
    if top in LAZY and at_start:
        return f"{top} is slow to import; do it in the function that needs it"
    return None


PARTS = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_point_down(path):
    wrong = wrong_imports(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"), PARTS)
    assert not wrong, "\n".join(wrong)


def test_every_layer_is_named_once():
    everything = [part for layer in LAYERS for part in layer]
    assert len(everything) == len(set(everything))
    assert PURE < SIBLINGS
    assert IMPURE <= sys.stdlib_module_names


# The checker itself, on made-up files

MADE_UP = {
    "codec",
    "discovery",
    "errors",
    "graph",
    "inbox",
    "node",
    "peering",
    "protocol",
    "publisher",
    "transport",
    "cli",
}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("errors.py", "from ipcpy.graph import NodeInfo"),
        ("codec/library.py", "import struct\nfrom ipcpy.codec.layout import Layout\nfrom ..errors import CodecError"),
        ("codec/arrays.py", "def f():\n    import numpy"),
        ("codec/arrays.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy"),
        ("transport/udp.py", "import socket, selectors, time"),
        ("discovery/mdns.py", "def f():\n    from zeroconf import Zeroconf"),
        ("discovery/mdns.py", "class A:\n    async def f(self):\n        import zeroconf.asyncio"),
        (
            "node.py",
            "import threading\nfrom ipcpy import codec, discovery, protocol, transport\nfrom .inbox import Inbox",
        ),
        ("publisher.py", "from ipcpy.node import Node"),
        ("__init__.py", "from .publisher import Publisher"),
        (
            "cli/echo.py",
            "import click, ipcpy\nfrom ipcpy import Subscriber\nfrom ipcpy.cli.output import show\nfrom . import run",
        ),
    ],
)
def test_right_arrows_pass(path, source):
    assert wrong_imports(path, source, MADE_UP) == []


@pytest.mark.parametrize(
    ("path", "source", "problem"),
    [
        ("errors.py", "from ipcpy.codec import MsgPack", "errors is below codec"),
        ("codec/library.py", "from ipcpy.protocol import wire", "codec and protocol are siblings"),
        ("codec/library.py", "from ipcpy import protocol", "codec and protocol are siblings"),
        ("codec/library.py", "from .. import transport", "codec and transport are siblings"),
        ("codec/library.py", "from ..transport.udp import Socket", "codec and transport are siblings"),
        ("protocol/link.py", "import time", "protocol is pure and must not import time"),
        ("protocol/link.py", "def f():\n    import os.path", "protocol is pure and must not import os"),
        ("protocol/link.py", "from importlib import import_module", None),
        ("protocol/link.py", "import importlib\nimportlib.import_module('threading')", "must not import threading"),
        ("protocol/link.py", "__import__('asyncio')", "must not import asyncio"),
        ("protocol/link.py", "import zeroconf", "only discovery may import zeroconf"),
        ("protocol/link.py", "from ipcpy import Node", "protocol is below __init__"),
        ("transport/udp.py", "import ipcpy", "transport is below __init__"),
        ("transport/udp.py", "from ipcpy.node import Node", "transport is below node"),
        ("transport/udp.py", "if TYPE_CHECKING:\n    from ipcpy.node import Node", "transport is below node"),
        ("discovery/mdns.py", "import socket", "only transport may import socket"),
        ("discovery/mdns.py", "import zeroconf", "slow to import"),
        ("discovery/mdns.py", "try:\n    from zeroconf import Zeroconf\nexcept ImportError: pass", "slow to import"),
        ("codec/arrays.py", "class A:\n    import numpy", "slow to import"),
        ("node.py", "from socket import socket", "only transport may import socket"),
        ("node.py", "from ipcpy.publisher import Publisher", "node is below publisher"),
        ("publisher.py", "from ipcpy.cli import main", "publisher is below cli"),
        ("peering.py", "from .node import Node", "peering is below node"),
        ("publisher.py", "import click", "only cli may import click"),
        ("cli/echo.py", "from ipcpy.node import Node", "public names of ipcpy only, not ipcpy.node"),
        ("cli/echo.py", "from ipcpy import node", "public names of ipcpy only, not ipcpy.node"),
        ("cli/echo.py", "from ..graph import NodeInfo", "public names of ipcpy only, not ipcpy.graph"),
        ("drawer.py", "", "drawer has no layer"),
        ("node.py", "from ipcpy.drawer import thing", "drawer has no layer"),
    ],
)
def test_wrong_arrows_are_found(path, source, problem):
    wrong = wrong_imports(path, textwrap.dedent(source), MADE_UP)
    if problem is None:
        assert wrong == []
    else:
        assert len(wrong) == 1
        assert problem in wrong[0]
        assert wrong[0].startswith(path)
