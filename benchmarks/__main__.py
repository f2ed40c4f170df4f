"""Measures ipcpy beside a raw socket and its peers: ``python -m benchmarks --help``. See docs/performance.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import private
from .adapters import ADAPTERS, missing, version
from .figures import Results
from .processes import LAUNCH, RoleFailed
from .report import markdown
from .rows import GROUPS, QUICK, Amount, Row, all_rows

PEERS = sorted({family.peer for family in ADAPTERS.values() if family.peer})


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    rows = all_rows()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures ipcpy beside a raw socket and its peers, all of them in each of several rounds.",
        epilog="rows: " + "; ".join(f"{row.name}: {row.title}" for row in rows) + ". "
        "Groups: " + "; ".join(f"{name}: {', '.join(each)}" for name, each in GROUPS.items()) + ".",
    )
    parser.add_argument("--rows", default="", help="comma-separated; default: all but those that take minutes")
    parser.add_argument("--peers", default="all", help=f"all (that are installed), none, or of {', '.join(PEERS)}")
    parser.add_argument("--rounds", type=int, help="default: 5, with --quick 1")
    parser.add_argument("--quick", action="store_true", help="a smoke run: a figure for everything, good for nothing")
    parser.add_argument("--seed", type=int, default=1, help="of the order within the rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rounds' figures")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write what is printed")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the ratios: .png, .svg or .pdf; needs matplotlib"
    )
    parser.add_argument("--here", action="store_true", help="stay in this network, even where a private one can be had")
    given = parser.parse_args(words)
    try:
        given.rows = chosen_rows(rows, given.rows, brief=given.quick)
        given.peers = chosen_peers(given.peers)
    except ValueError as error:
        parser.error(str(error))
    return given


def chosen_rows(rows: Sequence[Row], names: str, *, brief: bool) -> list[Row]:
    """Return the rows that were asked for."""
    if not names:
        return [row for row in rows if not row.long and (row.brief or not brief)]
    wanted = [each for name in names.split(",") for each in GROUPS.get(name.strip(), (name.strip(),))]
    unknown = sorted(set(wanted) - {row.name for row in rows})
    if unknown:
        raise ValueError(f"no row {', '.join(unknown)}; there are {', '.join(row.name for row in rows)}")
    return [row for row in rows if row.name in wanted]


def chosen_peers(names: str) -> list[str]:
    """Return the names of the peers that were asked for."""
    if names in ("all", "none"):
        return PEERS if names == "all" else []
    wanted = [name.strip() for name in names.split(",")]
    unknown = sorted(set(wanted) - set(PEERS))
    if unknown:
        raise ValueError(f"no peer {', '.join(unknown)}; there are {', '.join(PEERS)}")
    return wanted


def plan(rows: Sequence[Row], peers: Sequence[str], results: Results) -> list[tuple[Row, str]]:
    """Return what there is to measure in each round, and keep the reasons for what is not."""
    tasks = []
    for row in rows:
        reason = row.why_not()
        if reason:
            results.skipped[row.name] = reason
            continue
        for name in (*row.adapters, *row.peers):
            if ADAPTERS[name].peer and ADAPTERS[name].peer not in peers:
                continue
            if why := missing(name):
                results.skipped[name] = why
            else:
                tasks.append((row, name))
    return tasks


def measure(rows: Sequence[Row], tasks: Sequence[tuple[Row, str]], given: argparse.Namespace, results: Results) -> None:
    """Measure all rounds; what fails is kept with its reason and stops nothing."""
    dice = random.Random(given.seed)
    amount = QUICK if given.quick else Amount()
    for count in range(given.rounds):
        for row in rows:
            names = [name for each, name in tasks if each is row]
            for name in dice.sample(names, len(names)):
                begun = time.monotonic()
                try:
                    results.add(row.name, name, row.measure(name, amount))
                    said = "ok"
                except (RoleFailed, OSError) as error:
                    results.fail(row.name, name, str(error))
                    said = f"failed: {error}"
                took = time.monotonic() - begun
                print(f"round {count + 1}, {row.name}, {name}: {took:.1f} s, {said}", file=sys.stderr)


def about(given: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Say what was measured, and where."""
    rmem = Path("/proc/sys/net/core/rmem_max")
    asked = [sys.executable, str(LAUNCH), "", "benchmarks.rows.footprint.version", '{"port": 0, "folder": ""}']
    own = json.loads(subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout)
    return {
        "ipcpy": own["version"],
        "from": own["where"],
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": os.cpu_count(),
        "rmem_max": rmem.read_text().strip() if rmem.exists() else "unknown",
        "rounds": given.rounds,
        "seed": given.seed,
        "quick": given.quick,
        "peers": {name: version(name) for name in names if ADAPTERS[name].peer},
        "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
    }


def main() -> int:
    """Run the benchmark."""
    given = arguments()
    given.rounds = given.rounds or (1 if given.quick else 5)
    if given.plot:
        from . import plot

        plot.check()
    if not given.here and (reason := private.enter()):
        print(f"on this machine's own loopback: {reason}", file=sys.stderr)
    results = Results()
    tasks = plan(given.rows, given.peers, results)
    results.about = about(given, sorted({name for _, name in tasks}))
    print(f"ipcpy {results.about['ipcpy']} in {results.about['from']}", file=sys.stderr)
    try:
        measure(given.rows, tasks, given, results)
    except KeyboardInterrupt:
        print("stopped; what there is:", file=sys.stderr)
    finally:
        for row in given.rows:
            row.close()
    text = markdown(given.rows, results)
    print(text)
    if given.json:
        given.json.write_text(json.dumps(results.as_json(), indent=1) + "\n")
    if given.markdown:
        given.markdown.write_text(text)
    if given.plot:
        plot.draw(given.rows, results, given.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
