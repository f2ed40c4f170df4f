"""A network of the benchmark's own: loopback and nothing else, so that no packet leaves the machine.

Where namespaces are not allowed, the benchmark runs on the machine's own loopback; every adapter is told to stay there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

MARK = "IPCPY_BENCHMARK_NETWORK"
SBIN = os.pathsep.join(("/usr/sbin", "/sbin"))
SETUP = 'ip link set lo up && ip route add 224.0.0.0/4 dev lo 2>/dev/null; exec "$@"'


def enter(module: str = "benchmarks") -> str:
    """Start a module anew in a private network if that is possible; otherwise say why it is not."""
    if MARK in os.environ:
        return ""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), SBIN))
    if sys.platform != "linux":
        return f"there are no network namespaces on {sys.platform}"
    if not all(shutil.which(tool, path=path) for tool in ("unshare", "ip")):
        return "unshare or ip is missing"
    for flags in (["--net"], ["--net", "--user", "--map-root-user"]):
        probe = subprocess.run(
            ["unshare", *flags, "ip", "link", "set", "lo", "up"], capture_output=True, env={"PATH": path}
        )
        if probe.returncode == 0:
            words = ["unshare", *flags, "sh", "-c", SETUP, "sh", sys.executable, "-m", module, *sys.argv[1:]]
            os.execvpe("unshare", words, {**os.environ, MARK: "private", "PATH": path})
    return "this user may not make network namespaces"
