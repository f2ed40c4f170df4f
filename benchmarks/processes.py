"""Processes in their roles: started for one measurement, spoken to over pipes, ended for sure."""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

LAUNCH = Path(__file__).with_name("launch.py")
PURE = "IPCPY_PURE"  # says what runs, not what it is to do
PATIENCE = 20.0  # seconds that anything may take which is not told its time


class RoleFailed(RuntimeError):
    """A process did not do its part; the text holds what it said."""


class Role:
    """One process.

    Args:
        before: words before the command, to run it elsewhere.
    """

    def __init__(
        self, adapter: str, role: str, options: dict[str, Any], env: dict[str, str], before: Sequence[str] = ()
    ) -> None:
        self.name = f"{adapter} {role}".strip()
        self._errors = tempfile.TemporaryFile("w+")
        self._popen = subprocess.Popen(
            [*before, sys.executable, str(LAUNCH), adapter, role, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=env,
        )
        self._pending = b""

    def tell(self, **words: Any) -> None:
        """Say what is to be done next."""
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(json.dumps(words).encode() + b"\n")
            self._popen.stdin.flush()
        except BrokenPipeError:
            raise self._failed("ended") from None

    def answer(self, timeout: float = PATIENCE) -> dict[str, Any]:
        """Wait for a line.

        Raises:
            RoleFailed: there was none in time.
        """
        assert self._popen.stdout is not None
        deadline = time.monotonic() + timeout
        descriptor = self._popen.stdout.fileno()
        while True:
            line, newline, rest = self._pending.partition(b"\n")
            if newline:
                self._pending = rest
                if line.startswith(b"{"):  # some libraries print
                    words: dict[str, Any] = json.loads(line)
                    return words
                continue
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise self._failed(f"did not answer within {timeout:g} s")
            data = os.read(descriptor, 65_536)
            if not data:
                raise self._failed("ended")
            self._pending += data

    def ask(self, timeout: float = PATIENCE, **words: Any) -> dict[str, Any]:
        """Tell, and wait for the answer."""
        self.tell(**words)
        return self.answer(timeout)

    def _failed(self, what: str) -> RoleFailed:
        self._errors.seek(0)
        said = self._errors.read().strip().splitlines()[-3:]
        return RoleFailed(" | ".join([f"{self.name} {what}", *said]))

    def end(self) -> None:
        """Kill it."""
        self._popen.kill()
        self._popen.wait()
        for stream in (self._popen.stdin, self._popen.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass
        self._errors.close()


class Run:
    """The processes of one measurement of one adapter, in a world of their own: ports, folder, domain.

    Args:
        hosts: by role, words before the command; the subscriber's address goes with ``address``.
        env: more of the environment.
        setting: see ``adapters.contract.Setting``.
    """

    def __init__(self, adapter: str, *, hosts: dict[str, Sequence[str]] | None = None, **setting: Any) -> None:
        self._adapter = adapter
        self._hosts = hosts or {}
        self._setting = setting
        self._roles: list[Role] = []
        self.env: dict[str, str] = {}

    def __enter__(self) -> Run:
        self._folder = tempfile.mkdtemp(prefix="bench-")
        port = free_ports()
        self._setting = {"port": port, "folder": self._folder, **self._setting}
        quiet = {name: value for name, value in os.environ.items() if not name.startswith("IPCPY_") or name == PURE}
        self.env = quiet | {"IPCPY_DOMAIN": f"bench{os.getpid()}-{port}", "IPCPY_KEY_FILE": ""}
        if not self._hosts:
            self.env["IPCPY_INTERFACES"] = "lo"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for role in self._roles:
            role.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, role: str, *, cores: Sequence[int] | None = None, adapter: str | None = None, **extra: Any) -> Role:
        """Start a process in a role."""
        options = {**self._setting, "extra": extra} | ({} if cores is None else {"cores": list(cores)})
        name = self._adapter if adapter is None else adapter
        started = Role(name, role, options, self.env, self._hosts.get(role, ()))
        self._roles.append(started)
        return started


def free_ports() -> int:
    """Find a port such that it and the next 39 are free, for now, for UDP and TCP on loopback."""
    for _ in range(200):
        port = random.randrange(20_000, 31_000, 50)
        try:
            for number in range(port, port + 40):
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    with socket.socket(socket.AF_INET, kind) as sock:
                        sock.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port
    raise RoleFailed("no free ports")
