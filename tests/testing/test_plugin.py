"""The pytest plugin, in pytest sessions of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

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
    assert len(domains) == 2 and os.environ["IPCPY_DOMAIN"] == ipcpy_node.domain and ipcpy_node.keys == ()
"""


def test_the_plugin(tmp_path):
    (tmp_path / "test_robot.py").write_text(USER_TESTS)
    done = run_pytest(tmp_path)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


def run_pytest(folder):
    # Without that of Hypothesis: it parses its own files at the end, while a node's thread may have some of ipcpy's
    # rewritten by pytest, and CPython 3.11 loses count where two threads parse (its issue 106905).
    without = [word for name in ("cacheprovider", "asyncio", "hypothesispytest") for word in ("-p", f"no:{name}")]
    loaded = [] if "ipcpy" in installed_plugins() else ["-p", "ipcpy.testing.plugin"]
    command = [sys.executable, "-m", "pytest", "-q", *loaded, *without, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, cwd=folder)


def installed_plugins():
    from importlib.metadata import entry_points

    return {point.name for point in entry_points(group="pytest11")}


def test_the_plugin_costs_nothing_at_the_start():
    program = """
        import pytest, sys
        before = set(sys.modules)
        import ipcpy.testing.plugin
        new = {name for name in set(sys.modules) - before if name.startswith("ipcpy")}
        assert new <= {"ipcpy", "ipcpy.version", "ipcpy.typed", "ipcpy.testing", "ipcpy.testing.plugin"}, new
        assert not {"zeroconf", "msgpack", "numpy", "asyncio"} & (set(sys.modules) - before)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=20)


OWN_SHARED = """
import ipcpy as ipc


def test_a():
    global mine
    mine = ipc.Publisher("before")  # on the shared node


def test_b(ipcpy_node):
    assert "before" not in [topic.name for topic in ipc.topics(timeout=0.2)]


def test_c():
    assert "before" in [topic.name for topic in ipc.topics(timeout=0.2)]
    mine.close()
"""


def test_the_shared_node_of_before_is_shared_again_after_the_test(tmp_path):
    (tmp_path / "test_robot.py").write_text(OWN_SHARED)
    done = run_pytest(tmp_path)
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout + done.stderr
