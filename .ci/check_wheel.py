"""Check that a wheel holds the package, its type marker and its license, and nothing else; compiled, one library more.

python .ci/check_wheel.py WHEEL pure|compiled
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

LIBRARY = "_ipcpy_fast.abi3.so"
TAGS = {"pure": "py3-none-any", "compiled": "cp311-abi3"}


def problems(names: set[str], kind: str) -> list[str]:
    """Say what is missing from, or too much in, a wheel of a kind with these files."""
    sources = {str(path) for path in Path("ipcpy").rglob("*.py")} | {"ipcpy/py.typed"}
    sources |= {str(path) for path in Path("ipcpy/web/static").rglob("*") if path.is_file()}
    if kind == "compiled":
        sources.add(LIBRARY)
    inside = {name for name in names if ".dist-info/" not in name}
    found = [f"missing: {name}" for name in sorted(sources - inside)]
    found += [f"too much: {name}" for name in sorted(inside - sources)]
    if not any(name.endswith("/licenses/LICENSE") for name in names):
        found.append("missing: LICENSE")
    return found


def main() -> None:
    """Take the wheel's path and kind from the command line; exit with what is wrong."""
    path, kind = sys.argv[1:]
    with zipfile.ZipFile(path) as wheel:
        found = problems(set(wheel.namelist()), kind)
    if f"-{TAGS[kind]}" not in path:
        found.append(f"the tag is not {TAGS[kind]}: {Path(path).name}")
    sys.exit("\n".join(found) or 0)


if __name__ == "__main__":
    main()
