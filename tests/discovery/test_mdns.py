"""discovery.mdns over real multicast: on loopback alone, or between namespaces that the test makes itself."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import random
import statistics
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator

import pytest

import mdnsnet
import tools
from ipcpy.discovery import reports
from ipcpy.discovery.advert import SERVICE_TYPE, Advert, instance_name
from ipcpy.discovery.check import question
from ipcpy.discovery.mdns import Mdns
from lan_process import quickest, wait_until

zeroconf = pytest.importorskip("zeroconf")

LO = ["127.0.0.1"]
LINUX = sys.platform == "linux"
NUMBERS = itertools.count(20_000)


class Party:
    """One Mdns and what it told."""

    def __init__(self, name: str = "party", *, domain: str = "test", interfaces: list[str] = LO) -> None:
        self.id = os.urandom(8).hex()
        self.advert = Advert(self.id, name, "host", domain, next(NUMBERS), "1", ("imu",))
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


def seconds(doing: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = time.monotonic()
    doing()
    return time.monotonic() - start


def ready(one: Party) -> None:
    """Wait until it hears: its own announcement came back."""
    wait_until(lambda: one.mdns.counters.get("own"))


def until_threads_ended() -> None:
    wait_until(lambda: "ipcpy-mdns" not in [thread.name for thread in threading.enumerate()])


# -- finding one another, updates, goodbye -----------------------------------------------------------------------------


def test_a_newcomer_is_found_at_once_and_finds_who_was_there(party: Make) -> None:
    early = party("early")
    ready(early)
    newcomers = []

    def be_found() -> float:
        newcomers.append(party("late"))
        return seconds(lambda: wait_until(lambda: early.knows(newcomers[-1])))

    def find() -> float:
        newcomers.append(party("later"))
        return seconds(lambda: wait_until(lambda: newcomers[-1].knows(early)))

    assert quickest(be_found, 1) < 1
    assert quickest(find, 2) < 2
    assert early.mdns.error is newcomers[-1].mdns.error is None
    assert all(node_id != early.id for _, _, node_id in early.found)


def test_closing_takes_the_service_from_browsers_at_once(party: Make) -> None:
    def close_one() -> float:
        goes = party("goes")
        ready(goes)
        name = instance_name("goes", goes.id)
        with mdnsnet.listening() as ear:
            took = seconds(goes.mdns.close)
            (*_, last) = mdnsnet.heard(ear, lambda data: goes.id.encode() in data and not mdnsnet.is_query(data))
        leaving = {record.ttl for record in zeroconf.DNSIncoming(last).answers() if record.name == SERVICE_TYPE}
        assert leaving == {0}, f"no goodbye of {name}"
        return took

    assert quickest(close_one, 0.1) < 0.1


def test_other_domains_are_known_by_name_when_asked_for(party: Make) -> None:
    ours = party("a")
    ready(ours)
    party("b", domain="elsewhere")
    wait_until(lambda: ours.mdns.domains() == {"elsewhere": 1})
    late = party("c", domain="late")
    wait_until(lambda: late.mdns.domains() == {"elsewhere": 1, "test": 1})


def test_who_knows_many_asks_all_the_same_when_other_domains_are_wanted(party: Make) -> None:
    """A node that knows 16 peers asks nobody at its start; only answers tell of a domain that was there before."""
    silent = party("silent", domain="elsewhere")
    ready(silent)
    crowd = Party("crowd")
    crowd.mdns = Mdns(crowd.advert, LO, print, known=lambda: [f"n{n}-{n:016x}.{SERVICE_TYPE}" for n in range(16)])
    crowd.mdns.domains()
    crowd.mdns.start()
    try:
        wait_until(lambda: crowd.mdns.domains() == {"elsewhere": 1}, 20)
    finally:
        crowd.mdns.close()


def test_a_node_that_another_announces_is_found_like_any_other(party: Make) -> None:
    one, other = party("one"), party("other")
    spoken_for = Advert("00000000000007af", "third", "host", "test", 4_000, "1")
    one.mdns.represent([spoken_for])
    wait_until(lambda: ("127.0.0.1", 4_000, spoken_for.node_id) in other.found)
    assert not any(node_id == spoken_for.node_id for _, _, node_id in one.found)
    later = party("later")  # it asks
    wait_until(lambda: ("127.0.0.1", 4_000, spoken_for.node_id) in later.found)


def test_other_domains_are_not_told(party: Make) -> None:
    ours, foreign, third = party("a"), party("b", domain="elsewhere"), party("c")
    wait_until(lambda: ours.knows(third) and third.knows(ours) and ours.mdns.counters.get("domain"))
    assert not ours.knows(foreign) and not foreign.knows(ours)


def test_updates_are_announced_but_not_each(party: Make) -> None:
    speaker = party("speaker")
    ready(speaker)
    start = time.monotonic()
    with mdnsnet.listening() as ear:
        for number in range(200):
            speaker.mdns.update(Advert(speaker.id, "speaker", "host", "test", 1, "1", (f"topic-{number}",)))
        packets = mdnsnet.heard(ear, lambda data: b"topic-199" in data)
    elapsed = time.monotonic() - start
    topics = {data.partition(b"t0=")[2][:12] for data in packets if speaker.id.encode() in data}
    assert len(topics) <= 3 + elapsed  # what it said before, one at once, and one a second


def test_who_asks_from_a_port_of_its_own_is_answered_there(party: Make) -> None:
    """As the doctor does, which has no zeroconf."""
    one = party("one")
    ready(one)
    with mdnsnet.speaker() as doctor:
        doctor.sendto(question(77), mdnsnet.GROUP)
        (*_, answer) = mdnsnet.heard(doctor, lambda data: one.id.encode() in data)
    assert answer[:2] == (77).to_bytes(2, "big")


def test_it_remembers_those_it_heard_of_itself_included(party: Make) -> None:
    one, other = party("one"), party("other")
    wait_until(lambda: one.knows(other))
    ready(one)
    assert one.mdns.remembered >= 2


# -- trouble -----------------------------------------------------------------------------------------------------------


def test_starting_costs_nothing_and_waits_for_no_import() -> None:
    printed = _run("""
        import sys, threading, time
        from ipcpy.discovery.advert import Advert
        from ipcpy.discovery.mdns import Mdns
        assert not {"zeroconf", "asyncio"} & sys.modules.keys()
        started, importing = threading.Event(), threading.Event()
        class Patient:  # an import of zeroconf that takes until start() returned
            def find_spec(self, name, *_):
                if name == "zeroconf":
                    importing.set(); started.wait()
        sys.meta_path.insert(0, Patient())
        mdns = Mdns(Advert("0" * 16, "n", "h", "test", 1, "1"), ["127.0.0.1"], print)
        start = time.thread_time(); mdns.start(); print(time.thread_time() - start)
        assert importing.wait(30) and "zeroconf" not in sys.modules
        started.set()
    """)
    assert float(printed) < 0.05


@pytest.mark.parametrize("pause", [0, 0.01, 0.03, 0.06, 0.5])  # at which moment of its start is what is tested
@pytest.mark.parametrize("leave", ["", "import atexit; atexit.register(mdns.close)", "mdns.close()"])
def test_the_process_ends_at_once(pause: float, leave: str) -> None:
    beginning = """
        import sys, time
        from ipcpy.discovery.advert import Advert
        from ipcpy.discovery.mdns import Mdns
        mdns = Mdns(Advert("0" * 16, "n", "h", "test", 1, "1"), ["127.0.0.1"], lambda *what: None)
    """
    program = f"""
        mdns.start(); time.sleep({pause})
        print(time.monotonic(), flush=True)
        {leave}
    """
    control = """
        import asyncio, zeroconf.asyncio
        print(time.monotonic(), flush=True)
    """

    def end(program: str) -> float:
        said = float(_run(beginning + program))
        return time.monotonic() - said

    # 0.2 of ours, the rest for a busy machine, on which a process without mDNS ends slowly too
    assert quickest(lambda: end(program) - end(control), 0.5) < 0.5


def test_start_and_close_leave_nothing_behind() -> None:
    took: list[float] = []

    def cycle(pause: float) -> None:
        one = Party()
        one.mdns.start()
        time.sleep(pause)  # which moment of the start is what is tested
        one.mdns.set_interfaces(LO)
        one.mdns.update(one.advert)
        took.append(seconds(one.mdns.close))
        one.mdns.close()
        one.mdns.update(one.advert)
        one.mdns.start()

    first = Party()
    first.mdns.start()
    ready(first)  # what is made once in a process is made
    first.mdns.close()
    until_threads_ended()
    gc.collect()
    before = len(os.listdir("/proc/self/fd")) if LINUX else 0
    for number in range(40):
        cycle((number % 5) * 0.002)
    until_threads_ended()
    gc.collect()
    assert (len(os.listdir("/proc/self/fd")) if LINUX else 0) <= before
    assert statistics.median(took) < 0.15


def test_close_waits_for_nobody() -> None:
    """A callback that does not return holds the thread, and close leaves the thread to itself after 0.1 s."""
    entered, leave, told = threading.Event(), threading.Event(), []

    def hang(*_: object) -> None:
        entered.set()
        leave.wait(30)
        told.append(True)

    def close_one() -> float:
        entered.clear()
        one, other = Party("one"), Party("other")
        one.mdns = Mdns(one.advert, LO, hang)
        one.mdns.start()
        other.mdns.start()
        assert entered.wait(30)
        other.mdns.close()
        return seconds(one.mdns.close)

    try:
        assert quickest(close_one, 0.15) < 0.15
        assert not told, "the thread was still inside"
    finally:
        leave.set()
        until_threads_ended()


def test_without_a_thread_it_says_so_and_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    one = Party()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        one.mdns.start()
    assert one.mdns.error == "can't start new thread"
    one.mdns.close()


def test_close_without_start() -> None:
    one = Party()
    one.mdns.close()
    one.mdns.start()
    assert one.mdns.error is None
    assert "ipcpy-mdns" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.skipif(not LINUX, reason="needs a namespace")
def test_a_port_that_is_taken_is_said_once_and_tried_again() -> None:
    printed = _run("""
        import logging, socket, sys, time
        logging.basicConfig(stream=sys.stdout, format="%(name)s")
        from ipcpy.discovery.advert import Advert
        from ipcpy.discovery.mdns import Mdns
        tries = []  # zeroconf's own log says it each time
        logging.getLogger("zeroconf").addFilter(tries.append)
        thief = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); thief.bind(("", 5353))
        mdns = Mdns(Advert("0" * 16, "n", "h", "test", 1, "1"), ["127.0.0.1"], print)
        def until(condition):
            end = time.monotonic() + 10
            while not condition() and time.monotonic() < end: time.sleep(0.01)
        mdns.start(); until(lambda: mdns.error)
        print(mdns.error)
        before = len(tries); mdns.set_interfaces(["127.0.0.1"]); until(lambda: len(tries) > before)
        thief.close()
        mdns.set_interfaces(["127.0.0.1"]); until(lambda: mdns.error is None)
        print(mdns.error, "after more tries:", len(tries) > before)
        mdns.close()
    """, alone=True)  # fmt: skip
    lines = printed.splitlines()
    assert lines.count(reports.__name__) == 1
    assert lines[-2:] == ["UDP port 5353 is taken by a program that does not share it", "None after more tries: True"]


def test_without_zeroconf(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    one = Party()
    one.mdns.start()
    wait_until(lambda: one.mdns.error)
    assert "zeroconf" in str(one.mdns.error)
    one.mdns.set_interfaces(LO)
    one.mdns.close()
    assert len([record for record in caplog.records if record.name == reports.__name__]) == 1


def test_interfaces_fail_alone(party: Make) -> None:
    one, other = party("one", interfaces=["192.0.2.1", "127.0.0.1", "nonsense", "300.1.1.1"]), party("other")
    wait_until(lambda: one.knows(other) and other.knows(one))
    assert one.mdns.error is None
    one.mdns.set_interfaces(["192.0.2.1"])
    wait_until(lambda: one.mdns.error)
    one.found.clear()
    one.mdns.set_interfaces(LO)
    wait_until(lambda: one.mdns.error is None and one.knows(other))


def test_a_callback_that_fails_kills_nothing(party: Make, caplog: pytest.LogCaptureFixture) -> None:
    one = Party("one")

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    one.mdns = Mdns(one.advert, LO, fail)
    one.mdns.start()
    for _ in range(2):
        party("other")
    wait_until(lambda: one.mdns.counters.get("callback", 0) >= 2)
    one.mdns.close()
    assert len([record for record in caplog.records if record.exc_info]) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_lets_go_without_a_word_and_the_parent_goes_on(party: Make) -> None:
    parent = party("parent")
    ready(parent)
    with mdnsnet.listening() as ear:
        child = os.fork()
        if child == 0:
            parent.mdns.abandon()
            parent.mdns.close()
            parent.mdns.update(parent.advert)
            os._exit(3 if _holds_port_5353(ear.fileno()) else 0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        late = party("late")
        wait_until(lambda: parent.knows(late) and late.knows(parent))
        packets = mdnsnet.heard(ear, lambda data: late.id.encode() in data)
    responses = [zeroconf.DNSIncoming(data) for data in packets if not mdnsnet.is_query(data)]
    assert all(record.ttl for response in responses for record in response.answers()), "a goodbye for the parent"


def _holds_port_5353(but: int) -> bool:
    """Tell whether this process has an mDNS socket other than that of the test."""
    if not LINUX:
        return False
    with open("/proc/self/net/udp") as table:
        inodes = {line.split()[9] for line in table.readlines()[1:] if line.split()[1].endswith(":14E9")}
    descriptors = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd") if int(fd) != but]
    links = [os.readlink(each) for each in descriptors if os.path.exists(each)]
    return bool(inodes & {link[8:-1] for link in links if link.startswith("socket:")})


# -- attacks -----------------------------------------------------------------------------------------------------------


def _memory() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_random_and_mutated_packets_change_nothing_but_counters(party: Make) -> None:
    one, dice = party("one"), random.Random(5)
    ready(one)
    valid = mdnsnet.packet(*mdnsnet.instance(f"{dice.getrandbits(63):016x}", "127.0.0.1"))
    packets = []
    for number in range(20_000):
        packet = bytearray(valid if number % 2 else struct.pack(">6H", 0, 0x8400, 0, 9, 0, 0) + dice.randbytes(300))
        for _ in range(dice.randint(0, 6)):
            packet[dice.randrange(len(packet))] = dice.randrange(256)
        packets.append(bytes(packet[: dice.randint(0, len(packet))] if number % 7 == 0 else packet))
    mdnsnet.send(*packets)
    other = party("other")
    wait_until(lambda: one.knows(other) and other.knows(one), 30)
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
        records = mdnsnet.instance(node_id, f"127.{number >> 12}.{number >> 8 & 15}.{number & 255}")
        if number % 3 == 0:
            records[2] = mdnsnet.record(instance_name("forged", node_id), mdnsnet.TXT, padding * 30)
        mdnsnet.send(mdnsnet.packet(*(records[:1] if number % 5 == 0 else records)))
        if number % 50 == 0:
            time.sleep(0.01)  # at most 5,000 a second: not one burst that ends in the kernel's buffer
    spent, elapsed = time.process_time() - time.thread_time() - cpu, time.monotonic() - start
    told = [what for what in one.found if what[1] == 6000]
    assert spent <= 0.6 + 0.2 * elapsed
    assert len(told) <= 512 + 256 * elapsed
    assert _memory() - memory < 60e6
    assert 500 < one.mdns.remembered <= 2048
    other = party("other")
    wait_until(lambda: one.knows(other) and other.knows(one), 30)
    messages = [record.getMessage() for record in caplog.records if record.name == reports.__name__]
    assert len(messages) == len(set(messages)) <= 8


# -- a network of two hosts --------------------------------------------------------------------------------------------


def _run(program: str, *, alone: bool = False) -> str:
    """Run a program in a process of its own, in a network namespace with only loopback if ``alone``."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    if alone:
        command = [*tools.unshare_net(), *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# This process is host 1; host 2 lives in a child's namespace. Commands run in host 1.
HOST = """
    import os, subprocess, sys, time
    from ipcpy.discovery.advert import Advert
    from ipcpy.discovery.mdns import Mdns
    def ip(arguments): subprocess.run(["ip", *arguments.split()], check=True)
    found = []
    def advert(number, *topics): return Advert(f"{number:016x}", "host", "host", "test", 5000 + number, "1", topics)
    def make(number, addresses):
        return Mdns(advert(number), addresses, lambda *what: found.append((time.monotonic(), *what)))
    def until(condition, seconds=10):
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
    def tell_far(): far.stdin.write(b"\\n"); far.stdin.flush()
    def plug():
        ip(f"link add eth0 type veth peer name eth0 netns {far.pid}")
        ip("addr add 10.77.0.1/24 dev eth0"); ip("link set eth0 up")
        tell_far()
"""
)
FAR = (
    HOST
    + """
    ip("link set lo up")
    mdns = make(2, ["127.0.0.1"]); mdns.start()
    for turn, _ in enumerate(sys.stdin):
        mdns.update(advert(2, f"turn-{turn}"))  # so that it is news to who heard the last
        ip("addr replace 10.77.0.2/24 dev eth0"); ip("link set eth0 up")
        mdns.set_interfaces(["127.0.0.1", "10.77.0.2"])
    mdns.close()
"""
)


def _two_hosts(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAR", textwrap.dedent(FAR))
    program = textwrap.dedent(TWO_HOSTS) + textwrap.dedent(program) + "far.stdin.close(); far.wait(30); mdns.close()\n"
    _run(program, alone=True)


def test_two_hosts_whose_network_comes_late_goes_and_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    _two_hosts("""
        mdns = make(1, ["127.0.0.1"]); mdns.start(); until(lambda: mdns.counters.get("own"))
        assert not found
        plug(); mdns.set_interfaces(["127.0.0.1", "10.77.0.1"])
        until(lambda: knows("10.77.0.2"))
        for change in ("addr del 10.77.0.1/24 dev eth0", "link del eth0"):
            ip(change); start = time.monotonic()
            ip("addr add 10.77.0.1/24 dev eth0") if change.startswith("addr") else plug()
            mdns.set_interfaces(["127.0.0.1", "10.77.0.1"])
            until(lambda: knows("10.77.0.2", start))
        assert not knows("127.0.0.1")
    """, monkeypatch)  # fmt: skip


def test_loopback_alone_keeps_to_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    _two_hosts("""
        mdns = make(1, ["127.0.0.1"]); mdns.start()
        open_ = make(3, ["127.0.0.1", "10.77.0.1"]); plug(); open_.start()  # joins on eth0, for the whole host
        until(lambda: knows("10.77.0.2"))  # by the open one
        until(lambda: knows("127.0.0.1"))
        alone = []
        mdns.close()
        mdns = Mdns(advert(4), ["127.0.0.1"], lambda *what: alone.append(what))
        mdns.start(); until(lambda: alone)
        start = time.monotonic(); tell_far()
        until(lambda: knows("10.77.0.2", start))  # the far host spoke, and the open one heard it
        last = make(5, ["127.0.0.1"]); last.start()
        until(lambda: ("127.0.0.1", 5005, f"{5:016x}") in alone)  # what came before is read by then
        assert {address for address, _, _ in alone} == {"127.0.0.1"}, alone
        assert f"{2:016x}" not in {node_id for _, _, node_id in alone}, alone  # not even at an address of ours
        last.close(); open_.close()
    """, monkeypatch)  # fmt: skip
