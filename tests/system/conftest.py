"""Where every file of system tests begins."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(autouse=True, scope="module")
def nothing_of_earlier_tests() -> None:
    """Free what other files' tests left in cycles of objects: their memory would be counted as a system test's own."""
    gc.collect()
