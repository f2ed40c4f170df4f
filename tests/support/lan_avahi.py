"""Avahi, the usual mDNS responder of Linux, on a host of a test LAN: somebody else's browser for our records.

It runs with a D-Bus of its own, in the host's private /run, as the root of its namespace: in a rootless one there is
no other user. Debian: avahi-daemon, avahi-utils, dbus.
"""

from __future__ import annotations

from dataclasses import dataclass

import tools
from lan import Lan
from lan_process import Process

TOOLS = ("avahi-daemon", "avahi-browse", "avahi-publish", "dbus-daemon")
SET_UP = """
    import subprocess
    from pathlib import Path

    Path("/run/dbus").mkdir()
    Path("/run/avahi-daemon").mkdir()
    for name, line in (("passwd", "avahi:x:0:0::/:/bin/false"), ("group", "avahi:x:0:")):
        Path("/run", name).write_text(line.replace("avahi", "root", 1) + "\\n" + line + "\\n")
        subprocess.run(["mount", "--bind", f"/run/{name}", f"/etc/{name}"], check=True)
    Path("/run/bus.conf").write_text('''
        <!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
         "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
        <busconfig>
          <listen>unix:path=/run/dbus/system_bus_socket</listen>
          <auth>EXTERNAL</auth>
          <policy context="default">
            <allow send_destination="*" eavesdrop="true"/> <allow eavesdrop="true"/> <allow own="*"/>
          </policy>
        </busconfig>
    '''.strip())
    Path("/run/avahi.conf").write_text("[server]\\nuse-ipv6=no\\n[wide-area]\\nenable-wide-area=no\\n")
"""


@dataclass(frozen=True)
class Found:
    """A resolved DNS-SD service as avahi-browse shows it."""

    interface: str
    name: str
    host: str
    address: str
    port: int
    txt: str


def start(lan: Lan, host: int) -> Process:
    """Start avahi-daemon on a host and wait until it is up. Raises tools.Unavailable where there is no Avahi."""
    tools.need(*TOOLS)
    done = lan.run(host, SET_UP)
    assert done.returncode == 0, done.stderr
    bus = lan.spawn(host, ["dbus-daemon", "--nofork", "--nopidfile", "--print-address", "--config-file=/run/bus.conf"])
    bus.wait_line("unix:path")
    options = ["--file=/run/avahi.conf", "--no-drop-root", "--no-chroot", "--no-rlimits"]
    daemon = lan.spawn(host, ["avahi-daemon", *options])
    daemon.wait_line("Server startup complete", stream="stderr")
    return daemon


def browse(lan: Lan, host: int, kind: str = "_ipcpy._udp") -> list[Found]:
    """Return the services of a kind that avahi-browse finds and resolves, on a host where Avahi runs."""
    done = lan.run(host, ["avahi-browse", "--parsable", "--resolve", "--terminate", kind], timeout=20)
    assert done.returncode == 0, done.stderr
    rows = [line.split(";", 9) for line in done.stdout.splitlines() if line.startswith("=")]
    return [Found(row[1], row[3], row[6], row[7], int(row[8]), row[9]) for row in rows]
