"""Arrows point down only: reads the imports of ipcpy and fails on a wrong one."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "ipcpy"

# Bottom to top. A part imports from the layers below it, and siblings never import one another; only the leaves may.
LEAVES = {
    "addresses",
    "alarms",
    "budget",
    "chance",
    "checksum",
    "clock",
    "errors",
    "events",
    "facts",
    "fast",
    "graph",
    "importing",
    "locks",
    "log",
    "message",
    "rate",
    "records",
    "settings",
    "stats",
    "timeouts",
    "typed",
    "version",
    "wakeups",
}
LAYERS = [
    LEAVES,
    {"codec", "discovery", "protocol", "transport"},
    {"sealing"},
    {"node"},
    {"doctor", "publishing", "subscribing", "views"},
    {"asking"},
    {"bag", "bridges", "parameters"},
    {"__init__"},
    {"overview"},
    {"top", "viewers", "web"},
    {"cli", "testing"},
    {"__main__"},
]
TOOLS = {"cli", "overview", "top", "viewers", "web"}  # programs like a user's, with the public names, what is in OPEN,
OPEN = {"__init__", "views", "overview"}  # and for cli those that it starts
ROOMS = {  # the same inside a folder: what is named imports from before it, and one of a row never from another
    "protocol": [{"topics", "wire"}, {"data", "link"}],
    "discovery": [{"advert", "agenda"}, {"sightings"}],
    "doctor": [{"judge"}],  # the files beside it are above it
    "asking": [{"envelope", "names", "types"}, {"calls", "duties"}],
}

PURE = {
    "asking.calls",
    "asking.duties",
    "asking.envelope",
    "asking.names",
    "asking.types",
    "bag.form",
    "bridges.books",
    "bridges.choice",
    "bridges.offers",
    "bridges.plain",
    "bridges.rules",
    "bridges.thinning",
    "codec",
    "discovery.advert",
    "discovery.agenda",
    "discovery.sightings",
    "doctor.judge",
    "overview.overview",
    "overview.pace",
    "overview.rows",
    "overview.text",
    "overview.values",
    "parameters.functions",
    "parameters.kinds",
    "protocol",
    "sealing.words",
    "top.cells",
    "top.outline",
    "top.plot",
    "views",
    "web.access",
    "web.plots",
    "web.rows",
    "web.wants",
}
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
ONLY_IN = {
    "aiohttp": "web",
    "click": "cli",
    "cryptography": "sealing",
    "foxglove": "viewers",
    "prometheus_client": "web",
    "socket": "transport",
    "textual": "top",
    "zeroconf": "discovery",
}
NOT_AT_START = {  # what a program that imports Publisher and Subscriber waits for: not this, before it is needed
    *("ast", "asyncio", "concurrent.futures", "dataclasses", "email", "hashlib", "importlib", "inspect", "ipaddress"),
    *(
        "json",
        "logging",
        "multiprocessing",
        "pathlib",
        "random",
        "re",
        "secrets",
        "ssl",
        "statistics",
        "subprocess",
        "tempfile",
    ),
    *("traceback", "typing", "unicodedata", "urllib.parse", "uuid", "warnings"),
    *("click", "cryptography", "mcap", "numpy", "zeroconf"),
    *(f"ipcpy.{part}" for part in ("asking", "bag", "bridges", "cli", "discovery", "doctor", "events", "facts")),
    *(f"ipcpy.{part}" for part in ("parameters", "sealing", "testing", "views")),
    *("ipcpy.codec.codec", "ipcpy.codec.library", "ipcpy.node.flows", "ipcpy.node.ledger", "ipcpy.node.whys"),
}
LAZY = {  # extras, up to 94 ms: inside functions
    "aiomqtt",
    "cryptography",
    "mcap",
    "numpy",
    "tomli_w",
    "zenoh",
    "zeroconf",
}


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
    me = [*Path(path).with_suffix("").parts]
    if rank(me[0]) is None:
        return [f"{path}: {me[0]} has no layer; give it one in LAYERS"]
    wrong = []
    for found in imports(ast.parse(source), ["ipcpy", *me[:-1]]):
        top, *inner = found.module.split(".")
        if top == "ipcpy":
            part = inner[0] if inner else found.name if found.name in parts else "__init__"
            room = inner[1] if len(inner) > 1 else found.name if inner else None
            problem = _between_rooms(me, room) if part == me[0] else _inward(me[0], part or "__init__")
        else:
            problem = _outward(me, top, found.at_start)
        if problem:
            wrong.append(f"{path}:{found.line}: {problem}")
    return wrong


def _inward(me: str, part: str) -> str | None:
    mine, other = rank(me), rank(part)
    if other is None:
        return f"{part} has no layer; give it one in LAYERS"
    if me in TOOLS and part not in OPEN and not (me == "cli" and part in TOOLS):
        return f"{me} may use the public names of ipcpy only, not ipcpy.{part}"
    assert mine is not None
    if mine == other and mine > 0:
        return f"{me} and {part} are siblings and never import one another"
    return f"{me} is below {part} and must not import it" if other > mine else None


def _between_rooms(me: list[str], room: str | None) -> str | None:
    """Say what is wrong with an import from the same folder."""
    rows = ROOMS.get(me[0], [])
    top = len(rows)
    mine = next((number for number, row in enumerate(rows) if me[1] in row), top)
    other = next((number for number, row in enumerate(rows) if room in row), top)
    if me[1] == room or mine == other == top:
        return None
    if other > mine:
        return f"{me[1]} is below the rest of {me[0]}" if other == top else f"{me[1]} is below {room}"
    return f"{me[1]} and {room} are siblings and never import one another" if mine == other > 0 else None


def _outward(me: list[str], top: str, at_start: bool) -> str | None:
    if top in ONLY_IN and me[0] != ONLY_IN[top]:
        return f"only {ONLY_IN[top]} may import {top}"
    if top in IMPURE | ONLY_IN.keys() and (me[0] in PURE or ".".join(me[:2]) in PURE):
        return f"{'.'.join(me[:2]) if me[0] not in PURE else me[0]} is pure and must not import {top}"
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
    assert ROOMS.keys() <= set(everything)
    assert IMPURE <= sys.stdlib_module_names


def test_publisher_and_subscriber_come_with_what_they_need_only():
    program = """
import sys
before = set(sys.modules)
from ipcpy import Publisher, Subscriber
print(*sorted(set(sys.modules) - before))
"""
    env = {name: value for name, value in os.environ.items() if name != "IPCPY_LOG"}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
    loaded = set(run.stdout.split())
    assert "ipcpy.publishing.publisher" in loaded
    assert sorted(loaded & NOT_AT_START) == []


# The checker itself, on made-up files

MADE_UP = {
    *("codec", "cli", "discovery", "doctor", "errors", "graph", "node", "overview", "protocol", "publishing"),
    *("top", "transport", "views", "web"),
}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("errors.py", "from ipcpy.graph import NodeInfo"),
        ("codec/library.py", "import struct\nfrom ipcpy.codec.layout import Layout\nfrom ..errors import CodecError"),
        ("codec/arrays.py", "def f():\n    import numpy"),
        ("codec/arrays.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy"),
        ("protocol/data/sender.py", "from ..wire import Frame\nfrom .gaps import Gaps"),
        ("protocol/link/link.py", "from ...errors import IpcError\nfrom .. import topics"),
        ("protocol/wire.py", "from .topics import matches"),
        ("transport/udp.py", "import socket, selectors, time"),
        ("discovery/mdns.py", "def f():\n    from zeroconf import Zeroconf"),
        ("discovery/mdns.py", "import os, threading, time\nfrom .advert import Advert"),
        ("discovery/sightings.py", "from ..budget import Budget\nfrom .advert import Advert"),
        ("discovery/mdns.py", "class A:\n    async def f(self):\n        import zeroconf.asyncio"),
        (
            "node/node.py",
            "import threading\nfrom .. import codec, discovery, protocol, transport\nfrom .loop import Loop",
        ),
        ("publishing/publisher.py", "from ipcpy.node.node import Node"),
        ("doctor/examination.py", "from .judge.host import judge_host\nfrom . import judge, ways"),
        ("doctor/judge/host.py", "from .peers import judge_peer\nfrom ...facts import Trial"),
        ("__init__.py", "from .publishing.publisher import Publisher"),
        (
            "cli/echo.py",
            "import click, ipcpy\nfrom ipcpy import Subscriber\nfrom ipcpy.cli.output import show\nfrom . import run",
        ),
        ("cli/top.py", "def f():\n    from ..top.app import App"),
        (
            "web/server.py",
            "import aiohttp\nimport ipcpy as ipc\nfrom ..overview import Overview\nfrom .. import views",
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
        ("protocol/wire.py", "import time", "protocol is pure and must not import time"),
        ("protocol/link/link.py", "def f():\n    import os.path", "protocol is pure and must not import os"),
        ("protocol/link/link.py", "from importlib import import_module", None),
        ("protocol/wire.py", "import importlib\nimportlib.import_module('threading')", "must not import threading"),
        ("protocol/wire.py", "__import__('asyncio')", "must not import asyncio"),
        ("protocol/wire.py", "import zeroconf", "only discovery may import zeroconf"),
        ("protocol/wire.py", "from ipcpy import Node", "protocol is below __init__"),
        ("protocol/wire.py", "from .data.gaps import Gaps", "wire is below data"),
        ("protocol/wire.py", "from . import link", "wire is below link"),
        ("protocol/data/sender.py", "from ..link.table import Table", "data and link are siblings"),
        ("protocol/link/table.py", "from ipcpy.protocol import data", "link and data are siblings"),
        ("doctor/judge/host.py", "from ..ways import examine", "judge is below the rest of doctor"),
        ("doctor/judge/host.py", "import time", "doctor.judge is pure and must not import time"),
        ("doctor/ways.py", "from ..publishing.route import Route", "doctor and publishing are siblings"),
        ("transport/udp.py", "import ipcpy", "transport is below __init__"),
        ("transport/udp.py", "from ipcpy.node.node import Node", "transport is below node"),
        ("transport/udp.py", "if TYPE_CHECKING:\n    from ipcpy.node.node import Node", "transport is below node"),
        ("discovery/advert.py", "import time", "discovery.advert is pure and must not import time"),
        (
            "discovery/sightings.py",
            "def f():\n    import zeroconf",
            "discovery.sightings is pure and must not import zeroconf",
        ),
        ("discovery/sightings.py", "from .channel import Channel", "sightings is below the rest of discovery"),
        ("discovery/advert.py", "from .sightings import Hint", "advert is below sightings"),
        ("discovery/mdns.py", "import socket", "only transport may import socket"),
        ("discovery/mdns.py", "import zeroconf", "slow to import"),
        ("discovery/mdns.py", "try:\n    from zeroconf import Zeroconf\nexcept ImportError: pass", "slow to import"),
        ("codec/arrays.py", "class A:\n    import numpy", "slow to import"),
        ("node/node.py", "from socket import socket", "only transport may import socket"),
        ("node/node.py", "from ipcpy.publishing.publisher import Publisher", "node is below publishing"),
        ("publishing/publisher.py", "from ipcpy.cli import main", "publishing is below cli"),
        ("publishing/publisher.py", "import click", "only cli may import click"),
        ("cli/echo.py", "from ipcpy.node.node import Node", "public names of ipcpy only, not ipcpy.node"),
        ("cli/echo.py", "from ipcpy import node", "public names of ipcpy only, not ipcpy.node"),
        ("cli/echo.py", "from ..graph import NodeInfo", "public names of ipcpy only, not ipcpy.graph"),
        ("top/app.py", "from ..graph import NodeInfo", "top may use the public names of ipcpy only, not ipcpy.graph"),
        ("top/app.py", "from ..web import page", "public names of ipcpy only, not ipcpy.web"),
        ("web/server.py", "from ..cli.render import size", "public names of ipcpy only, not ipcpy.cli"),
        ("overview/rows.py", "from ..top.app import App", "public names of ipcpy only, not ipcpy.top"),
        ("web/server.py", "import textual", "only top may import textual"),
        ("node/node.py", "from ..overview import Overview", "node is below overview"),
        ("drawer.py", "", "drawer has no layer"),
        ("node/node.py", "from ipcpy.drawer import thing", "drawer has no layer"),
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
