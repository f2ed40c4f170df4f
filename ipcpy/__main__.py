"""Makes ``python -m ipcpy`` the same as ``ipcpy``, where scripts are not on the PATH."""

from __future__ import annotations

from .cli import main

main()
