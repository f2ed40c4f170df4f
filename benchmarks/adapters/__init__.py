"""The families that are measured: what each is called, where it is, what it needs. Imports none of them."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import platform
from dataclasses import dataclass

from .contract import Adapter, Setting

__all__ = ["ADAPTERS", "Family", "load", "missing"]


@dataclass(frozen=True)
class Family:
    """How one way of sending messages is found.

    Attributes:
        peer: the name by which ``--peers`` knows it; empty for ipcpy and the raw floors.
        needs: the module that must be there.
        package: the distribution it comes in.
    """

    where: str
    peer: str = ""
    needs: str = ""
    package: str = ""


ADAPTERS = {
    "raw": Family("raw:Raw"),
    "raw asyncio": Family("raw:RawAsyncio"),
    "raw gso": Family("gso:RawGso"),
    "ipcpy": Family("own:Ipcpy"),
    "ipcpy loan": Family("own:IpcpyLoan"),
    "ipcpy udp": Family("own:IpcpyUdp"),
    "ipcpy sealed": Family("own:IpcpySealed", needs="cryptography", package="cryptography"),
    "ipcpy sealed aes": Family("own:IpcpySealedAes", needs="cryptography", package="cryptography"),
    "ipcpy spin": Family("own:IpcpySpin"),
    "ipcpy many": Family("own:IpcpyMany"),
    "ipcpy many structs": Family("own:IpcpyManyStructs"),
    "ipcpy asyncio": Family("own:IpcpyAsyncio"),
    "lcm": Family("lcm:Lcm", "lcm", "lcm", "lcm"),
    "zenoh": Family("zenoh:Zenoh", "zenoh", "zenoh", "eclipse-zenoh"),
    "zenoh loan": Family("zenoh:ZenohLoan", "zenoh", "zenoh", "eclipse-zenoh"),
    "cyclonedds": Family("cyclone:Cyclone", "cyclonedds", "cyclonedds", "cyclonedds"),
    "ecal": Family("ecal:Ecal", "ecal", "ecal", "eclipse-ecal"),
    "iceoryx2": Family("iceoryx:Iceoryx", "iceoryx2", "iceoryx2", "iceoryx2"),
    "iceoryx2 loan": Family("iceoryx:IceoryxLoan", "iceoryx2", "iceoryx2", "iceoryx2"),
    "zmq tcp": Family("zmq:ZmqTcp", "zmq", "zmq", "pyzmq"),
    "zmq ipc": Family("zmq:ZmqIpc", "zmq", "zmq", "pyzmq"),
    "nng": Family("nng:Nng", "nng", "pynng", "pynng"),
    "ipcpy ping-pong": Family("asking:IpcpyPingPong"),
    "ipcpy reliable ping-pong": Family("asking:IpcpyReliablePingPong"),
    "ipcpy call": Family("asking:IpcpyCall"),
    "zenoh query": Family("asking:ZenohQuery", "zenoh", "zenoh", "eclipse-zenoh"),
    "ecal service": Family("asking:EcalService", "ecal", "ecal", "eclipse-ecal"),
    "xmlrpc": Family("asking:XmlRpc", "xmlrpc"),
}


def load(name: str, setting: Setting) -> Adapter:
    """Make an adapter; this imports what it needs."""
    module, _, attribute = ADAPTERS[name].where.partition(":")
    kind = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    adapter: Adapter = kind(setting)
    return adapter


def missing(name: str) -> str:
    """Say why a family cannot be measured here; empty if it can."""
    family = ADAPTERS[name]
    if family.needs and importlib.util.find_spec(family.needs) is None:
        return f"{family.package} is not installed"
    return ""


def version(name: str) -> str:
    """Return the version of a peer; empty for what has none."""
    package = ADAPTERS[name].package
    if name == "xmlrpc":
        return f"of Python {platform.python_version()}"
    return importlib.metadata.version(package) if package else ""
