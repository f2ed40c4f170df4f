"""The supervisor of a test LAN: makes the hosts, joins them, and obeys JSON lines on standard input until it ends.

Started by ``lan.Lan`` as ``unshare --net --mount --uts [--user] python lan_server.py``, so that the tests stay in a
namespace of their own. Linux only, standard library only. Each host is a process that only holds a network, mount and
UTS namespace open. A command is ``{"do": name, ...}``; the answer is ``{"ok": ...}`` or ``{"error": text}``. End of
input ends the supervisor, the hosts and everything that still runs on them.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lan_switch

assert sys.platform == "linux"  # tells mypy which functions there are

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWNET = 0x0002_0000, 0x0400_0000, 0x4000_0000
MS_BIND = 0x1000
PR_SET_PDEATHSIG = 1
SIOCETHTOOL = 0x8946
OFFLOADS = (0x17, 0x1F, 0x24, 0x2C)  # ETHTOOL_STXCSUM, _STSO, _SGSO, _SGRO: set transmit checksum, TSO, GSO, GRO
LIBC = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """Raise OSError with errno if a C function failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str, flags: int = 0) -> None:
    """mount(2)."""
    check(LIBC.mount(source.encode(), target.encode(), kind.encode(), flags, None), f"mount {target}")


def command(*argv: str, text: str = "") -> str:
    """Run a tool and return what it prints; raise OSError with its complaint."""
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=20)
    if done.returncode != 0:
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip()}\n{text}")
    return done.stdout


def batch(lines: list[str]) -> None:
    """Run ip(8) once for many commands."""
    command("ip", "-batch", "-", text="\n".join(lines) + "\n")


def without_ipv6() -> None:
    """Switch IPv6 off for all network cards of this namespace, those to come included."""
    for which in ("all", "default"):
        with contextlib.suppress(OSError):  # a kernel without IPv6, or a read-only /proc
            Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("1")


class Host:
    """One host: the process that holds its namespaces, and its network cards."""

    def __init__(self, number: int, name: str, private_boot: bool) -> None:
        self.number = number
        self.nics: dict[str, lan_switch.Port] = {}
        ready, done = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._hold(name, done, private_boot)
        os.close(done)
        with os.fdopen(ready) as answer:
            problem = answer.read()
        if problem != "ready":
            raise OSError(f"host {number}: {problem}")

    def _hold(self, name: str, done: int, private_boot: bool) -> None:
        try:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            check(LIBC.unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS), "unshare")
            socket.sethostname(name)
            without_ipv6()
            furnish(private_boot)
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1):
                os.dup2(null, fd)
            os.write(done, b"ready")
            os.close(done)
            while os.getppid() != 1:
                signal.pause()
        except BaseException as problem:
            os.write(done, repr(problem).encode())
        finally:
            os._exit(1)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Put the calling thread, and the tools it starts, into this host's network."""
        with open("/proc/self/ns/net") as home, open(f"/proc/{self.pid}/ns/net") as there:
            check(LIBC.setns(there.fileno(), CLONE_NEWNET), "setns")
            try:
                yield
            finally:
                check(LIBC.setns(home.fileno(), CLONE_NEWNET), "setns")


def furnish(private_boot: bool) -> None:
    """Return a host its own /run, /dev/shm, /sys/class/net and, unless containers are played, boot id."""
    used = (sys.prefix, os.getcwd(), os.environ.get("TMPDIR", "/tmp"))
    if not any(os.path.realpath(path).startswith("/run/") for path in used):
        mount("tmpfs", "/run", "tmpfs")
    with contextlib.suppress(OSError):
        mount("tmpfs", "/dev/shm", "tmpfs")
    with contextlib.suppress(OSError):
        mount("sysfs", "/sys", "sysfs")
    if private_boot:
        with contextlib.suppress(OSError):
            Path("/dev/shm/.boot_id").write_text(f"{uuid.uuid4()}\n")
            mount("/dev/shm/.boot_id", "/proc/sys/kernel/random/boot_id", "", MS_BIND)


class Network:
    """The hosts and what joins them. Its ``do_`` methods are the commands."""

    def __init__(self) -> None:
        self.hosts: dict[int, Host] = {}
        self.rules: list[dict[str, Any]] = []
        self.switch: lan_switch.Switch | None = None
        self.segments: set[int] = set()
        self.offload = True
        self.walled = False  # the bridge has a firewall that nft(8) set up

    def do_open(
        self, names: list[str], switch: str, seed: int, mtu: int, offload: bool, private_boot: bool
    ) -> list[int]:
        """Make the hosts with one network card each; return the pids of their holders."""
        without_ipv6()
        self.offload = offload
        self.hosts = {number: Host(number, name, private_boot) for number, name in enumerate(names, 1)}
        if switch == "user":
            self.switch = lan_switch.Switch(seed)
            self.switch.start()
        batch(["link set lo up"])
        self._connect([(host, "eth0", 0, f"10.77.0.{host.number}/24", mtu) for host in self.hosts.values()])
        return [host.pid for host in self.hosts.values()]

    def do_add_nic(self, host: int, nic: str, segment: int, address: str | None, mtu: int) -> None:
        """Plug one more network card in."""
        self._connect([(self.hosts[host], nic, segment, address, mtu)])
        self._apply()

    def _connect(self, cards: list[tuple[Host, str, int, str | None, int]]) -> None:
        lines = []
        for host, nic, segment, _, mtu in cards:
            port = lan_switch.Port(f"v{host.number}{nic}", host.number, segment)
            host.nics[nic] = port
            if self.switch is None and segment not in self.segments:
                lines += [f"link add br{segment} type bridge mcast_snooping 0", f"link set br{segment} mtu {mtu} up"]
            self.segments.add(segment)
            lines.append(f"link add {port.name} mtu {mtu} type veth peer name {nic} mtu {mtu} netns {host.pid}")
            lines.append(f"link set {port.name} {'' if self.switch else f'master br{segment}'} up")
        batch(lines)
        for host, nic, _, address, _ in cards:
            with host.inside():
                batch(["link set lo up", f"link set {nic} up", *_addressing(nic, address)])
                if not self.offload:
                    stop_offloads(nic)
            if self.switch is not None:
                self.switch.plug(host.nics[nic])

    def do_remove_nic(self, host: int, nic: str) -> None:
        """Pull a network card out of its host."""
        port = self.hosts[host].nics.pop(nic)
        if self.switch is not None:
            self.switch.unplug(port.name)
        batch([f"link delete {port.name}"])
        self._apply()

    def do_link(self, host: int, nic: str, up: bool, end: str) -> None:
        """Switch a card on or off, or plug and unplug the cable at its other end."""
        state = "up" if up else "down"
        if end == "cable":
            batch([f"link set {self.hosts[host].nics[nic].name} {state}"])
            return
        with self.hosts[host].inside():
            batch([f"link set {nic} {state}", *(_default_route(nic) if up else [])])

    def do_address(self, host: int, nic: str, address: str | None) -> None:
        """Replace a card's address."""
        with self.hosts[host].inside():
            batch([f"address flush dev {nic}", *_addressing(nic, address)])

    def do_rules(self, rules: list[dict[str, Any]]) -> None:
        """Replace the rules of the switch, or of the bridge's firewall."""
        self.rules = rules
        self._apply()

    def _apply(self) -> None:
        if self.switch is not None:
            self.switch.obey(self.rules)
        elif self.rules:
            command(
                "nft", "-f", "-", text=firewall(self.rules, [p for h in self.hosts.values() for p in h.nics.values()])
            )
        elif self.walled:
            command("nft", "delete", "table", "bridge", "lan")
        self.walled = self.switch is None and bool(self.rules)

    def do_counts(self) -> list[dict[str, Any]]:
        """Return what the switch did, one row for each direction."""
        if self.switch is None:
            raise OSError("only the switch in user space counts")
        return self.switch.counts()

    def close(self) -> None:
        """End whatever still runs on the hosts, then the hosts."""
        own = {os.stat(f"/proc/{host.pid}/ns/net").st_ino for host in self.hosts.values()}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if (entry / "ns/net").stat().st_ino in own:
                        os.kill(int(entry.name), signal.SIGKILL)


def _addressing(nic: str, address: str | None) -> list[str]:
    if address is None:
        return []
    return [f"address add {address} dev {nic}", *_default_route(nic)]


def _default_route(nic: str) -> list[str]:
    return [f"route replace default dev {nic}"] if nic == "eth0" else []


def stop_offloads(nic: str) -> None:
    """Make the kernel compute checksums and cut segments itself: the switch would carry nonsense otherwise."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        for number in OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", number, 0), 8)
            request = struct.pack("16sQ16x", nic.encode(), ctypes.addressof(value))
            with contextlib.suppress(OSError):  # a kernel without that switch
                fcntl.ioctl(handle, SIOCETHTOOL, request)


def firewall(rules: list[dict[str, Any]], ports: list[lan_switch.Port]) -> str:
    """Write the rules for nft(8): blocks, multicast and loss."""
    blocks, multicast, losses = [], [], []
    for source in ports:
        for target in ports:
            if source.segment != target.segment or source is target:
                continue
            fate = lan_switch.fate(rules, source, target)
            way = f'iifname "{source.name}" oifname "{target.name}"'
            if fate.blocked:
                blocks.append(f"{way} drop")
            if not fate.multicast:
                multicast.append(f"{way} ip daddr 224.0.0.0/4 drop")
            if fate.impairment.loss:
                losses.append(f"{way} numgen random mod 10000 < {round(fate.impairment.loss * 10_000)} drop")
    body = "\n".join([*blocks, "ether type arp accept", *multicast, *losses])
    chain = f"chain forward {{ type filter hook forward priority 0;\n{body}\n}}\n"
    return f"add table bridge lan\ndelete table bridge lan\ntable bridge lan {{\n{chain}}}\n"


def main() -> None:
    """Obey until the end of input."""
    network = Network()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        for line in sys.stdin:
            request = json.loads(line)
            method = getattr(network, f"do_{request.pop('do')}")
            try:
                answer = {"ok": method(**request)}
            except Exception as problem:
                answer = {"error": f"{type(problem).__name__}: {problem}"}
            print(json.dumps(answer), flush=True)
    finally:
        network.close()


if __name__ == "__main__":
    main()
