"""Who a process is on its host, and when it ends. Knows /proc and pidfds; nothing of nodes or peers.

A pid says nothing by itself: other hosts and containers use the same numbers, and one host uses a number again.
So a pid is compared only between processes of equal ``identity()``, and always together with its start time.
See pidfd_open(2), proc_pid_stat(5), namespaces(7).
"""

from __future__ import annotations

import os
import select

from ..checksum import blake2s

__all__ = ["identity", "open_watch", "start_time"]

_START_FIELD = 22 - 3  # field 22 of /proc/<pid>/stat, counted from field 3, the first one behind the name


def identity() -> str:
    """Return a string that two processes share exactly when each can judge the other's pid and start time.

    Equal means: same boot of the same machine, same pid namespace, same time namespace (start times are counted in it).

    Returns:
        16 hexadecimal digits; "" where the platform cannot tell, which compares with nothing.
    """
    try:
        if os.readlink("/proc/self") != str(os.getpid()):
            return ""  # /proc shows another pid namespace: what it says of a pid is about somebody else
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            parts = [file.read().strip(), os.readlink("/proc/self/ns/pid"), _time_namespace()]
    except (OSError, ValueError):
        return ""
    return blake2s("\n".join(parts).encode(), digest_size=8).hexdigest()


def start_time(pid: int) -> int:
    """Return when a process started, in clock ticks since the boot; 0 if it is gone or hidden."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            line = file.read()
        # The name, in parentheses, may itself hold spaces and parentheses: only the last ")" ends it.
        return int(line[line.rindex(b")") + 2 :].split()[_START_FIELD])
    except (OSError, ValueError, IndexError):
        return 0


def open_watch(pid: int, started: int) -> int | None:
    """Open a descriptor that becomes readable when a process ends. The caller closes it.

    Args:
        pid: its pid, from a process of equal ``identity()``.
        started: its ``start_time``, as it gave it itself.

    Returns:
        The descriptor (a pidfd), or None where it cannot be watched: no pidfds here, no descriptor left, or
        nothing to tell this process from a later one with its pid.

    Raises:
        ProcessLookupError: the process is gone already.
    """
    opener = getattr(os, "pidfd_open", None)
    if opener is None or started <= 0 or pid <= 0:
        return None
    try:
        watch = int(opener(pid))
    except ProcessLookupError:
        raise
    except OSError:
        return None  # an old kernel, a seccomp filter, EMFILE
    return _verified(watch, pid, started)


def _verified(watch: int, pid: int, started: int) -> int | None:
    """Return the pidfd if it is of the process that was meant. The pid cannot change hands between the two looks."""
    actual = start_time(pid)
    if actual == started:
        return watch
    ended = _readable(watch)
    os.close(watch)
    if actual or ended:
        raise ProcessLookupError(f"process {pid} is gone")
    return None  # alive, but /proc hides it (hidepid)


def _readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _time_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/time")
    except OSError:
        return ""  # before Linux 5.6 there is but one
