"""A real MQTT broker: Debian's mosquitto as a process of the test. Knows its configuration; nothing of bridges."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import lan_process
import tools

Spawn = Callable[..., lan_process.Process]
PATIENCE = 20.0


class Broker:
    """A mosquitto that can be killed and started again at the same port.

    Args:
        spawn: starts a process, as the fixture ``spawn`` does, or ``partial(net.spawn, host)``.
        folder: where its configuration goes.
        address: where it listens.
        port: at which port; 0 takes one that is free.
        more: further lines of its configuration.
    """

    def __init__(
        self, spawn: Spawn, folder: Path, *, address: str = "127.0.0.1", port: int = 0, more: Sequence[str] = ()
    ) -> None:
        tools.need("mosquitto")
        self.address = address
        self.port = port or _free_port(address)
        self._spawn = spawn
        self._config = folder / f"mosquitto-{self.port}.conf"
        anonymous = [] if any(line.startswith("allow_anonymous") for line in more) else ["allow_anonymous true"]
        lines = [
            f"listener {self.port} {address}",
            "user root",
            "persistence false",
            "set_tcp_nodelay true",
            "log_type all",
            *anonymous,
            *more,
        ]
        self._config.write_text("\n".join(lines) + "\n")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.process = self._spawn([tools.find("mosquitto") or "mosquitto", "-c", str(self._config)])
        self.process.wait_line(r"mosquitto version .* running", PATIENCE, stream="stderr")

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()

    def clients(self) -> list[str]:
        """Return the names of clients that have connected to the running broker, in this order."""
        return re.findall(r"New client connected from .* as (\S+)", self.process.stderr)


class Phone:
    """A client that knows nothing of ipcpy, as an app on a phone."""

    def __init__(self, broker: Broker, *arguments: str) -> None:
        tools.need("mosquitto_pub", "mosquitto_sub")
        self._broker = broker
        self._number = 0
        self._where = ["-h", broker.address, "-p", str(broker.port), *arguments]

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False, qos: int = 0) -> None:
        """Publish one message."""
        command = [tools.find("mosquitto_pub") or "", *self._where, "-t", topic, "-q", str(qos), "-s"]
        data = payload.encode() if isinstance(payload, str) else payload
        subprocess.run([*command, *(["-r"] if retain else [])], input=data, check=True, timeout=PATIENCE)

    @contextlib.contextmanager
    def listening(self, spawn: Spawn, *topics: str) -> Iterator[lan_process.Process]:
        """Yield a process that prints ``topic payload retained(0|1) qos`` of what comes; it has subscribed already."""
        self._number += 1
        name = f"phone{self._number}"
        named = [word for topic in topics for word in ("-t", topic)]
        words = ["-i", name, "-q", "1", "-F", "%t %p %r %q"]
        process = spawn([tools.find("mosquitto_sub") or "", *self._where, *named, *words])
        self._broker.process.wait_line(f"Sending SUBACK to {name}", PATIENCE, stream="stderr")
        yield process
        process.end()


def _free_port(address: str) -> int:
    with socket.socket() as sock:
        sock.bind((address if address.startswith("127.") else "127.0.0.1", 0))
        return int(sock.getsockname()[1])
