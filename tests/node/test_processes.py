"""Word of the end of processes: real ones, watched for the nodes they have."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ipcpy.node.processes import Processes
from ipcpy.protocol.link.entries import NodeEntry
from ipcpy.transport import process
from still import StillLoop

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="pidfds are Linux's")


def entry(pid, machine=None, started=None):
    started = process.start_time(pid) if started is None else started
    return NodeEntry("n", "h", pid, "1", "d", process.identity() if machine is None else machine, started)


@pytest.fixture
def child():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child
        child.kill()


@pytest.fixture
def made():
    loop, ended = StillLoop(), []
    processes = Processes(loop, entry(os.getpid()), ended.append)
    yield processes, loop, ended
    processes.close()


def test_both_nodes_of_a_process_that_ended_are_told_of_and_its_descriptor_is_closed(made, child):
    processes, loop, ended = made
    assert processes.add(1, entry(child.pid)) and processes.add(2, entry(child.pid))
    (descriptor,) = loop.ready
    child.kill()
    child.wait(30)
    loop.ready[descriptor]()
    assert ended == [1, 2] and not loop.ready
    with pytest.raises(OSError):
        os.fstat(descriptor)


def test_one_descriptor_serves_a_process_until_its_last_node_is_removed(made, child):
    processes, loop, ended = made
    processes.add(1, entry(child.pid))
    processes.add(2, entry(child.pid))
    assert len(loop.ready) == 1
    processes.remove(1)
    assert len(loop.ready) == 1
    processes.remove(2)
    processes.remove(2)
    assert not loop.ready and ended == []


def test_our_own_process_needs_no_watch(made):
    processes, loop, _ = made
    assert processes.add(1, entry(os.getpid()))
    processes.remove(1)
    assert not loop.ready


@pytest.mark.parametrize("machine", ["", "another"])
def test_a_process_of_another_system_cannot_be_watched(made, child, machine):
    processes, loop, ended = made
    assert not processes.add(1, entry(child.pid, machine))
    assert not loop.ready and ended == []


def test_a_process_that_is_gone_already_is_told_of_at_once(made, child):
    processes, loop, ended = made
    started = process.start_time(child.pid)
    child.kill()
    child.wait(30)
    assert not processes.add(1, entry(child.pid, started=started))
    assert ended == [1] and not loop.ready


def test_where_nothing_can_be_watched_that_is_said(made, child, monkeypatch):
    processes, loop, ended = made
    monkeypatch.setattr(process, "open_watch", lambda pid, started: None)
    assert not processes.add(1, entry(child.pid))
    assert not loop.ready and ended == []


def test_closing_closes_all_descriptors(made, child):
    processes, loop, _ = made
    processes.add(1, entry(child.pid))
    processes.close()
    processes.close()
    assert not loop.ready
