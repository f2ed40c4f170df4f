"""Starts a role in a process of its own: ``python launch.py ADAPTER ROLE JSON``. Not meant to be run by hand.

It sees to it that the role comes from this checkout, and ``ipcpy`` from PYTHONPATH if one is there: so the same
benchmarks measure another checkout.
"""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def path_of_ipcpy() -> str:
    """Return the folder that the ``ipcpy`` to be measured is in."""
    paths = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return next((path for path in paths if os.path.exists(os.path.join(path, "ipcpy", "__init__.py"))), ROOT)


def main() -> None:
    """Find the packages, then do as told."""
    sys.path[0] = ROOT
    import benchmarks  # noqa: F401  (its parts are found through it from here on)

    sys.path[0] = path_of_ipcpy()
    from benchmarks import roles

    roles.main(*sys.argv[1:])


if __name__ == "__main__":
    main()
