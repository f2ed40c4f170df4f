"""Makes ``python -m ipcpy.cli`` the same as ``ipcpy``."""

from __future__ import annotations

from . import main

main()
