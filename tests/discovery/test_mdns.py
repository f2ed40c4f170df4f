"""discovery.mdns over real multicast: on loopback alone, or between namespaces that the test makes itself."""

from __future__ import annotations

import gc
import logging
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ipcpy.discovery import mdns
from ipcpy.discovery.advert import SERVICE_TYPE, Advert, instance_name, pack_txt, to_txt
from ipcpy.discovery.mdns import Mdns

pytest.importorskip("zeroconf")

LO = ["127.0.0.1"]
LINUX = sys.platform == "linux"


class Party:
    """One Mdns and what it told."""

    def __init__(self, name: str = "party", *, domain: str = "test", interfaces: list[str] = LO) -> None:
        self.id = os.urandom(8).hex()
        self.advert = Advert(self.id, name, "host", domain, random.randint(20_000, 60_000), "1", ("imu",))
        self.found: list[tuple[str, int, str]] = []
        self.mdns = Mdns(self.advert, interfaces, lambda *what: self.found.append(what))

    def knows(self, other: Party) -> bool:
        return ("127.0.0.1", other.advert.port, other.id) in self.found


Make = Callable[..., Party]


@pytest.fixture
def party() -> Iterator[Make]:
    made: list[Party] = []

    def make(name: str = "party", **options: object) -> Party:
        made.append(Party(name, **options))  # type: ignore[arg-type]
        made[-1].mdns.start()
        return made[-1]

    yield make
    for each in made:
        each.mdns.close()


def until(condition: Callable[[], object], seconds: float = 5.0) -> float:
    """Wait for a condition; return how long it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "did not happen"
        time.sleep(0.002)
    return time.monotonic() - start


def ready(one: Party) -> None:
    """Wait until it hears: its own announcement came back."""
    until(lambda: one.mdns.counters.get("own"))


# Both orders, update, goodbye


def test_a_newcomer_is_found_at_once_and_finds_who_was_there(party: Make) -> None:
    early = party("early")
    ready(early)
    late = party("late")
    assert until(lambda: early.knows(late)) < 1
    assert until(lambda: late.knows(early)) < 2
    assert early.mdns.error is late.mdns.error is None
    assert all(node_id != early.id for _, _, node_id in early.found)


def test_closing_takes_the_service_from_browsers_at_once(party: Make) -> None:
    goes = party("goes")
    ready(goes)
    leaving = _record(SERVICE_TYPE, 12, b"", ttl=0)[:-2]
    with _listening() as ear:
        start = time.monotonic()
        goes.mdns.close()
        assert time.monotonic() - start < 0.1
        end, packets = time.monotonic() + 1, []
        while time.monotonic() < end and not any(leaving in packet for packet in packets):
            packets.append(_receive(ear))
    assert any(leaving in packet and goes.id.encode() in packet for packet in packets)


def test_other_domains_are_not_told(party: Make) -> None:
    ours, foreign, third = party("a"), party("b", domain="elsewhere"), party("c")
    until(lambda: ours.knows(third) and third.knows(ours) and ours.mdns.counters.get("domain"))
    assert not ours.knows(foreign) and not foreign.knows(ours)


def test_updates_are_announced_but_not_each(party: Make) -> None:
    speaker, packets = party("speaker"), []
    ready(speaker)
    with _listening() as ear:
        for number in range(200):
            speaker.mdns.update(Advert(speaker.id, "speaker", "host", "test", 1, "1", (f"topic-{number}",)))
        end = time.monotonic() + 3
        while time.monotonic() < end and not any(b"topic-199" in packet for packet in packets):
            packets.append(_receive(ear))
    topics = {packet.partition(b"t0=")[2][:12] for packet in packets if speaker.id.encode() in packet}
    assert any(topic.startswith(b"topic-199") for topic in topics)
    assert len(topics) <= 4


def test_what_is_known_need_not_answer(party: Make) -> None:
    early = party("early")
    ready(early)
    time.sleep(1.2)  # else its answers wait, having been sent in the last second
    name = instance_name("early", early.id)
    late = Party("late")
    late.mdns = Mdns(late.advert, LO, lambda *what: late.found.append(what), known=lambda: [name])
    with _listening() as ear:
        late.mdns.start()
        end, packets = time.monotonic() + 1, []
        while time.monotonic() < end:
            packets.append(_receive(ear))
        late.mdns.close()
    assert any(late.id.encode() in packet for packet in packets)
    assert not any(b"id=" + early.id.encode() in packet for packet in packets)


def test_records_that_do_not_come_along_are_asked_for(party: Make) -> None:
    one = party("one")
    ready(one)
    node_id = f"{random.getrandbits(63):016x}"
    pointer, service, text, address = _instance(node_id, "127.0.0.1", 7777)
    asked = []
    with _listening() as ear:
        _send(_packet(pointer))
        end = time.monotonic() + 3
        while time.monotonic() < end and not asked:
            packet = _receive(ear)
            if packet[2:3] == b"\0" and node_id.encode() in packet:
                asked.append(packet)
    assert asked, "it did not ask"
    _send(_packet(service, text, address))
    until(lambda: ("127.0.0.1", 7777, node_id) in one.found)


# Trouble


def test_starting_costs_nothing() -> None:
    program = """
        import sys, time
        from ipcpy.discovery.advert import Advert
        from ipcpy.discovery.mdns import Mdns
        assert not {"zeroconf", "asyncio"} & sys.modules.keys()
        mdns = Mdns(Advert("0" * 16, "n", "h", "test", 1, "1"), ["127.0.0.1"], print)
        start = time.perf_counter(); mdns.start(); print(time.perf_counter() - start)
    """
    assert float(_run(program).split()[0]) < 0.05


@pytest.mark.parametrize("pause", [0, 0.01, 0.03, 0.06, 0.5])
@pytest.mark.parametrize("leave", ["", "import atexit; atexit.register(mdns.close)", "mdns.close()"])
def test_the_process_ends_at_once(pause: float, leave: str) -> None:
    program = f"""
        import sys, time
        from ipcpy.discovery.advert import Advert
        from ipcpy.discovery.mdns import Mdns
        mdns = Mdns(Advert("0" * 16, "n", "h", "test", 1, "1"), ["127.0.0.1"], lambda *what: None)
        mdns.start(); time.sleep({pause})
        print(time.monotonic(), flush=True)
        {leave}
    """
    assert time.monotonic() - float(_run(program)) < 0.5  # 0.2 of ours, the rest for a busy machine


def test_start_and_close_leave_nothing_behind() -> None:
    def cycle(pause: float) -> None:
        one = Party()
        one.mdns.start()
        time.sleep(pause)
        one.mdns.set_interfaces(LO)
        one.mdns.update(one.advert)
        start = time.monotonic()
        one.mdns.close()
        assert time.monotonic() - start < 0.15
        one.mdns.close()
        one.mdns.start()

    cycle(0.3)  # the imports are slow the first time
    until(lambda: "ipcpy-mdns" not in [thread.name for thread in threading.enumerate()])
    gc.collect()
    before = len(os.listdir("/proc/self/fd")) if LINUX else 0
    for number in range(40):
        cycle((number % 5) * 0.002)
    until(lambda: "ipcpy-mdns" not in [thread.name for thread in threading.enumerate()])
    gc.collect()
    assert (len(os.listdir("/proc/self/fd")) if LINUX else 0) <= before


def test_close_without_start() -> None:
    one = Party()
    one.mdns.close()
    one.mdns.start()
    assert one.mdns.error is None


@pytest.mark.skipif(not LINUX, reason="needs a namespace")
def test_a_port_that_is_taken_is_said_once_and_tried_again() -> None:
    printed = _run("""
        import logging, socket, sys, time
        logging.basicConfig(stream=sys.stdout, format="%(name)s")
        from ipcpy.discovery.advert import Advert
        from ipcpy.discovery.mdns import Mdns
        thief = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); thief.bind(("", 5353))
        mdns = Mdns(Advert("0" * 16, "n", "h", "test", 1, "1"), ["127.0.0.1"], print)
        def until(condition):
            end = time.monotonic() + 5
            while not condition() and time.monotonic() < end: time.sleep(0.01)
        mdns.start(); until(lambda: mdns.error)
        print(mdns.error)
        mdns.set_interfaces(["127.0.0.1"]); time.sleep(0.5)
        thief.close()
        mdns.set_interfaces(["127.0.0.1"]); until(lambda: mdns.error is None)
        print(mdns.error)
        mdns.close()
    """, alone=True)  # fmt: skip
    lines = [line for line in printed.splitlines() if line != "zeroconf"]  # its own log says it each time
    assert lines.count("ipcpy.discovery.mdns") == 1
    assert lines[-2:] == ["UDP port 5353 is taken by a program that does not share it", "None"]


def test_without_zeroconf(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    one = Party()
    one.mdns.start()
    until(lambda: one.mdns.error)
    assert "zeroconf" in str(one.mdns.error)
    one.mdns.set_interfaces(LO)
    one.mdns.close()
    assert len([record for record in caplog.records if record.name == mdns.__name__]) == 1


def test_interfaces_fail_alone(party: Make) -> None:
    one, other = party("one", interfaces=["192.0.2.1", "127.0.0.1", "nonsense", "300.1.1.1"]), party("other")
    until(lambda: one.knows(other) and other.knows(one))
    assert one.mdns.error is None
    one.mdns.set_interfaces(["192.0.2.1"])
    until(lambda: one.mdns.error)
    one.found.clear()
    one.mdns.set_interfaces(LO)
    until(lambda: one.mdns.error is None and one.knows(other))


def test_a_callback_that_fails_kills_nothing(party: Make, caplog: pytest.LogCaptureFixture) -> None:
    one = Party("one")

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    one.mdns = Mdns(one.advert, LO, fail)
    one.mdns.start()
    for _ in range(2):
        party("other")
    until(lambda: one.mdns.counters.get("callback", 0) >= 2)
    one.mdns.close()
    assert len([record for record in caplog.records if record.exc_info]) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_lets_go_and_the_parent_goes_on(party: Make) -> None:
    parent = party("parent")
    ready(parent)
    child = os.fork()
    if child == 0:
        parent.mdns.abandon()
        parent.mdns.close()
        parent.mdns.update(parent.advert)
        open_sockets = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if LINUX and fd != "x"
                        and os.path.exists(f"/proc/self/fd/{fd}")]  # fmt: skip
        table = open("/proc/self/net/udp").read() if LINUX else ""
        inodes = {line.split()[9] for line in table.splitlines()[1:] if line.split()[1].endswith(":14E9")}
        os._exit(3 if inodes & {link[8:-1] for link in open_sockets if link.startswith("socket:")} else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    late = party("late")
    until(lambda: parent.knows(late) and late.knows(parent))


# Attacks


def _name(name: str) -> bytes:
    return b"".join(bytes((len(label),)) + label for label in name.rstrip(".").encode().split(b".")) + b"\0"


def _record(name: str, kind: int, data: bytes, ttl: int = 4500) -> bytes:
    return _name(name) + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def _packet(*records: bytes) -> bytes:
    return struct.pack(">6H", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)


def _instance(node_id: str, address: str, port: int = 6000) -> list[bytes]:
    name, server = instance_name("forged", node_id), f"forged-{node_id}.local."
    txt = pack_txt(to_txt(Advert(node_id, "forged", "h", "test", port, "1")))
    return [
        _record(SERVICE_TYPE, 12, _name(name)),
        _record(name, 33, struct.pack(">3H", 0, 0, port) + _name(server)),
        _record(name, 16, txt),
        _record(server, 1, socket.inet_aton(address)),
    ]


def _socket() -> socket.socket:
    speaker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    speaker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
    return speaker


def _send(*packets: bytes) -> None:
    with _socket() as speaker:
        for packet in packets:
            speaker.sendto(packet, ("224.0.0.251", 5353))


def _listening() -> socket.socket:
    ear = _socket()
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    ear.bind(("", 5353))
    membership = socket.inet_aton("224.0.0.251") + socket.inet_aton("127.0.0.1")
    ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    ear.settimeout(0.2)
    return ear


def _receive(ear: socket.socket) -> bytes:
    try:
        return ear.recv(9000)
    except TimeoutError:
        return b""


def _memory() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_random_and_mutated_packets_change_nothing_but_counters(party: Make) -> None:
    one, dice = party("one"), random.Random(5)
    ready(one)
    valid = _packet(*_instance(f"{dice.getrandbits(63):016x}", "127.0.0.1"))
    for number in range(20_000):
        packet = bytearray(valid if number % 2 else struct.pack(">6H", 0, 0x8400, 0, 9, 0, 0) + dice.randbytes(300))
        for _ in range(dice.randint(0, 6)):
            packet[dice.randrange(len(packet))] = dice.randrange(256)
        _send(bytes(packet[: dice.randint(0, len(packet))] if number % 7 == 0 else packet))
    other = party("other")
    until(lambda: one.knows(other) and other.knows(one), 10)
    assert one.mdns.error is None
    assert not one.mdns.counters.get("callback")


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_thousands_of_forged_instances_cost_little(party: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    one = party("one")
    ready(one)
    memory = _memory()
    start, cpu = time.monotonic(), time.process_time() - time.thread_time()
    padding = b"\xff" + b"z" * 255
    for number in range(10_000):
        node_id = f"{number:016x}"
        records = _instance(node_id, f"127.{number >> 12}.{number >> 8 & 15}.{number & 255}")
        if number % 3 == 0:
            records[2] = _record(instance_name("forged", node_id), 16, padding * 30)
        _send(_packet(*(records[:1] if number % 5 == 0 else records)))
        if number % 50 == 0:
            time.sleep(0.01)
    spent, elapsed = time.process_time() - time.thread_time() - cpu, time.monotonic() - start
    told = [what for what in one.found if what[1] == 6000]
    assert spent <= 0.6 + 0.2 * elapsed
    assert len(told) <= 512 + 256 * elapsed
    assert _memory() - memory < 60e6
    assert len(one.mdns._responder._sightings) <= 2048
    other = party("other")
    until(lambda: one.knows(other) and other.knows(one), 10)
    messages = [record.getMessage() for record in caplog.records if record.name == mdns.__name__]
    assert len(messages) == len(set(messages)) <= 8
    start = time.monotonic()
    one.mdns.close()
    assert time.monotonic() - start < 0.15


def test_other_devices_are_not_kept(party: Make) -> None:
    one, other = party("one"), party("other")
    until(lambda: one.knows(other))
    for number in range(500):
        _send(_packet(_record(f"tv-{number}._tv._tcp.local.", 16, b"\xff" + b"z" * 255)))
    late = party("late")
    until(lambda: one.knows(late))
    instance = one.mdns._responder._zeroconf
    assert instance is not None
    assert not [name for name in instance.cache.names() if name.startswith("tv-")]


# A network of two hosts


def _run(program: str, *, alone: bool = False) -> str:
    """Run a program in a process of its own, in a network namespace with only loopback if ``alone``."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    if alone:
        flags = "-n" if os.geteuid() == 0 else "-Urn"
        command = ["unshare", flags, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]
        _need_namespaces(flags)
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _need_namespaces(flags: str) -> None:
    if not LINUX or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("needs Linux with unshare and iproute2")
    probe = subprocess.run(["unshare", flags, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no network namespaces here: {probe.stderr.strip()}")


# This process is host 1; host 2 lives in a child's namespace. Commands run in host 1.
HOST = """
    import os, subprocess, sys, time
    from ipcpy.discovery.advert import Advert
    from ipcpy.discovery.mdns import Mdns
    def ip(arguments): subprocess.run(["ip", *arguments.split()], check=True)
    found = []
    def make(number, addresses):
        advert = Advert(f"{number:016x}", "host", "host", "test", 5000 + number, "1")
        return Mdns(advert, addresses, lambda *what: found.append((time.monotonic(), *what)))
    def until(condition, seconds=5):
        start = time.monotonic()
        while not condition():
            if time.monotonic() - start > seconds: sys.exit(f"did not happen; error {mdns.error}, found {found}")
            time.sleep(0.005)
        return time.monotonic() - start
    def knows(address, since=0): return any(at >= since and what[0] == address for at, *what in found)
"""
TWO_HOSTS = (
    HOST
    + """
    far = subprocess.Popen(["unshare", "-n", sys.executable, "-c", os.environ["FAR"]], stdin=subprocess.PIPE)
    until(lambda: os.readlink(f"/proc/{far.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
    def plug():
        ip(f"link add eth0 type veth peer name eth0 netns {far.pid}")
        ip("addr add 10.77.0.1/24 dev eth0"); ip("link set eth0 up")
        far.stdin.write(b"\\n"); far.stdin.flush()
"""
)
FAR = (
    HOST
    + """
    ip("link set lo up")
    mdns = make(2, ["127.0.0.1"]); mdns.start()
    for _ in sys.stdin:
        ip("addr add 10.77.0.2/24 dev eth0"); ip("link set eth0 up")
        mdns.set_interfaces(["127.0.0.1", "10.77.0.2"])
    mdns.close()
"""
)


def _two_hosts(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAR", textwrap.dedent(FAR))
    program = textwrap.dedent(TWO_HOSTS) + textwrap.dedent(program) + "far.stdin.close(); far.wait(10); mdns.close()\n"
    _run(program, alone=True)


def test_two_hosts_whose_network_comes_late_goes_and_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    _two_hosts("""
        mdns = make(1, ["127.0.0.1"]); mdns.start(); time.sleep(0.5)
        assert not found
        plug(); mdns.set_interfaces(["127.0.0.1", "10.77.0.1"])
        until(lambda: knows("10.77.0.2"), 2)
        for change in ("addr del 10.77.0.1/24 dev eth0", "link del eth0"):
            time.sleep(1.2); ip(change); start = time.monotonic()
            ip("addr add 10.77.0.1/24 dev eth0") if change.startswith("addr") else plug()
            mdns.set_interfaces(["127.0.0.1", "10.77.0.1"])
            until(lambda: knows("10.77.0.2", start), 2)
        assert not knows("127.0.0.1")
    """, monkeypatch)  # fmt: skip


def test_loopback_alone_keeps_to_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    _two_hosts("""
        mdns = make(1, ["127.0.0.1"]); mdns.start()
        open_ = make(3, ["127.0.0.1", "10.77.0.1"]); plug(); open_.start()  # joins on eth0, for the whole host
        until(lambda: knows("10.77.0.2"), 3)  # by the open one
        until(lambda: knows("127.0.0.1"), 3)
        alone = []
        mdns.close()
        mdns = Mdns(Advert("4" * 16, "x", "h", "test", 5004, "1"), ["127.0.0.1"], lambda *what: alone.append(what))
        mdns.start(); until(lambda: alone); time.sleep(1.5)
        assert {address for address, _, _ in alone} == {"127.0.0.1"}, alone
        open_.close()
    """, monkeypatch)  # fmt: skip
