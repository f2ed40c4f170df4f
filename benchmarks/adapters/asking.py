"""Families that ask and answer: how each serves an empty call, and makes one. Knows no clocks.

Each peer is imported when it is asked for. All of them are told an address where they can be: nobody has to be found.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any
from xmlrpc.client import ServerProxy
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

import ipcpy

from .contract import LOOPBACK, Adapter

Ask = Callable[[], object]


class Asking(Adapter):
    """One family: override ``serve`` and ``asker``."""

    def serve(self) -> None:
        """Answer empty calls, in threads of its own or for ever."""
        raise NotImplementedError

    def asker(self) -> Ask:
        """Return a function that makes an empty call and waits for the answer."""
        raise NotImplementedError


class IpcpyCall(Asking):
    """``Service`` and ``Client``."""

    def serve(self) -> None:
        self.keep.append(ipcpy.Service(f"{self.setting.name}/empty", lambda request: None))

    def asker(self) -> Ask:
        client = ipcpy.Client(f"{self.setting.name}/empty")
        client.wait_for_service(10)
        self.keep.append(client)
        call = client.call
        return lambda: call(None, 10.0)


class IpcpyPingPong(Asking):
    """What people build by hand: a topic there and a topic back, one asker."""

    reliable = False

    def serve(self) -> None:
        name = self.setting.name
        answers = ipcpy.Publisher(f"{name}/answer", reliable=self.reliable)
        requests = ipcpy.Subscriber(f"{name}/request")
        self.keep += [answers, requests]

        def loop() -> None:
            for _ in requests:
                answers.publish(None)

        threading.Thread(target=loop, daemon=True).start()

    def asker(self) -> Ask:
        name = self.setting.name
        answers = ipcpy.Subscriber(f"{name}/answer")
        requests = ipcpy.Publisher(f"{name}/request", reliable=self.reliable)
        self.keep += [answers, requests]
        requests.wait_for_subscribers(timeout=10)
        answers.wait_for_publishers(timeout=10)
        publish, recv = requests.publish, answers.recv

        def ask() -> None:
            publish(None)
            recv(10.0)

        return ask


class IpcpyReliablePingPong(IpcpyPingPong):
    """The same with reliable topics, which lose nothing either."""

    reliable = True


class ZenohQuery(Asking):
    """A queryable, peer to peer over TCP, without scouting."""

    def _open(self, listen: bool) -> Any:
        import zenoh

        from .zenoh import peer_config

        session = zenoh.open(peer_config(f"tcp/{LOOPBACK}:{self.setting.port}", listen))
        self.keep.append(session)
        return session

    def serve(self) -> None:
        key = f"{self.setting.name}/empty"
        self.keep.append(self._open(True).declare_queryable(key, lambda query: query.reply(key, b"")))

    def asker(self) -> Ask:
        session, key = self._open(False), f"{self.setting.name}/empty"

        def ask() -> None:
            if not [reply for reply in session.get(key, timeout=10.0) if reply.ok is not None]:
                raise TimeoutError("no reply")

        return ask


class EcalService(Asking):
    """A service server and its client, over TCP."""

    def _start(self) -> Any:
        import ecal.nanobind_core as ecal

        if not ecal.is_initialized():
            config = ecal.get_configuration()
            config.logging.provider.udp.enable = False
            config.logging.provider.console.enable = False
            ecal.initialize(config, f"bench{os.getpid()}")
        return ecal

    def serve(self) -> None:
        ecal = self._start()
        server = ecal.ServiceServer(f"{self.setting.name}_empty")
        server.set_method_callback(ecal.ServiceMethodInformation("empty"), lambda *_: (0, b""))
        self.keep.append(server)

    def asker(self) -> Ask:
        ecal = self._start()
        client = ecal.ServiceClient(f"{self.setting.name}_empty")
        self.keep.append(client)

        def ask() -> None:
            if not client.call_with_response("empty", b"", 10_000):
                raise TimeoutError("no response")

        return ask


class _Handler(SimpleXMLRPCRequestHandler):
    protocol_version = "HTTP/1.1"  # the connection stays open
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        pass


class XmlRpc(Asking):
    """Python's own, over HTTP/1.1 with a connection that stays open; a thread for each client."""

    def serve(self) -> None:
        from socketserver import ThreadingMixIn

        class Server(ThreadingMixIn, SimpleXMLRPCServer):
            daemon_threads = True

        server = Server((LOOPBACK, self.setting.port), _Handler, allow_none=True, logRequests=False)
        server.register_function(lambda: None, "empty")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.keep.append(server)

    def asker(self) -> Ask:
        empty = ServerProxy(f"http://{LOOPBACK}:{self.setting.port}", allow_none=True).empty
        return lambda: empty()
