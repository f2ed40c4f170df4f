"""ipcpy.testing: nodes on a bad network in one process, and the pytest plugin."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

import ipcpy as ipc
from ipcpy.errors import ArgumentError
from ipcpy.testing import MemoryNetwork
from ipcpy.testing.weather import Weather

COUNT = 1_000


def pair(network, **options):
    subscriber = ipc.Subscriber("x", node=network.node("b"), depth=10_000)
    publisher = ipc.Publisher("x", node=network.node("a"), **options)
    publisher.wait_for_subscribers(timeout=20)
    return publisher, subscriber


@pytest.mark.parametrize("multicast", [False, True])
def test_a_reliable_topic_is_complete_and_in_order(multicast):
    with MemoryNetwork(loss=0.1, duplicate=0.05, reorder=0.05, seed=1) as network:
        publisher, subscriber = pair(network, reliable=True, multicast=multicast)
        publisher.publish_many(range(COUNT))
        assert [subscriber.recv(timeout=10).data for _ in range(COUNT)] == list(range(COUNT))
        assert subscriber.stats.lost == {}
        assert network.counts["lost"] > 20 and network.counts["duplicated"] > 10 and network.counts["reordered"] > 10


def test_the_books_of_a_best_effort_topic_balance(wait_until):
    with MemoryNetwork(loss=0.2, duplicate=0.05, reorder=0.05, seed=2) as network:
        publisher, subscriber = pair(network)
        for number in range(COUNT):
            publisher.publish(number)
        wait_until(lambda: subscriber.stats.received + sum(subscriber.stats.lost.values()) == COUNT, 20)
        stats = subscriber.stats
        assert set(stats.lost) == {"network"} and 100 < stats.lost["network"] < 300
        assert stats.duplicates > 10 and stats.reordered > 10


def test_a_large_message_is_refilled():
    with MemoryNetwork(loss=0.1, seed=3) as network:
        publisher, subscriber = pair(network)
        body = os.urandom(3_000_000)
        for _ in range(5):
            publisher.publish(body)
            assert subscriber.recv(timeout=20).data == body


def test_delay():
    with MemoryNetwork(delay=0.02) as network:
        publisher, subscriber = pair(network)
        publisher.publish("hello")
        message = subscriber.recv(timeout=10)
        assert message.received_ns - message.sent_ns > 19e6


def test_the_weather_can_change(wait_until):
    with MemoryNetwork() as network:
        publisher, subscriber = pair(network, reliable=True)
        network.loss = 0.95
        publisher.publish_many(range(50))
        network.loss = 0.0
        assert [subscriber.recv(timeout=10).data for _ in range(50)] == list(range(50))
        assert network.loss == 0.0


def test_the_dice_are_seeded():
    def fates(seed):
        weather, out = Weather(0.3, 0.2, 0.0, 0.0, seed), []
        for number in range(100):
            weather.pass_on(out.append, b"%d" % number)
        return out

    assert fates(1) == fates(1) != fates(2)


def test_networks_do_not_see_each_other():
    with MemoryNetwork() as one, MemoryNetwork() as other:
        mine, theirs = one.node("a"), other.node("a")
        assert one.domain != other.domain
        assert mine.wait_complete(1.0) and theirs.wait_complete(1.0)
        assert [node.name for node in mine.nodes()] == ["a"] == [node.name for node in theirs.nodes()]


def test_closing_closes_all():
    network = MemoryNetwork(delay=0.001)
    publisher, subscriber = pair(network)
    network.close()
    network.close()
    with pytest.raises(ipc.ClosedError):
        subscriber.recv(timeout=1)
    with pytest.raises(ipc.ClosedError):
        network.node("c")


@pytest.mark.parametrize("wrong", [{"loss": 1.0}, {"loss": -0.1}, {"duplicate": 2}, {"reorder": "x"}, {"delay": -1}])
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        MemoryNetwork(**wrong)


USER_TESTS = """
import os, subprocess, sys
import ipcpy as ipc

domains = set()


def test_one(ipcpy_node):
    domains.add(ipcpy_node.domain)
    with ipc.Subscriber("x") as sub, ipc.Publisher("x") as pub:  # no node given
        pub.wait_for_subscribers(timeout=10)
        pub.publish(1)
        assert sub.recv(timeout=10).data == 1
    assert [node.id for node in ipcpy_node.nodes()] == [ipcpy_node.id]


def test_two(ipcpy_network, ipcpy_node):
    domains.add(ipcpy_node.domain)
    ipcpy_network.loss = 0.1
    with ipc.Subscriber("x", node=ipcpy_network.node("other")) as sub:
        program = "import ipcpy; p = ipcpy.Publisher('x'); p.wait_for_subscribers(timeout=10); p.publish(2)"
        subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
        assert sub.recv(timeout=10).data == 2
    assert len(domains) == 2 and os.environ["IPCPY_DOMAIN"] == ipcpy_node.domain
"""


def test_the_plugin(tmp_path):
    (tmp_path / "test_robot.py").write_text(USER_TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", str(tmp_path)]
    if "ipcpy" not in installed_plugins():
        command[4:4] = ["-p", "ipcpy.testing.plugin"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, cwd=tmp_path)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


def installed_plugins():
    from importlib.metadata import entry_points

    return {point.name for point in entry_points(group="pytest11")}


def test_the_plugin_costs_nothing_at_the_start():
    program = """
        import pytest, sys
        before = set(sys.modules)
        import ipcpy.testing.plugin
        new = {name for name in set(sys.modules) - before if name.startswith("ipcpy")}
        assert new <= {"ipcpy", "ipcpy.version", "ipcpy.log", "ipcpy.testing", "ipcpy.testing.plugin"}, new
        assert not {"zeroconf", "msgpack", "numpy", "asyncio"} & (set(sys.modules) - before)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=20)
