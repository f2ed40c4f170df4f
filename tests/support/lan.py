"""Hosts in network namespaces of the tests' own, as root or as a user who may make user namespaces.

    with Lan(hosts=3, switch="user", seed=7) as lan:
        server = lan.spawn(1, "import ipcpy; ...")
        lan.impair(loss=0.1, dst=2)
        done = lan.run(2, ["ip", "address"])

Hosts are numbered from 1 and have ``lo`` and ``eth0`` (10.77.0.N/24, default route), a host name, /run, /dev/shm and
boot id of their own; they share the file system and the pids. pytest stays outside; see ``lan_server`` for what is
inside. Nothing of it can be reached from elsewhere, and all of it ends with the ``with`` block, or with pytest.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import tools
from lan_process import Process, Program, clean_env, command_for

SUPERVISOR = Path(__file__).with_name("lan_server.py")
TOOLS = ("unshare", "nsenter", "ip")
FLAGS = ("--net", "--mount", "--uts")


class LanError(RuntimeError):
    """The supervisor could not do what was asked; the text says why."""


@functools.cache
def unshare_flags() -> tuple[str, ...] | str:
    """Return the flags with which namespaces can be made here, or a sentence that says why they cannot."""
    if sys.platform != "linux":
        return f"network namespaces need Linux, and this is {sys.platform}"
    if (missing := tools.missing(*TOOLS)) is not None:
        return missing
    complaint = ""
    for flags in (FLAGS, (*FLAGS, "--user", "--map-root-user")):
        probe = [*flags, "ip", "link", "add", "br0", "type", "bridge"]
        done = subprocess.run(["unshare", *probe], capture_output=True, text=True, env={"PATH": tools.search_path()})
        if done.returncode == 0:
            return flags
        complaint = done.stderr.strip()
    return f"this user may not make network namespaces: {complaint}"


def why_not() -> str | None:
    """Say why there can be no LAN here, None where there can."""
    flags = unshare_flags()
    return flags if isinstance(flags, str) else None


def _checked_flags(hosts: int, impossible: bool) -> tuple[str, ...]:
    flags = unshare_flags()
    if isinstance(flags, str):
        raise LanError(flags)
    if not 1 <= hosts <= 99:
        raise ValueError(f"1 to 99 hosts, not {hosts}")
    if impossible:
        raise ValueError("the switch in user space cannot carry offloaded frames")
    return flags


class Lan:
    """A private LAN.

    Args:
        hosts: how many.
        switch: ``bridge``, the kernel's: fast, and with nftables it can block and lose; or ``user``, ours: slower, and
            it can do all that ``impair`` offers. Without nftables the bridge raises ``tools.Unavailable`` when asked.
        mtu: of every eth0, in bytes.
        seed: of the user switch's dice.
        names: host names, ``h1``... where left out; equal ones are allowed.
        offload: whether network cards leave checksums and segmentation to each other, as virtual ones do. The default
            is True for the bridge, where a 64 kB GSO batch then crosses, and is lost, as one; the user switch cannot
            carry it.
        private_boot: False makes the hosts share a boot id, like containers on one computer.
        env: environment of everything started on the hosts.
        on_spawn: is told of each process that ``spawn`` starts.
    """

    def __init__(
        self,
        hosts: int = 2,
        *,
        switch: Literal["bridge", "user"] = "bridge",
        mtu: int = 1500,
        seed: int = 1,
        names: Sequence[str] = (),
        offload: bool | None = None,
        private_boot: bool = True,
        env: Mapping[str, str] | None = None,
        on_spawn: Callable[[Process], object] | None = None,
    ) -> None:
        flags = _checked_flags(hosts, switch == "user" and bool(offload))
        self.hosts = range(1, hosts + 1)
        self.processes: list[Process] = []
        self._rootless = "--user" in flags
        self._switch = switch
        self._mtu = mtu
        self._on_spawn = on_spawn
        self._env = dict(env or {})
        self._rules: list[dict[str, Any]] = []
        self._nics: dict[int, dict[str, tuple[int, str | None]]] = {h: {"eth0": (0, self.ip(h))} for h in self.hosts}
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="lan-")
        self._supervisor = self._start(flags)
        try:
            self._pids = self._ask(
                "open",
                names=[*names, *(f"h{number}" for number in self.hosts[len(names) :])],
                switch=switch,
                seed=seed,
                mtu=mtu,
                offload=switch == "bridge" if offload is None else offload,
                private_boot=private_boot,
            )
        except BaseException:
            self.close()
            raise

    def _start(self, flags: tuple[str, ...]) -> subprocess.Popen[str]:
        with (Path(self._folder.name) / "supervisor.log").open("w") as log:
            return subprocess.Popen(
                ["unshare", *flags, sys.executable, "-S", "-E", "-s", str(SUPERVISOR)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=clean_env({"PATH": tools.search_path()}),
                start_new_session=True,
            )

    def _ask(self, do: str, **arguments: Any) -> Any:
        supervisor = self._supervisor
        assert supervisor.stdin is not None and supervisor.stdout is not None
        with self._lock:
            try:
                supervisor.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
                supervisor.stdin.flush()
            except (BrokenPipeError, ValueError):
                pass  # what follows tells why
            line = supervisor.stdout.readline() if not supervisor.stdout.closed else ""
        if not line:
            log = Path(self._folder.name) / "supervisor.log"
            raise LanError(f"the LAN is gone: {log.read_text() if log.exists() else 'closed'}")
        answer = json.loads(line)
        if "error" in answer:
            raise LanError(answer["error"])
        return answer["ok"]

    def __enter__(self) -> Lan:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything on the hosts, then the hosts. May be called twice."""
        for process in self.processes:
            process.end()
        supervisor = self._supervisor
        assert supervisor.stdin is not None and supervisor.stdout is not None
        try:
            supervisor.stdin.close()
        except BrokenPipeError:
            pass
        try:
            supervisor.wait(20)
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()
        supervisor.stdout.close()
        self._folder.cleanup()

    # What runs on the hosts

    def enter(self, host: int) -> list[str]:
        """Return the words before a command that make it run on a host."""
        user = ["--user", "--preserve-credentials"] if self._rootless else []
        nsenter = tools.find("nsenter") or "nsenter"
        pid = str(self._pids[host - 1])
        return [nsenter, "--target", pid, *user, *FLAGS, "--", "env", "-C", os.getcwd()]

    def spawn(
        self, host: int, program: Program, *arguments: str, env: Mapping[str, str | None] | None = None
    ) -> Process:
        """Start a process on a host: a Python program's text (str) or file (Path), or a command (list of words)."""
        command = command_for(program, arguments, Path(self._folder.name))
        process = Process([*self.enter(host), *command], env=self._environment(env), name=f"host {host}: {command[-1]}")
        self.processes.append(process)
        if self._on_spawn is not None:
            self._on_spawn(process)
        return process

    def run(
        self,
        host: int,
        program: Program,
        *arguments: str,
        timeout: float = 40.0,
        env: Mapping[str, str | None] | None = None,
        input: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on a host to its end. Raises subprocess.TimeoutExpired after ``timeout`` seconds."""
        command = command_for(program, arguments, Path(self._folder.name))
        return subprocess.run(
            [*self.enter(host), *command],
            env=self._environment(env),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def _environment(self, env: Mapping[str, str | None] | None) -> dict[str, str]:
        return clean_env({"PATH": tools.search_path(), **self._env, **(env or {})})

    # Network cards

    @staticmethod
    def ip(host: int, segment: int = 0) -> str:
        """Return the address a host has on a segment, unless it was changed."""
        return f"10.77.{segment}.{host}"

    def nics(self, host: int) -> dict[str, str | None]:
        """Return a host's network cards and their addresses."""
        return {name: address for name, (_, address) in self._nics[host].items()}

    def add_nic(self, host: int, segment: int = 1, *, address: str | None = "", mtu: int | None = None) -> str:
        """Plug one more card into a host and return its name.

        Segment 0 is the one that all hosts are on; hosts with a card on segment N see each other there as 10.77.N.HOST.
        A second card of a host on the same segment gets 10.77.N.(HOST + 100).

        Args:
            address: ``a.b.c.d/bits``; None for a card without one.
        """
        cards = self._nics[host]
        name = next(f"eth{n}" for n in range(100) if f"eth{n}" not in cards)
        here = sum(at == segment for at, _ in cards.values())
        chosen = f"10.77.{segment}.{host + 100 * here}/24" if address == "" else address
        self._ask("add_nic", host=host, nic=name, segment=segment, address=chosen, mtu=mtu or self._mtu)
        cards[name] = (segment, chosen and chosen.split("/")[0])
        return name

    def remove_nic(self, host: int, nic: str) -> None:
        """Pull a card out of a host."""
        self._ask("remove_nic", host=host, nic=nic)
        del self._nics[host][nic]

    def link(self, host: int, *, up: bool, nic: str = "eth0", end: Literal["host", "cable"] = "host") -> None:
        """Switch a card on or off (``ip link set``), or pull its cable at the other end: the host sees no carrier."""
        self._ask("link", host=host, nic=nic, up=up, end=end)

    def address(self, host: int, address: str | None, *, nic: str = "eth0") -> None:
        """Replace a card's address by ``a.b.c.d/bits``, or take it away."""
        self._ask("address", host=host, nic=nic, address=address)
        self._nics[host][nic] = (self._nics[host][nic][0], address and address.split("/")[0])

    def traffic(self, host: int, nic: str = "eth0") -> dict[str, dict[str, int]]:
        """Return the kernel's counts of a card: ``["tx" | "rx"]["packets" | "bytes" | "dropped" | ...]``."""
        done = self.run(host, ["ip", "-json", "-stats", "link", "show", nic])
        if done.returncode != 0:
            raise LanError(done.stderr)
        counts: dict[str, dict[str, int]] = json.loads(done.stdout)[0]["stats64"]
        return counts

    # What happens between the hosts

    def impair(
        self, *, src: int | None = None, dst: int | None = None, segment: int | None = None, **what: float
    ) -> None:
        """Spoil what goes from ``src`` to ``dst`` (None: any), in place of what was asked for these two before.

        Args:
            what: ``loss``, ``duplicate``, ``reorder``, ``corrupt`` as shares of frames; ``delay`` and ``jitter`` (plus
                or minus) in seconds; ``rate`` in bits per second. Nothing at all takes the impairment away. The bridge
                knows ``loss`` only.
        """
        from lan_switch import Impairment  # late: the module needs Linux

        impairment = asdict(Impairment(**what))
        others = [name for name, value in what.items() if value and name != "loss"]
        if self._switch == "bridge" and others:
            raise ValueError(f"the bridge knows loss only, not {', '.join(others)}; use switch='user'")
        self._set("impair", src, dst, segment, impairment=impairment)

    def loss(self, dst: int, percent: float) -> None:
        """Lose a share of the frames on the way to a host."""
        self.impair(loss=percent / 100, dst=dst)

    def block(self, src: int | None, dst: int | None, *, both: bool = True, segment: int | None = None) -> None:
        """Let nothing pass from ``src`` to ``dst`` and back (None: any host)."""
        self._set("block", src, dst, segment)
        if both:
            self._set("block", dst, src, segment)

    def partition(self, *groups: Iterable[int]) -> None:
        """Split the LAN: each group of hosts sees itself only."""
        sides = [set(group) for group in groups]
        for side in sides:
            for host in side:
                for other in set().union(*sides) - side:
                    self._keep("block", host, other, None)
        self._obey()

    def multicast(self, allowed: bool, *, host: int | None = None, segment: int | None = None) -> None:
        """Drop or carry 224.0.0.0/4 (to and from ``host``, None: any)."""
        if allowed:
            self._rules = [
                r for r in self._rules if (r["kind"], r["src"], r["segment"]) != ("multicast", host, segment)
            ]
            self._obey()
        else:
            self._set("multicast", host, None, segment)

    def heal(self) -> None:
        """Take away all blocks, impairments and bans of multicast; network cards stay as they are."""
        self._rules = []
        self._ask("rules", rules=self._rules)

    def _set(self, kind: str, src: int | None, dst: int | None, segment: int | None, **more: Any) -> None:
        self._keep(kind, src, dst, segment, **more)
        self._obey()

    def _obey(self) -> None:
        if self._switch == "bridge":
            tools.need("nft")
        self._ask("rules", rules=self._rules)

    def _keep(self, kind: str, src: int | None, dst: int | None, segment: int | None, **more: Any) -> None:
        key = {"kind": kind, "src": src, "dst": dst, "segment": segment}
        self._rules = [rule for rule in self._rules if {name: rule[name] for name in key} != key]
        self._rules.append({**key, **more})

    def counts(self, src: int | None = None, dst: int | None = None) -> Counter[str]:
        """Return what the user switch did, in frames.

        Those offered, blocked, lost, duplicated, reordered and corrupted; overflowed at a rate limit; and dropped, by
        source only, because they came faster than the switch could take them (worth an ``assert not`` in a test).
        """
        total: Counter[str] = Counter()
        for row in self._ask("counts"):
            way = row.pop("src"), row.pop("dst")
            if src in (None, way[0]) and dst in (None, way[1]):
                total.update(row)
        return total
