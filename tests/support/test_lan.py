"""The harness itself: processes, hosts, and what the switch does to frames."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import lan_avahi
from lan import Lan, LanError, unshare_flags, why_not
from lan_process import Process, ProcessFailed, wait_until

if sys.platform != "linux":
    pytest.skip("hosts are network namespaces of Linux", allow_module_level=True)

from lan_server import firewall
from lan_switch import HOLD, QUEUE, Impairment, Port, damage, fate, is_multicast
from lan_switch import Path as Way

GROUP = "239.255.7.7"
RECEIVER = """
    import socket, struct, sys
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sock.bind(("", 5000))
    for name in sys.argv[1:] or ["eth0"]:
        index = socket.if_nametoindex(name)
        group = struct.pack("4s4si", socket.inet_aton("239.255.7.7"), b"", index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
    print("ready")
    while True:
        data, (address, port) = sock.recvfrom(65536)
        print(data.decode("latin-1"), address)
"""
SENDER = """
    import socket, struct, sys
    address, *lines = sys.argv[1:]
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for line in lines:
        sock.sendto(line.encode(), (address, 5000))
"""
ECHO = """
    import socket
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind(("", 5))
    print("up")
    sock.sendto(*sock.recvfrom(9))
"""
BURST = """
    import socket, sys, time
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for number in range(int(sys.argv[2])):
        sock.sendto(b"%05d" % number, (sys.argv[1], 5000))
        if number % 20 == 19:
            time.sleep(0.001)
"""


def receiver(lan, host, *nics):
    process = lan.spawn(host, RECEIVER, *nics)
    process.wait_line("^ready$")
    return process


def send(lan, host, address, *lines):
    done = lan.run(host, SENDER, address, *lines)
    assert done.returncode == 0, done.stderr


def burst(lan, count):
    """Send numbered datagrams from host 1 to host 2 under the impairment; return those that came, in order."""
    process = receiver(lan, 2)
    done = lan.run(1, BURST, lan.ip(2), str(count))
    assert done.returncode == 0, done.stderr
    lan.heal()
    send(lan, 1, lan.ip(2), "last")
    process.wait_line("^last ")
    return [line.split()[0] for line in process.stdout.splitlines()[1:-1]]


# Processes


def test_a_process_talks_line_by_line(spawn):
    process = spawn("print('name?'); print('hello', input())\nimport sys; print('bye', file=sys.stderr)")
    process.wait_line(r"name\?")
    process.send_line("robot")
    assert process.wait_line(r"hello (\w+)")[1] == "robot"
    assert process.wait_line("bye", stream="stderr")
    assert process.wait() == 0
    assert process.ended is not None
    assert process.succeed() == "name?\nhello robot\n"


def test_a_missing_line_shows_the_output(spawn):
    process = spawn("print('something else'); raise SystemExit(3)")
    with pytest.raises(ProcessFailed, match=r"(?s)'never'.*exit code 3.*something else"):
        process.wait_line("never")
    with pytest.raises(ProcessFailed, match="exit code 3"):
        process.succeed()


def test_a_missing_line_is_not_waited_for_longer_than_the_timeout(spawn):
    process = spawn("input()")
    with pytest.raises(ProcessFailed, match=r"(?s)'never'.*running"):
        process.wait_line("never", timeout=0.05)
    with pytest.raises(ProcessFailed, match="still running"):
        process.wait(timeout=0.05)


def test_signals_and_exit_codes(spawn):
    process = spawn("import time\ntry: print('up'); time.sleep(60)\nexcept KeyboardInterrupt: raise SystemExit(130)")
    process.wait_line("up")
    process.signal(signal.SIGINT)
    assert process.wait() == 130
    killed = spawn(["sleep", "60"])
    assert killed.running
    killed.kill()
    assert killed.wait() == -signal.SIGKILL


def test_a_process_gets_a_clean_environment(spawn, monkeypatch):
    monkeypatch.setenv("IPCPY_PEERS", "192.0.2.1")
    monkeypatch.setenv("SECRET", "1")
    names = ["IPCPY_PEERS", "SECRET", "IPCPY_INTERFACES", "IPCPY_DOMAIN", "MORE"]
    program = f"import os; print(*(os.environ.get(name) for name in {names}))"
    expected = f"None None lo {os.environ['IPCPY_DOMAIN']} more"
    assert spawn(program, env={"MORE": "more"}).succeed().split() == expected.split()
    assert spawn(program, env={"IPCPY_INTERFACES": None}).succeed().split()[2] == "None"


def test_the_children_of_a_process_end_with_it(tmp_path):
    program = "import subprocess\nchild = subprocess.Popen(['sleep', '60'])\nprint(child.pid)\nchild.wait()"
    process = Process([sys.executable, "-c", program], env={"PYTHONUNBUFFERED": "1", "PATH": os.environ["PATH"]})
    child = int(process.wait_line(r"(\d+)")[1])
    process.end()
    wait_until(lambda: is_gone(child))


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_wait_until_returns_the_value_or_tells_what_it_is():
    values = iter([0, None, "", 7])
    assert wait_until(lambda: next(values)) == 7
    with pytest.raises(AssertionError, match=r"still \[\] after 0.02 s"):
        wait_until(lambda: [], timeout=0.02)


# Hosts


@pytest.mark.parametrize("switch", ["bridge", "user"])
def test_unicast_and_multicast_reach_the_other_hosts(lan, switch):
    net = lan(3, switch=switch)
    receivers = [receiver(net, host) for host in (2, 3)]
    send(net, 1, net.ip(2), "only two")
    send(net, 1, GROUP, "both")
    assert receivers[0].wait_line("^only two (.*)")[1] == net.ip(1)
    for process in receivers:
        assert process.wait_line("^both (.*)")[1] == net.ip(1)
    assert "only two" not in receivers[1].stdout


def test_a_host_has_nothing_but_its_own(lan):
    net = lan(2, names=["same", "same"])
    own, outside = os.readlink("/proc/self/ns/net"), Path("/proc/sys/kernel/random/boot_id").read_text()
    seen = []
    for host in net.hosts:
        done = net.run(
            host,
            [
                "sh",
                "-c",
                "hostname; ls /sys/class/net; cat /proc/sys/kernel/random/boot_id; readlink /proc/self/ns/net",
            ],
        )
        name, first, second, boot, namespace = done.stdout.split()
        assert (name, first, second) == ("same", "eth0", "lo")
        seen += [boot, namespace]
    assert len({*seen, own, outside.strip()}) == 6
    addresses = net.run(1, ["ip", "-oneline", "address"]).stdout
    assert re.findall(r"inet6? \S+", addresses) == ["inet 127.0.0.1/8", f"inet {net.ip(1)}/24"]
    assert os.readlink("/proc/self/ns/net") == own


def test_containers_share_the_boot_id(lan):
    net = lan(2, private_boot=False)
    boots = {net.run(host, ["cat", "/proc/sys/kernel/random/boot_id"]).stdout for host in net.hosts}
    assert boots == {Path("/proc/sys/kernel/random/boot_id").read_text()}


def test_a_host_runs_where_the_test_runs(lan):
    net = lan(1)
    done = net.run(
        1, "import os, sys; print(os.getcwd(), sys.prefix, sys.stdin.read(), os.environ['IPCPY_DOMAIN'])", input="words"
    )
    assert done.stdout.split() == [os.getcwd(), sys.prefix, "words", os.environ["IPCPY_DOMAIN"]]
    assert "IPCPY_INTERFACES" not in net.run(1, ["env"]).stdout


def test_ten_hosts(lan):
    net = lan(10)
    receivers = [receiver(net, host) for host in (2, 10)]
    send(net, 9, GROUP, "all")
    for process in receivers:
        process.wait_line("^all")


@pytest.mark.parametrize("switch", ["bridge", "user"])
def test_block_and_heal(lan, switch):
    net = lan(3, switch=switch)
    process = receiver(net, 3)
    send(net, 1, net.ip(3), "so that ARP is done: the kernel keeps what waits for it")
    process.wait_line("ARP")
    net.block(1, 3)
    send(net, 1, net.ip(3), "lost")
    send(net, 1, GROUP, "lost")
    send(net, 2, net.ip(3), "two")
    process.wait_line("^two")
    net.heal()
    send(net, 1, net.ip(3), "healed")
    process.wait_line("^healed", timeout=20)
    assert "lost" not in process.stdout


@pytest.mark.parametrize("switch", ["bridge", "user"])
def test_partition(lan, switch):
    net = lan(4, switch=switch)
    left, right = receiver(net, 2), receiver(net, 4)
    net.partition({1, 2}, {3, 4})
    send(net, 1, GROUP, "from the left")
    send(net, 3, GROUP, "from the right")
    left.wait_line("^from the left")
    right.wait_line("^from the right")
    net.heal()
    send(net, 1, GROUP, "whole")
    for process in (left, right):
        process.wait_line("^whole")
    assert "right" not in left.stdout
    assert "left" not in right.stdout


@pytest.mark.parametrize("switch", ["bridge", "user"])
def test_multicast_off_for_all_or_one_host(lan, switch):
    net = lan(3, switch=switch)
    second, third = receiver(net, 2), receiver(net, 3)
    net.multicast(False)
    send(net, 1, GROUP, "lost to all")
    send(net, 1, net.ip(2), "unicast")
    second.wait_line("^unicast")
    net.multicast(True)
    net.multicast(False, host=2)
    send(net, 1, GROUP, "lost to two")
    third.wait_line("^lost to two")
    net.multicast(True, host=2)
    send(net, 1, GROUP, "back")
    second.wait_line("^back")
    assert "lost" not in second.stdout
    assert "to all" not in third.stdout


@pytest.mark.parametrize("switch", ["bridge", "user"])
def test_loss_towards_one_host(lan, switch):
    net = lan(2, switch=switch)
    net.loss(2, 30)
    came = burst(net, 1000)
    assert 600 < len(came) < 800
    assert came == sorted(came)


@pytest.mark.parametrize("switch", ["bridge", "user"])
def test_links_go_down_and_up_at_either_end(lan, switch):
    net = lan(2, switch=switch)
    process = receiver(net, 2)
    net.link(2, up=False)
    assert "DOWN" in net.run(2, ["ip", "link", "show", "eth0"]).stdout
    net.link(2, up=True)
    send(net, 1, net.ip(2), "once")
    process.wait_line("^once")
    net.link(2, up=False, end="cable")
    wait_until(lambda: "NO-CARRIER" in net.run(2, ["ip", "link", "show", "eth0"]).stdout)
    send(net, 1, net.ip(2), "lost")
    net.link(2, up=True, end="cable")
    wait_until(lambda: "NO-CARRIER" not in net.run(2, ["ip", "link", "show", "eth0"]).stdout)
    wait_until(lambda: send(net, 1, net.ip(2), "twice") or "twice" in process.stdout)
    assert "lost" not in process.stdout
    assert "default dev eth0" in net.run(2, ["ip", "route"]).stdout


def test_addresses_change_and_go(lan):
    net = lan(2)
    process = receiver(net, 2)
    net.address(2, "10.77.0.22/24")
    assert net.nics(2) == {"eth0": "10.77.0.22"}
    send(net, 1, "10.77.0.22", "new")
    process.wait_line("^new")
    net.address(2, None)
    assert "inet " not in net.run(2, ["ip", "address", "show", "eth0"]).stdout


@pytest.mark.parametrize("switch", ["bridge", "user"])
def test_second_and_third_cards(lan, switch):
    net = lan(2, switch=switch)
    assert [net.add_nic(host, segment=1) for host in net.hosts] == ["eth1", "eth1"]
    assert net.add_nic(2, segment=0) == "eth2"
    assert net.nics(2) == {"eth0": "10.77.0.2", "eth1": "10.77.1.2", "eth2": "10.77.0.102"}
    process = receiver(net, 2, "eth0", "eth1", "eth2")
    net.block(1, 2, segment=0)
    send(net, 1, net.ip(2), "lost")
    send(net, 1, net.ip(2, 1), "another way")
    assert process.wait_line("^another way (.*)")[1] == net.ip(1, 1)
    net.remove_nic(1, "eth1")
    assert net.nics(1) == {"eth0": "10.77.0.1"}
    assert "eth1" not in net.run(1, ["ip", "link"]).stdout
    assert "lost" not in process.stdout


def test_traffic_is_counted(lan):
    net = lan(2)
    before = net.traffic(2)["rx"]["packets"]
    process = receiver(net, 2)
    send(net, 1, net.ip(2), *map(str, range(10)))
    process.wait_line("^9")
    assert net.traffic(2)["rx"]["packets"] >= before + 10


def test_mtu(lan):
    assert "mtu 9000" in lan(1, mtu=9000).run(1, ["ip", "link", "show", "eth0"]).stdout


def test_the_bridge_only_loses(lan):
    net = lan(1)
    with pytest.raises(ValueError, match="knows loss only, not delay"):
        net.impair(delay=0.1)
    with pytest.raises(LanError, match="only the switch in user space counts"):
        net.counts()
    with pytest.raises(ValueError, match="share from 0 to 1, not 10"):
        net.impair(loss=10)


def test_mistakes_are_told(lan):
    net = lan(1)
    with pytest.raises(LanError, match="10.77.0.1000"):
        net.address(1, "10.77.0.1000/24")
    assert net.run(1, ["true"]).returncode == 0
    with pytest.raises(ValueError, match="1 to 99 hosts"):
        Lan(0)


# What the user switch does, on real hosts


def test_the_same_seed_loses_the_same_frames(lan):
    came = []
    for seed in (1, 1, 2):
        net = lan(2, switch="user", seed=seed)
        net.impair(loss=0.2, src=1, dst=2)
        came.append(burst(net, 300))
    assert came[0] == came[1] != came[2]
    assert net.counts(1, 2)["lost"] == 300 - len(came[2])
    assert net.counts()["dropped"] == 0


def test_delay(lan):
    net = lan(2, switch="user")
    net.impair(delay=0.05, dst=2)
    process = net.spawn(
        2,
        ECHO,
    )
    process.wait_line("up")
    program = """
        import socket, time
        sock = socket.socket(type=socket.SOCK_DGRAM)
        start = time.monotonic()
        sock.sendto(b"x", ("10.77.0.2", 5))
        sock.recv(9)
        print(time.monotonic() - start)
    """
    assert 0.05 <= float(net.run(1, program).stdout) < 0.5


def test_duplicates_reordering_and_damage(lan):
    net = lan(2, switch="user")
    net.impair(duplicate=0.1, reorder=0.1, corrupt=0.1, dst=2)
    came = burst(net, 1000)
    intact = [word for word in came if re.fullmatch(r"\d{5}", word) and int(word) < 1000]
    assert 1050 < len(came) < 1150
    assert len(set(came) - {f"{n:05}" for n in range(1000)}) > 20
    assert intact != sorted(intact)
    counts = net.counts(1, 2)
    assert all(counts[what] > 50 for what in ("duplicated", "reordered", "corrupted"))


# The switch's decisions, without a network


def udp(payload=b"x" * 18, protocol=17, target=b"\x0a\x4d\x00\x02", offset=0):
    size = 28 + len(payload)
    ip = (
        b"\x45\0"
        + size.to_bytes(2, "big")
        + b"\0\0"
        + offset.to_bytes(2, "big")
        + bytes([64, protocol])
        + b"\0\0"
        + bytes(4)
        + target
    )
    return (
        bytes(12) + b"\x08\0" + ip + b"\x13\x88\x13\x88" + (8 + len(payload)).to_bytes(2, "big") + b"\xab\xcd" + payload
    )


PORTS = Port("v1", 1, 0), Port("v2", 2, 0), Port("v3", 3, 1)


def rule(kind, src=None, dst=None, segment=None, **impairment):
    return {"kind": kind, "src": src, "dst": dst, "segment": segment, "impairment": impairment}


def way(**impairment):
    return Way(PORTS[0], PORTS[1], random.Random(1), fate([rule("impair", **impairment)], *PORTS[:2]))


def test_damage_flips_one_bit_behind_the_udp_header():
    frame = udp() + b"padding"
    for seed in range(200):
        spoiled = damage(frame, random.Random(seed))
        assert spoiled[40:42] == b"\0\0"
        different = [i for i in range(len(frame)) if frame[i] != spoiled[i] and i not in (40, 41)]
        assert len(different) == 1
        assert 42 <= different[0] < len(frame) - 7
        assert (frame[different[0]] ^ spoiled[different[0]]).bit_count() == 1


@pytest.mark.parametrize(
    "frame", [b"", bytes(14), udp(protocol=6), udp(payload=b""), bytes(12) + b"\x08\x06" + bytes(28)]
)
def test_damage_leaves_the_rest_alone(frame):
    assert damage(frame, random.Random(1)) == frame


def test_damage_in_a_later_fragment_spares_no_header():
    frame = udp(offset=1)
    spoiled = [damage(frame, random.Random(seed)) for seed in range(300)]
    assert min(i for copy in spoiled for i in range(len(frame)) if copy[i] != frame[i]) == 34


def test_multicast_is_told_from_the_address():
    assert is_multicast(udp(target=b"\xe0\0\0\xfb"))
    assert is_multicast(udp(target=b"\xef\xff\7\7"))
    assert not is_multicast(udp())
    assert not is_multicast(bytes(12) + b"\x08\x06" + b"\xe0" * 28)


def test_later_impairments_replace_earlier_ones():
    rules = [rule("impair", loss=0.1), rule("impair", dst=2, loss=0.2), rule("impair", src=2, loss=0.3)]
    assert fate(rules, PORTS[0], PORTS[1]).impairment == Impairment(loss=0.2)
    assert fate(rules, PORTS[1], PORTS[0]).impairment == Impairment(loss=0.3)
    assert fate([rule("block", segment=1)], PORTS[0], PORTS[1]).blocked is False
    assert fate([rule("multicast", src=2)], PORTS[0], PORTS[1]).multicast is False


def test_a_path_is_idle_without_rules_and_spares_arp():
    assert way().schedule(b"frame", 1.0) == [(1.0, b"frame")]
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    assert way(loss=1.0).schedule(arp, 1.0) == [(1.0, arp)]
    blocked = Way(PORTS[0], PORTS[1], random.Random(1), fate([rule("block")], *PORTS[:2]))
    assert blocked.schedule(arp, 1.0) == []


def test_a_rate_spaces_frames_and_drops_the_tail():
    path = way(rate=8_000_000)  # a megabyte a second
    dues = [path.schedule(bytes(1000), 0.0)[0][0] for _ in range(10)]
    assert dues == pytest.approx([0.001 * n for n in range(1, 11)])
    for _ in range(2000):
        path.schedule(bytes(1000), 0.0)
    assert path.counts["overflowed"] == pytest.approx(2010 - QUEUE / 1000, abs=2)


def test_jitter_and_reordering_stay_in_their_bounds():
    path = way(delay=1.0, jitter=0.25)
    dues = [due for _ in range(500) for due, _ in path.schedule(b"f", 0.0)]
    assert 0.75 <= min(dues) < 0.8 < 1.2 < max(dues) <= 1.25
    path = way(reorder=0.5)
    held = [due for _ in range(500) for due, _ in path.schedule(b"f", 0.0) if due]
    assert 200 < len(held) < 300
    assert HOLD[0] <= min(held) < max(held) <= HOLD[1]


def test_the_dice_of_a_frame_do_not_depend_on_what_was_lost():
    few, many = way(loss=0.1), way(loss=0.5)
    lost_few = {n for n in range(500) if not few.schedule(b"f", 0.0)}
    lost_many = {n for n in range(500) if not many.schedule(b"f", 0.0)}
    assert lost_few < lost_many


def test_the_firewall_has_a_line_for_each_way():
    text = firewall([rule("block", 1, 2), rule("impair", dst=1, loss=0.25), rule("multicast", 3)], list(PORTS))
    assert 'iifname "v1" oifname "v2" drop' in text
    assert 'iifname "v2" oifname "v1" numgen random mod 10000 < 2500 drop' in text
    assert "v3" not in text  # alone on its segment


# The end


def test_nothing_is_left_behind(lan):
    net = lan(2)
    process = net.spawn(1, ["sh", "-c", "setsid sleep 60 & echo $!; exec sleep 60"])  # one that leaves its group
    pids = [process.pid, int(process.wait_line(r"(\d+)")[1]), *net._pids]
    net.close()
    net.close()
    wait_until(lambda: all(is_gone(pid) for pid in pids))
    with pytest.raises(LanError, match="the LAN is gone"):
        net.heal()


def test_nothing_is_left_behind_when_pytest_is_killed(lan, spawn, tmp_path):
    lan(1)  # or skip
    process = spawn(
        """
        import sys, time
        sys.path.insert(0, sys.argv[1])
        from lan import Lan
        net = Lan(2)
        process = net.spawn(2, ["sleep", "60"])
        print(process.pid, *net._pids)
        time.sleep(60)
        """,
        str(Path(__file__).parent),
        env={"TMPDIR": str(tmp_path)},
    )
    pids = [int(word) for word in process.wait_line(r"^\d+ \d+ \d+$")[0].split()]
    process.kill()
    wait_until(lambda: all(is_gone(pid) for pid in pids))


def test_the_reason_for_no_lan_is_told(monkeypatch):
    ask = unshare_flags.__wrapped__
    with monkeypatch.context() as patch:
        patch.setattr("shutil.which", lambda tool, path=None: None if tool == "ip" else tool)
        assert ask() == "ip not found (Debian: apt-get install iproute2)"
    with monkeypatch.context() as patch:
        patch.setattr("shutil.which", lambda tool, path=None: tool)
        refused = subprocess.CompletedProcess([], 1, "", "unshare failed: Operation not permitted")
        patch.setattr("subprocess.run", lambda *_, **__: refused)
        assert ask() == "this user may not make network namespaces: unshare failed: Operation not permitted"
    monkeypatch.setattr("lan.unshare_flags", lambda: "no")
    assert why_not() == "no"
    with pytest.raises(LanError, match="^no$"):
        Lan()


def test_avahi_runs_on_hosts(lan):
    net = lan(2)
    for host in net.hosts:
        lan_avahi.start(net, host)
    advert = net.spawn(1, ["avahi-publish", "-s", "robot", "_ipcpy._udp", "4711", "topic=imu"])
    advert.wait_line("Established under name 'robot'", stream="stderr")
    (found,) = wait_until(lambda: lan_avahi.browse(net, 2), timeout=20)
    assert (found.interface, found.name, found.address, found.port) == ("eth0", "robot", net.ip(1), 4711)
    assert found.host == "h1.local"
    assert found.txt == '"topic=imu"'
