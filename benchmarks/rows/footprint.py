"""What ipcpy costs before the first message: time to import, time to be matched, memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

from .. import launch
from ..adapters import ADAPTERS
from ..adapters.contract import Setting
from ..figures import Metric, Target
from ..processes import Role, RoleFailed, Run
from ..roles import asked, tell
from .contract import Amount, Row

TOPIC = "start"
FROM_START = Target("ipcpy", 60, ratio=False)
UNKEPT = "PYTHONDONTWRITEBYTECODE"  # with it all is compiled each time: four times as long as to load it
MODULES = {
    "raw": "socket",
    "cyclonedds": "cyclonedds.domain, cyclonedds.pub, cyclonedds.sub, cyclonedds.topic, cyclonedds.idl",
    "ecal": "ecal.nanobind_core",
}
BEGIN = """
import sys, time
def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6
bare, begun = memory(), time.perf_counter()
import {modules}
figures = {{"import": (time.perf_counter() - begun) * 1e3, "imported": memory() - bare}}
"""
NAMES = """
from ipcpy import Publisher, Subscriber
figures["names"] = (time.perf_counter() - begun) * 1e3
"""
MATCH = """
begun = time.perf_counter()
publisher = Publisher("start")
publisher.wait_for_subscribers(timeout=15)
figures["ready"] = (time.perf_counter() - begun) * 1e3
subscriber = Subscriber("start/back")
time.sleep(1.0)  # what is loaded later counts too
figures["memory"] = memory() - bare
"""
ALONE = """
publisher, subscriber = Publisher("start"), Subscriber("start")
publisher.wait_for_subscribers(timeout=15)
time.sleep(2.0)
figures["speaking"] = memory() - bare
"""
FIRST = {
    "taken": """
import time
from ipcpy import Subscriber
message = Subscriber("start/kept").recv(timeout=15)
figures = {"at": time.monotonic_ns()}
""",
    "given": """
from ipcpy import Publisher
publisher = Publisher("start/given")
publisher.wait_for_subscribers(timeout=15)
publisher.publish(b"first")
figures = {}
publisher.close()
""",
}
END = """
import json
print(json.dumps(figures))
"""


def version(setting: Setting) -> None:
    """Tell which ipcpy is measured."""
    import ipcpy

    tell(version=ipcpy.__version__, where=os.path.dirname(ipcpy.__file__))


def listen(setting: Setting) -> None:
    """Be there to be found, with a message for who comes; tell when each that is given was taken."""
    import ipcpy

    subscriber, publisher = ipcpy.Subscriber(TOPIC), ipcpy.Publisher(f"{TOPIC}/kept", keep=1)
    publisher.publish(b"kept")
    given = ipcpy.Subscriber(f"{TOPIC}/given")
    tell(ready=True)
    while asked()["do"] == "take":
        given.recv(timeout=15)
        tell(at=time.monotonic_ns())
    subscriber.close()


class Footprint(Row):
    """A fresh process imports, is matched with one that runs already, and is looked at a second later."""

    name = "start"
    title = "Before the first message"
    floor = ""
    adapters = ("raw", "ipcpy")
    peers = ("lcm", "zenoh", "cyclonedds", "ecal", "iceoryx2", "zmq tcp", "nng")
    metrics = (
        Metric("import", "import", "ms", (Target("ipcpy", 40, ratio=False),)),
        Metric("names", "import with Publisher and Subscriber", "ms", (Target("ipcpy", 40, ratio=False),)),
        Metric("ready", "publisher matched, after that", "ms"),
        Metric("taken", "from the start of a subscriber's process to its first message", "ms", (FROM_START,)),
        Metric("given", "from the start of a publisher's process to its first message's arrival", "ms", (FROM_START,)),
        Metric("imported", "memory of the import, over bare Python", "MB"),
        Metric(
            "memory",
            "memory with publisher and subscriber, over bare Python",
            "MB",
            (Target("ipcpy", 8, ratio=False),),
        ),
        Metric("speaking", "the same where it speaks mDNS, for all nodes of its host", "MB"),
    )

    upright = True

    def why_not(self) -> str:
        return "" if os.path.exists("/proc/self/statm") else "memory is read from /proc"

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        modules = MODULES.get(adapter, ADAPTERS[adapter].needs or "ipcpy")
        with Run(adapter) as run:
            program = BEGIN.format(modules=modules) + (NAMES if adapter == "ipcpy" else "") + END
            _figures(program, run.env)  # compiles what is new
            rounds = [_figures(program, run.env) for _ in range(amount.imports)]
            figures = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
            if adapter == "ipcpy":
                listener = run.start("benchmarks.rows.footprint.listen", adapter="")
                listener.answer()
                matched = _figures(BEGIN.format(modules=modules) + NAMES + MATCH + END, run.env)
                figures |= {key: matched[key] for key in ("ready", "memory")}
                alone = run.env | {"IPCPY_DOMAIN": f"{run.env.get('IPCPY_DOMAIN', 'default')}-alone"}
                figures["speaking"] = _figures(BEGIN.format(modules=modules) + NAMES + ALONE + END, alone)["speaking"]
                for way in FIRST:
                    figures[way] = statistics.median(_first(way, run.env, listener) for _ in range(amount.imports))
        return figures


def _first(way: str, env: dict[str, str], listener: Role) -> float:
    """Start a process that takes or gives a message; return how many ms after that the message was there."""
    if way == "given":
        listener.tell(do="take")
    begun = time.monotonic_ns()
    told = _figures(FIRST[way] + END, env)
    if way == "given":
        told = listener.answer()
    return (told["at"] - begun) / 1e6


def _figures(program: str, env: dict[str, str]) -> dict[str, float]:
    path = os.pathsep.join(filter(None, [launch.path_of_ipcpy(), env.get("PYTHONPATH", "")]))
    words = [sys.executable, "-c", program]
    env = {name: value for name, value in env.items() if name != UNKEPT} | {"PYTHONPATH": path}
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, env=env, cwd="/")
    if done.returncode:
        raise RoleFailed(done.stderr.strip().splitlines()[-1])
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures
