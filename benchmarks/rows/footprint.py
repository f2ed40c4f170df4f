"""What ipcpy costs before the first message: time to import, time to be matched, memory."""

from __future__ import annotations

import os
import sys
import time

from ..adapters.contract import Setting
from ..roles import tell


def version(setting: Setting) -> None:
    """Tell which ipcpy is measured."""
    import ipcpy

    tell(version=ipcpy.__version__, where=os.path.dirname(ipcpy.__file__))
