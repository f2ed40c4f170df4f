"""transport.process against real processes."""

from __future__ import annotations

import os
import select
import subprocess
import sys

import pytest

import tools
from ipcpy.transport import process

linux = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="pidfds are Linux's")


def _sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def _ended(watch: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(watch, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


@linux
def test_identity_is_shared_by_processes_of_this_host() -> None:
    program = "from ipcpy.transport.process import identity; print(identity())"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    assert process.identity() == other
    assert len(other) == 16 and int(other, 16) >= 0


@linux
def test_identity_differs_in_another_pid_namespace() -> None:
    program = "from ipcpy.transport.process import identity; print(identity())"
    command = [*tools.unshare("--pid", "--fork", "--mount-proc"), sys.executable, "-c", program]
    other = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(other.stdout.strip()) == 16
    assert other.stdout.strip() != process.identity()


@linux
def test_identity_is_empty_where_proc_shows_other_processes() -> None:
    program = "from ipcpy.transport.process import identity; print(repr(identity()))"
    command = [*tools.unshare("--pid", "--fork"), sys.executable, "-c", program]
    other = subprocess.run(command, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == "''"


def test_identity_is_empty_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(os, "readlink", refuse)
    assert process.identity() == ""


@linux
def test_start_time_tells_processes_apart() -> None:
    own = process.start_time(os.getpid())
    assert own > 0 and own == process.start_time(os.getpid())
    with _sleeper() as child:
        assert process.start_time(child.pid) >= own
        child.communicate(b"\n")
    assert process.start_time(child.pid) == 0
    assert process.start_time(-1) == 0


@linux
@pytest.mark.parametrize("name", ["x) R 1 1 1", "a b", "((", "))))"])
def test_start_time_survives_any_process_name(name: str) -> None:
    program = f"open('/proc/self/comm', 'w').write({name!r}); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        own = process.start_time(os.getpid())
        assert own <= process.start_time(child.pid) < own + 3600 * os.sysconf("SC_CLK_TCK")
        child.communicate(b"\n")


@linux
def test_watch_becomes_readable_when_the_process_is_killed() -> None:
    with _sleeper() as child:
        watch = process.open_watch(child.pid, process.start_time(child.pid))
        assert watch is not None
        try:
            assert not _ended(watch, 0)
            child.kill()
            assert _ended(watch, 1)  # before anybody has waited for it
        finally:
            os.close(watch)


@linux
def test_watch_of_a_process_that_is_gone_or_another_one_now() -> None:
    with _sleeper() as child:
        started = process.start_time(child.pid)
        with pytest.raises(ProcessLookupError):
            process.open_watch(child.pid, started - 1)  # its pid was another process's then
        child.communicate(b"\n")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ProcessLookupError):
        process.open_watch(child.pid, started)
    assert len(os.listdir("/proc/self/fd")) == before


@linux
def test_watch_is_refused_where_it_could_mean_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    assert process.open_watch(os.getpid(), 0) is None
    assert process.open_watch(0, 1) is None
    own = process.start_time(os.getpid())
    monkeypatch.setattr(process, "start_time", lambda _: 0)  # hidepid
    assert process.open_watch(os.getpid(), own) is None
    monkeypatch.delattr(os, "pidfd_open")
    assert process.open_watch(os.getpid(), own) is None
