"""transport.interfaces against this host and against namespaces of its own."""

from __future__ import annotations

import errno
import select
import socket
import struct
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import pytest

import tools
from ipcpy.transport import interfaces, netlink
from ipcpy.transport.interfaces import LO, Interface, InterfaceWatch, interface_to, list_interfaces, list_links

linux = pytest.mark.skipif(sys.platform != "linux", reason="netlink is Linux's")


def _in_namespace(program: str) -> str:
    """Run a program in a network namespace of its own, with lo up; return what it prints."""
    prelude = "import subprocess\ndef ip(a): subprocess.run(['ip', *a.split()], check=True)\n"
    command = [*tools.unshare_net(), sys.executable, "-c", prelude + textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_loopback_is_always_there_and_usable() -> None:
    for only in ((), ("nonsense0",), ("192.0.2.1",)):
        loopbacks = [each for each in list_interfaces(only) if each.loopback]
        assert len(loopbacks) == 1
        assert loopbacks[0].multicast
    assert all(not each.loopback or each.name in ("lo", "lo0") or sys.platform == "win32" for each in list_interfaces())


def test_listing_is_fast() -> None:
    list_interfaces()
    times = []
    for _ in range(20):
        start = time.perf_counter()
        list_interfaces()
        times.append(time.perf_counter() - start)
    assert min(times) < (0.001 if sys.platform == "linux" else 0.05)


def interface(name: str, index: int, *networks: str, up: bool = True) -> Interface:
    return Interface(
        name=name,
        index=index,
        addresses=tuple(network.partition("/")[0] for network in networks),
        networks=networks,
        mtu=1500,
        up=up,
        loopback=False,
        multicast=True,
    )


@pytest.mark.parametrize(
    ("only", "found"),
    [
        ((), [("lo", ("127.0.0.1",)), ("eth0", ("10.0.0.1", "10.0.1.1")), ("eth1", ("10.2.0.1",))]),
        (("eth0",), [("lo", ("127.0.0.1",)), ("eth0", ("10.0.0.1", "10.0.1.1"))]),
        (("10.0.1.1", "wlan7"), [("lo", ("127.0.0.1",)), ("eth0", ("10.0.1.1",))]),
        (("10.0.1.1", "eth1"), [("lo", ("127.0.0.1",)), ("eth0", ("10.0.1.1",)), ("eth1", ("10.2.0.1",))]),
        (("wlan7",), [("lo", ("127.0.0.1",))]),
    ],
)
def test_selection_by_name_and_by_address(
    monkeypatch: pytest.MonkeyPatch, only: tuple[str, ...], found: list[object]
) -> None:
    """Interfaces without an IPv4 address are left out, loopback never."""
    have = (LO, interface("eth0", 2, "10.0.0.1/24", "10.0.1.1/16"), interface("eth1", 3, "10.2.0.1/24"))
    monkeypatch.setattr(interfaces, "list_links", lambda: [*have, interface("can0", 4)])
    assert [(each.name, each.addresses) for each in list_interfaces(only)] == found
    assert all(len(each.addresses) == len(each.networks) for each in list_interfaces(only))


def test_a_host_without_loopback_is_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interfaces, "list_links", lambda: [interface("eth0", 2, "10.0.0.1/24")])
    assert [each.name for each in list_interfaces()] == ["lo", "eth0"]
    assert list_interfaces(("wlan7",)) == (LO,)


def test_the_way_to_an_address_is_the_interface_that_is_up_and_on_its_network() -> None:
    down = interface("eth0", 2, "10.0.0.1/24", up=False)
    both = interface("eth1", 3, "10.9.0.1/16", "10.0.0.2/24")
    have = (LO, down, both)
    assert interface_to(have, "10.0.0.77") is both
    assert interface_to(have, "10.9.255.1") is both
    assert interface_to(have, "127.0.0.9") is LO
    assert interface_to(have, "10.1.0.1") is None
    assert interface_to((down,), "10.0.0.77") is None


# -- netlink ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "up", "loopback", "multicast", "enabled"),
    [
        (0x1 | 0x40 | 0x1000, True, False, True, True),
        (0x1 | 0x1000, False, False, True, True),  # no cable
        (0x1000, False, False, True, False),
        (0x1 | 0x40, True, False, False, True),  # a tunnel
        (0x1 | 0x40 | 0x8, True, True, True, True),  # loopback has no flag for multicast, and takes it
        (0x8, False, True, True, False),
    ],
)
def test_flags_of_the_kernel_become_words(
    monkeypatch: pytest.MonkeyPatch, flags: int, up: bool, loopback: bool, multicast: bool, enabled: bool
) -> None:
    links = [netlink.Link("b", 5, 1400, flags, ("10.0.0.1/24", "10.1.0.1/8")), netlink.Link("a", 4, 1500, flags, ())]
    monkeypatch.setattr(netlink, "AVAILABLE", True)
    monkeypatch.setattr(netlink, "read_links", lambda: links)
    first, second = list_links()
    assert (first.name, first.index, first.addresses, first.networks) == ("a", 4, (), ())
    assert second == Interface(
        "b", 5, ("10.0.0.1", "10.1.0.1"), ("10.0.0.1/24", "10.1.0.1/8"), 1400, up, loopback, multicast, enabled
    )


@linux
def test_fields_in_a_namespace() -> None:
    printed = _in_namespace("""
        import time
        ip('link add eth0 mtu 1400 type veth peer name far')
        ip('addr add 10.77.0.1/24 dev eth0'); ip('addr add 10.78.0.1/16 dev eth0')
        from ipcpy.transport.interfaces import list_interfaces
        def show(): print([(i.name, i.networks, i.mtu, i.up, i.loopback, i.multicast) for i in list_interfaces()])
        show()
        ip('link set eth0 up'); ip('link set far up')
        end = time.monotonic() + 20
        while not all(i.up for i in list_interfaces()) and time.monotonic() < end:  # the carrier takes a moment
            time.sleep(0.001)
        show()
        ip('link del eth0')
        show()
    """)
    lo = "('lo', ('127.0.0.1/8',), 65536, True, True, True)"
    eth = "('eth0', ('10.77.0.1/24', '10.78.0.1/16'), 1400, {}, False, True)"
    down, up, gone = printed.splitlines()
    assert down == f"[{lo}, {eth.format(False)}]"
    assert up == f"[{lo}, {eth.format(True)}]"
    assert gone == f"[{lo}]"


@linux
def test_an_interface_whose_name_cannot_be_printed_is_shown_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of Linux is any bytes but blanks, / and :."""
    link = netlink.Link("e\x1b]0;h\ufffd", 2, 1500, 0x41, ("10.0.0.1/24",))
    monkeypatch.setattr(netlink, "read_links", lambda: [link])
    assert [each.name for each in list_links()] == ["e?]0;h\ufffd"]


@linux
def test_many_interfaces() -> None:
    printed = _in_namespace("""
        pair = 'link add v{0} type veth peer name w{0}\\naddr add 10.9.{0}.1/24 dev v{0}\\n'
        subprocess.run(['ip', '-batch', '-'], input=''.join(map(pair.format, range(80))), text=True, check=True)
        from ipcpy.transport.interfaces import list_interfaces
        print(len(list_interfaces()), list_interfaces(('10.9.79.1',))[1].name)
    """)
    assert printed == "81 v79\n"


@linux
@pytest.mark.parametrize("trouble", [OSError(errno.EAFNOSUPPORT, "no netlink"), struct.error("short")])
def test_without_netlink_ifaddr_answers(monkeypatch: pytest.MonkeyPatch, trouble: Exception) -> None:
    usual = list_interfaces()

    def refuse() -> None:
        raise trouble

    monkeypatch.setattr(netlink, "read_links", refuse)
    assert [each.networks for each in list_interfaces()] == [each.networks for each in usual if each.networks]
    monkeypatch.setitem(sys.modules, "ifaddr", None)
    assert list_interfaces() == (LO,)


def test_ifaddr_tells_names_and_addresses_and_the_rest_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    def adapter(name: str, index: int | None, *ips: tuple[object, int]) -> SimpleNamespace:
        found = [SimpleNamespace(ip=ip, network_prefix=prefix) for ip, prefix in ips]
        return SimpleNamespace(nice_name=name, index=index, ips=found)

    adapters = [
        adapter("en0", 4, ("10.0.0.1", 24), (("fe80::1", 0, 4), 64)),
        adapter("utun0", 5, (("fe80::2", 0, 5), 64)),
        adapter("lo0", None, ("127.0.0.1", 8)),
    ]
    monkeypatch.setattr(netlink, "AVAILABLE", False)
    monkeypatch.setitem(sys.modules, "ifaddr", SimpleNamespace(get_adapters=lambda: adapters))
    lo, en = list_links()
    assert (lo.name, lo.index, lo.networks, lo.loopback, lo.up, lo.multicast) == (
        "lo0",
        0,
        ("127.0.0.1/8",),
        True,
        True,
        True,
    )
    assert lo.mtu == (65_536 if sys.platform == "linux" else 16_384)
    assert en == interface("en0", 4, "10.0.0.1/24")


def test_a_refusal_of_ifaddr_leaves_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(errno.EMFILE, "")

    monkeypatch.setattr(netlink, "AVAILABLE", False)
    monkeypatch.setitem(sys.modules, "ifaddr", SimpleNamespace(get_adapters=refuse))
    assert list_links() == (LO,)


# -- the watch -------------------------------------------------------------------------------------------------------


@linux
def test_watch_tells_of_every_kind_of_change() -> None:
    printed = _in_namespace("""
        import select
        from ipcpy.transport.interfaces import InterfaceWatch
        with_watch = InterfaceWatch.open()
        def noticed(): return bool(select.select([with_watch], [], [], 1)[0]) and with_watch.read()
        print(with_watch.read())
        for change in ('link add eth0 type veth peer name far', 'link set eth0 up', 'link set far up',
                       'addr add 10.77.0.1/24 dev eth0', 'route add 10.99.0.0/16 via 10.77.0.9',
                       'addr del 10.77.0.1/24 dev eth0', 'link del eth0'):
            ip(change)
            print(change, noticed())
            while with_watch.read(): pass
        with_watch.close(); with_watch.close()
        print(with_watch.read(), with_watch.fileno())
    """)
    lines = printed.splitlines()
    assert lines[0] == "False" and lines[-1] == "False -1"
    assert len(lines) == 9 and all(line.endswith(" True") for line in lines[1:-1]), printed


@linux
def test_watch_takes_dropped_reports_for_a_change() -> None:
    class Kernel:
        def __init__(self) -> None:
            self.answers: list[OSError] = [OSError(errno.ENOBUFS, ""), BlockingIOError(errno.EAGAIN, "")]

        def recvfrom(self, _: int) -> tuple[bytes, tuple[int, int]]:
            raise self.answers.pop(0)

    assert InterfaceWatch(Kernel()).read() is True  # type: ignore[arg-type]


@linux
def test_watch_believes_only_the_kernel() -> None:
    class Kernel:
        def __init__(self, sender: int) -> None:
            self.answers = [(struct.pack("=IHHII", 16, 16, 0, 0, 0), (sender, 1))]

        def recvfrom(self, _: int) -> tuple[bytes, tuple[int, int]]:
            if not self.answers:
                raise BlockingIOError(errno.EAGAIN, "")
            return self.answers.pop(0)

    assert InterfaceWatch(Kernel(0)).read() is True  # type: ignore[arg-type]
    assert InterfaceWatch(Kernel(77)).read() is False  # type: ignore[arg-type]


def test_no_watch_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netlink, "AVAILABLE", False)
    assert InterfaceWatch.open() is None


def test_no_watch_where_the_kernel_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise PermissionError(errno.EPERM, "")

    monkeypatch.setattr(netlink, "AVAILABLE", True)
    monkeypatch.setattr(netlink, "open_changes", refuse)
    assert InterfaceWatch.open() is None


@linux
def test_watch_waits_without_blocking() -> None:
    watch = InterfaceWatch.open()
    assert watch is not None
    try:
        assert not select.select([watch], [], [], 0)[0] or watch.read()
        assert socket.fromfd(watch.fileno(), socket.AF_UNIX, socket.SOCK_RAW).close() is None
    finally:
        watch.close()
