"""Check that a wheel holds the package, its type marker and its license, and nothing else."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path


def problems(names: set[str]) -> list[str]:
    """Say what is missing from, or too much in, a wheel with these files."""
    sources = {str(path) for path in Path("ipcpy").rglob("*.py")} | {"ipcpy/py.typed"}
    sources |= {str(path) for path in Path("ipcpy/web/static").rglob("*") if path.is_file()}
    inside = {name for name in names if ".dist-info/" not in name}
    found = [f"missing: {name}" for name in sorted(sources - inside)]
    found += [f"too much: {name}" for name in sorted(inside - sources)]
    if not any(name.endswith("/licenses/LICENSE") for name in names):
        found.append("missing: LICENSE")
    return found


def main() -> None:
    """Take the wheel's path from the command line; exit with what is wrong."""
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        sys.exit("\n".join(problems(set(wheel.namelist()))) or 0)


if __name__ == "__main__":
    main()
