"""The version: one for the package, its metadata and what is told to other nodes; a date above all that came before."""

from __future__ import annotations

import datetime
import importlib.metadata

import ipcpy
from ipcpy.version import __version__


def test_the_version_is_that_of_the_package():
    assert ipcpy.__version__ == __version__ == importlib.metadata.version("ipcpy")
    assert tuple(map(int, __version__.split("."))) > (2026, 8, 4, 1)


def test_it_is_a_date():
    year, month, day = map(int, __version__.split(".")[:3])
    assert datetime.date(year, month, day) >= datetime.date(2026, 8, 4)
