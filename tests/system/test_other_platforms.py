"""Windows and macOS, as far as Linux can play them: small and large messages both ways, by unicast and by multicast."""

from __future__ import annotations

import pytest

from platforms import MACOS, WINDOWS
from sniffer import SNIFFER

TALK = """
    import ipcpy as ipc
    sends, hears = sys.argv[1:3]
    with ipc.Publisher(sends, reliable=True) as pub, ipc.Subscriber(hears) as sub:
        pub.wait_for_subscribers(timeout=15)
        sub.wait_for_publishers(timeout=15)
        for size in (1, 100, 1_400, 2_000, 300_000, 2_000_000):
            pub.publish(bytes([size % 251]) * size)
        sizes = [len(sub.recv(timeout=15).data) for _ in range(6)]
        print("got", sizes, sub.stats.lost, flush=True)
        sys.stdin.readline()
"""
PLAIN = "if True:\n    import sys\n" + TALK
SIZES = r"got \[1, 100, 1400, 2000, 300000, 2000000\] {}"


@pytest.mark.parametrize("one", [WINDOWS, MACOS], ids=["windows", "macos"])
@pytest.mark.parametrize("same", [True, False], ids=["among themselves", "with Linux"])
def test_messages_of_all_sizes_go_both_ways_on_one_host(lan, one, same):
    net = lan(hosts=1)
    a = net.spawn(1, one + TALK, "a", "b")
    b = net.spawn(1, (one if same else PLAIN) + TALK, "b", "a")
    for process in (a, b):
        process.wait_line(SIZES, timeout=30)


@pytest.mark.parametrize("one", [WINDOWS, MACOS], ids=["windows", "macos"])
def test_messages_of_all_sizes_go_both_ways_between_hosts(lan, one):
    net = lan(hosts=2)
    a, b = net.spawn(1, one + TALK, "a", "b"), net.spawn(2, PLAIN + TALK, "b", "a")
    for process in (a, b):
        process.wait_line(SIZES, timeout=30)


FANOUT = """
    import ipcpy as ipc
    with ipc.Publisher("t", multicast=True, reliable=True) as pub:
        subs = [ipc.Subscriber("t") for _ in range(4)]
        pub.wait_for_subscribers(4, timeout=15)
        for n in range(500):
            pub.publish(n)
            assert [sub.recv(timeout=15).data for sub in subs] == [n] * 4
        assert pub.stats.published == 500
        print("all came", flush=True)
        sys.stdin.readline()
"""


@pytest.mark.parametrize("one", [WINDOWS, MACOS], ids=["windows", "macos"])
def test_several_subscribers_are_reached_by_multicast_on_loopback_and_nothing_leaves_the_host(lan, one):
    net = lan(hosts=1)
    sniffer = net.spawn(1, SNIFFER, "eth0")
    sniffer.wait_line("sniffing")
    process = net.spawn(1, one + FANOUT, env={"IPCPY_INTERFACES": "lo"})
    process.wait_line("all came", timeout=30)
    process.send_line("")
    process.wait()
    sniffer.send_line("")
    assert sniffer.wait_line("{.*").group() == "{}"


GONE = """
    import ipcpy as ipc
    import time
    with ipc.Subscriber("t") as sub:
        first = sub.recv(timeout=15)
        print("got", first.data, flush=True)
        deadline = time.monotonic() + 15
        while len(sub._subscription._core.picture.nodes()) > 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        print("alone", len(sub._subscription._core.picture.nodes()), flush=True)
        print("got", sub.recv(timeout=15).data, flush=True)
"""
PUBLISH = """
    import ipcpy as ipc
    with ipc.Publisher("t", keep=1) as pub:
        pub.publish(sys.argv[1])
        print("open", flush=True)
        sys.stdin.readline()
"""


@pytest.mark.parametrize("one", [WINDOWS, MACOS], ids=["windows", "macos"])
def test_a_process_that_was_killed_is_noticed_and_the_next_one_is_heard(lan, one):
    """Its ports are closed, which Windows tells by ConnectionResetError in any call."""
    net = lan(hosts=1)
    publisher = net.spawn(1, one + PUBLISH, "first")
    publisher.wait_line("open")
    subscriber = net.spawn(1, one + GONE)
    subscriber.wait_line("got first", timeout=40)
    publisher.kill()
    subscriber.wait_line("alone 1", timeout=40)
    net.spawn(1, one + PUBLISH, "second").wait_line("open")
    subscriber.wait_line("got second", timeout=40)


DEFAULT_TIMEOUT = """if True:
    import socket, sys
    socket.setdefaulttimeout(float(sys.argv[3]))
"""


@pytest.mark.parametrize("timeout", ["0.01", "0"])
def test_the_program_s_default_timeout_of_sockets_matters_nowhere(lan, timeout):
    """``recv`` waits as long as it was told, and everything works, mDNS included."""
    net = lan(hosts=2)
    a = net.spawn(1, DEFAULT_TIMEOUT + TALK, "a", "b", timeout)
    b = net.spawn(2, DEFAULT_TIMEOUT + TALK, "b", "a", timeout)
    for process in (a, b):
        process.wait_line(SIZES, timeout=30)
    program = """if True:
        import socket, sys, time
        socket.setdefaulttimeout(float(sys.argv[1]))
        import ipcpy as ipc
        sub, start = ipc.Subscriber("nothing"), time.monotonic()
        try:
            sub.recv(timeout=0.3)
        except ipc.RecvTimeout:
            print(time.monotonic() - start >= 0.29)
        print([each.text for each in ipc.diagnose().findings if each.level == "problem"])
    """
    assert net.run(1, program, timeout, timeout=20).stdout == "True\n[]\n"


WAITS = """
    import time, types
    import ipcpy as ipc
    import ipcpy.locks

    waits = []  # of the main thread, which alone gets KeyboardInterrupt

    def noting(call, which):
        def noted(*arguments, **options):
            if threading.current_thread() is threading.main_thread():
                waits.append(options.get("timeout", dict(enumerate(arguments)).get(which)))
            return call(*arguments, **options)
        return noted

    node = ipc.Node()
    sub, pub, watch = ipc.Subscriber("there", node=node), ipc.Publisher("here", node=node), node.watch()
    watch.get(timeout=20)

    def later():
        others = []
        time.sleep(0.3)
        others.append(ipc.Publisher("there"))
        others[0].wait_for_subscribers()
        time.sleep(0.3)
        others[0].publish("hello")
        time.sleep(0.3)
        others.append(ipc.Subscriber("here"))
        print(others[1].recv(timeout=10).data, flush=True)

    thread = threading.Thread(target=later)
    thread.start()  # it waits itself

    class Lock:
        def __init__(self):
            self._lock = threading.Lock()
            self.release = self._lock.release
        def acquire(self, blocking=True, timeout=0):
            if threading.current_thread() is threading.main_thread() and timeout:
                waits.append(None if timeout < 0 else timeout)
            return self._lock.acquire(blocking, timeout or -1)

    ipcpy.locks.threading = types.SimpleNamespace(Lock=Lock, RLock=threading.RLock)
    select.select = noting(select.select, 3)
    sub.wait_for_publishers()
    print(sub.recv().data, flush=True)
    pub.wait_for_subscribers()
    pub.publish("and back")
    for _ in watch:
        if len(node.nodes()) == 2:
            break
    thread.join()
    print("waits", len(waits) > 6, [wait for wait in waits if wait is None or wait > 0.1], flush=True)
"""


def test_on_windows_no_wait_of_the_main_thread_is_long_for_ctrl_c_ends_none(lan):
    process = lan(hosts=1).spawn(1, WINDOWS + WAITS)
    for line in ("hello", "and back", r"waits True \[\]"):
        process.wait_line(line, timeout=40)
