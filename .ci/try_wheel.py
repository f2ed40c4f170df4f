"""Check that an installed ipcpy is what it should be, and works: python .ci/try_wheel.py pure|compiled"""

from __future__ import annotations

import sys

import ipcpy as ipc

WHICH = {"pure": "pure Python: ", "compiled": "compiled; "}


def main() -> None:
    """Publish a message to ourselves; exit with what is wrong."""
    if not ipc.implementation().startswith(WHICH[sys.argv[1]]):
        sys.exit(f"expected {sys.argv[1]}, this is {ipc.implementation()}")
    with ipc.Publisher("try/wheel") as pub, ipc.Subscriber("try/wheel") as sub:
        pub.wait_for_subscribers(timeout=10)
        pub.publish({"works": True})
        assert sub.recv(timeout=10).data == {"works": True}


if __name__ == "__main__":
    main()
