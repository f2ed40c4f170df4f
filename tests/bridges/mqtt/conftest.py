"""A real broker for the tests of the adapter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from broker import Broker


@pytest.fixture
def broker(spawn, tmp_path: Path) -> Broker:
    return Broker(spawn, tmp_path)


@pytest.fixture
def make_broker(spawn, tmp_path: Path) -> Callable[..., Broker]:
    return lambda **options: Broker(spawn, tmp_path, **options)
