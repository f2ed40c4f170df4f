"""Any DNS-SD browser shows a node: avahi-browse does, and avahi and we share port 5353.

avahi runs in namespaces of its own: a network with loopback alone, and a /run of its own for its D-Bus.
Avahi uses an interface only if it has the multicast flag, which loopback lacks at first.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import tools

TOOLS = ("avahi-daemon", "avahi-browse", "avahi-publish-service", "dbus-daemon", "bash", "ip")
CONFIGURATION = """
[server]
host-name=robot
use-ipv4=yes
use-ipv6=no
allow-interfaces=lo
[wide-area]
enable-wide-area=no
"""

SCRIPT = """
set -e
ip link set lo up multicast on
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus /run/avahi-daemon
wait_for() { for _ in $(seq 200); do [ -S "$1" ] && return; sleep 0.02; done; echo "no $1" >&2; exit 1; }
dbus-daemon --system --nofork --nopidfile & bus=$!
wait_for /run/dbus/system_bus_socket
avahi-daemon --no-drop-root --no-chroot --no-rlimits -f "$1" & avahi=$!
trap 'kill $avahi $bus' EXIT
wait_for /run/avahi-daemon/socket
shift
"$@"
"""

PROGRAM = """
import subprocess, sys, time
from ipcpy.discovery.advert import Advert
from ipcpy.discovery.mdns import Mdns
found = []
mdns = Mdns(Advert("0123456789abcdef", "arm.left", "robot", "lab", 40000, "1", ("imu", "camera/left")), ["127.0.0.1"],
            lambda *what: found.append(what))
mdns.start()
def browse():
    command = ["avahi-browse", "-rtp", "_ipcpy._udp"]
    return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout
end = time.monotonic() + 10
while "=;lo" not in (seen := browse()) and time.monotonic() < end: pass
# And the other way round: a node that avahi announces. Its host name is avahi's, with the A record apart.
txt = ["v=1", "id=fedcba9876543210", "domain=lab", "host=robot"]
foreign = subprocess.Popen(["avahi-publish-service", "mcu-fedcba9876543210", "_ipcpy._udp", "5001", *txt])
while not found and time.monotonic() < end: time.sleep(0.01)
foreign.terminate(); foreign.wait()
mdns.close()
print(seen); print(found[:1])
end = time.monotonic() + 3  # a goodbye takes effect after a second (RFC 6762, 10.1)
while "=;lo" in (after := browse()) and time.monotonic() < end: pass
print("gone" if "=;lo" not in after else "still there"); print(mdns.error)
"""


def test_avahi_shows_a_node_and_a_node_finds_what_avahi_announces(tmp_path: Path) -> None:
    tools.need(*TOOLS)
    tools.need_root()  # as avahi-daemon and dbus-daemon --system do
    apart = tools.unshare("--net", "--mount")
    configuration = tmp_path / "avahi.conf"
    configuration.write_text(CONFIGURATION)
    command = [*apart, "bash", "-c", SCRIPT, "bash", str(configuration), sys.executable, "-c", PROGRAM]
    environment = {**os.environ, "PATH": tools.search_path()}
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    seen, found, after, error = done.stdout.strip().rsplit("\n", 3)
    assert "arm_left-0123456789abcdef;_ipcpy._udp;local;ipcpy-0123456789abcdef.local;127.0.0.1;40000" in seen
    assert '"t0=imu"' in seen and '"t1=camera/left"' in seen and '"domain=lab"' in seen
    assert found == "[('127.0.0.1', 5001, 'fedcba9876543210')]"
    assert after == "gone"
    assert error == "None"
