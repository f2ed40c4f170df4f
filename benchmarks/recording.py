"""What a recorder keeps up with: ``python -m benchmarks.recording [--seconds 4] [--folder /dev/shm]``.

A publisher and ``ipcpy record`` in processes of their own, as fast as each load says; then what was published, and
what is in the file. On Linux it starts itself in a network of its own, as the other benchmarks do.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path
from typing import Any, NamedTuple

import ipcpy as ipc

from .private import enter

Imu = namedtuple("Imu", "t gx gy gz ax ay az mx")
BURST = 50  # messages without a look at the clock
WAKE = 0.0005  # seconds between two bursts


class Load(NamedTuple):
    """What is published.

    Attributes:
        name: what it is called.
        rate: messages a second.
        kind: ``struct``, ``dict``, or the bytes of an image.
    """

    name: str
    rate: float
    kind: str


LOADS = [
    Load("64-byte struct", 50_000, "struct"),
    Load("dict of 5", 20_000, "dict"),
    Load("image of 6 MB", 70, "6000000"),
]


def publish(load: Load, seconds: float) -> None:
    """Publish, and print what was."""
    codec, data = _message(load.kind)
    with ipc.Publisher("load", codec) as pub:
        pub.wait_for_subscribers(timeout=30)
        time.sleep(0.8)  # until then both load what finds others
        burst = 1 if load.rate < 1000 else BURST
        began, worst, count = time.perf_counter(), 0.0, 0
        while (now := time.perf_counter() - began) < seconds:
            for _ in range(min(burst, int(now * load.rate) - count)):
                before = time.perf_counter()
                pub.publish(data)
                worst = max(worst, time.perf_counter() - before)
                count += 1
            if count >= int((time.perf_counter() - began) * load.rate):
                time.sleep(WAKE)
        size = pub.stats.bytes
        time.sleep(1.0)
    print(json.dumps({"published": count, "bytes": size, "seconds": seconds, "worst": worst}), flush=True)


def _message(kind: str) -> tuple[ipc.Codec, Any]:
    if kind == "struct":
        return ipc.MsgLibrary({23: ("<q7d", Imu)}), Imu(1, *map(float, range(7)))
    if kind == "dict":
        return ipc.MsgPack(), {"t": 1.5, "name": "abc", "x": [1.5, 2.5, 3.5], "ok": True, "n": 5}
    import numpy as np

    dice = np.random.default_rng(1)
    return ipc.MsgPack(), dice.integers(0, 255, (int(kind) // 3000, 1000, 3), "u1")


def measure(load: Load, seconds: float, folder: Path, compression: str) -> dict[str, Any]:
    """Record one load, and return what was published and kept."""
    path = folder / "load.mcap"
    command = [sys.executable, "-m", "ipcpy.cli", "record", "load", "-o", str(path), "--force", "--json"]
    recorder = subprocess.Popen(
        [*command, "--compression", compression], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        words = [sys.executable, "-m", "benchmarks.recording", "--publish", load.name, "--seconds", str(seconds)]
        published = json.loads(subprocess.run(words, check=True, capture_output=True, text=True, timeout=120).stdout)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        recorder.send_signal(signal.SIGINT)
        kept = json.loads(recorder.communicate(timeout=120)[0])
    finally:
        recorder.kill()
        recorder.wait()
        path.unlink(missing_ok=True)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime
    return {**published, "kept": kept["messages"], "lost": kept["lost"], "cpu": cpu}


def main() -> None:
    """Measure each load, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--publish", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.publish:
        publish(next(load for load in LOADS if load.name == given.publish), given.seconds)
        return
    enter("benchmarks.recording")
    os.environ["IPCPY_INTERFACES"] = "lo"
    os.environ["IPCPY_DOMAIN"] = f"benchmark-{os.getpid()}"
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=given.folder or (memory if memory.is_dir() else None)) as folder:
        print("| load | compression | messages/s | MB/s | kept | lost | recorder, CPU a message | longest publish |")
        print("|---|---|---|---|---|---|---|---|")
        for load in LOADS:
            for compression in ("zstd", "none"):
                print(_row(load, compression, measure(load, given.seconds, Path(folder), compression)), flush=True)


def _row(load: Load, compression: str, got: dict[str, Any]) -> str:
    lost = ", ".join(f"{cause} {count}" for cause, count in sorted(got["lost"].items())) or "0"
    cells = (
        load.name,
        compression,
        f"{got['published'] / got['seconds']:,.0f}",
        f"{got['bytes'] / got['seconds'] / 1e6:,.1f}",
        f"{got['kept']:,} of {got['published']:,}",
        lost,
        f"{got['cpu'] / max(1, got['kept']) * 1e6:,.1f} µs",
        f"{got['worst'] * 1e3:.1f} ms",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
