"""Which programs of the system a test may use, and where they are. Knows names, packages and permissions; no pytest.

ipcpy needs none of these programs. Some of its tests do, and a machine may lack them: such a test, or ``lan``, asks
here, and ``conftest.py`` turns ``Unavailable`` into a skip that says why. CI installs them all and sets
IPCPY_REQUIRE_LAN: there the test fails instead.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = {  # of Debian
    "avahi-browse": "avahi-utils",
    "avahi-daemon": "avahi-daemon",
    "avahi-publish": "avahi-utils",
    "avahi-publish-service": "avahi-utils",
    "bash": "bash",
    "cc": "gcc libc6-dev",
    "chromium": "chromium",
    "dbus-daemon": "dbus",
    "ip": "iproute2",
    "mosquitto": "mosquitto",
    "mosquitto_passwd": "mosquitto",
    "mosquitto_pub": "mosquitto-clients",
    "mosquitto_sub": "mosquitto-clients",
    "nft": "nftables",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "unshare": "util-linux",
}


class Unavailable(RuntimeError):
    """This machine lacks what the test needs; the text is a sentence for who reads the report."""


def search_path() -> str:
    """Return PATH with each folder's ``sbin`` beside its ``bin``: an ordinary user's PATH has only the latter."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    beside = [str(Path(folder).with_name("sbin")) for folder in folders if Path(folder).name == "bin"]
    return os.pathsep.join(dict.fromkeys((*folders, *beside)))


def find(tool: str) -> str | None:
    """Return the path of a program, None if there is none."""
    return shutil.which(tool, path=search_path())


def missing(*tools: str) -> str | None:
    """Say which of these programs are not here and what brings them, None if all are."""
    absent = [tool for tool in tools if find(tool) is None]
    if not absent:
        return None
    packages = sorted({PACKAGES[tool] for tool in absent})
    return f"{', '.join(absent)} not found (Debian: apt-get install {' '.join(packages)})"


def need(*tools: str) -> None:
    """Raise Unavailable unless all these programs are here."""
    if (reason := missing(*tools)) is not None:
        raise Unavailable(reason)


def faketime() -> str:
    """Return the path of libfaketime, which shows a program other clocks; raise Unavailable unless it is here."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        raise Unavailable("libfaketime.so.1 not found (Debian: apt-get install libfaketime)")
    return str(found[0])


def need_root() -> None:
    """Raise Unavailable unless root runs the tests."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        raise Unavailable("only root can do this")


@functools.cache
def _refusal(flags: tuple[str, ...]) -> str:
    done = subprocess.run([find("unshare") or "unshare", *flags, "true"], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"


def unshare(*flags: str) -> list[str]:
    """Return the words before a command that make it run as root of new namespaces; raise Unavailable without them."""
    if sys.platform != "linux":
        raise Unavailable(f"namespaces need Linux, and this is {sys.platform}")
    need("unshare")
    if os.geteuid() != 0:
        flags = ("--user", "--map-root-user", *flags)
    if refusal := _refusal(flags):
        raise Unavailable(f"this user may not make namespaces: {refusal}")
    return [find("unshare") or "unshare", *flags]


def unshare_net() -> list[str]:
    """Return the words before a command that run it in a network of its own where only loopback is, and is up."""
    need("ip")
    return [*unshare("--net"), "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
