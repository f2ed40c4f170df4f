"""Buffers that are used again: only those that nobody holds, within bounds, and not where nobody can tell."""

from __future__ import annotations

import importlib.util
import sys
import types

import pytest

from ipcpy.protocol.data.spares import MAX_KEPT, MAX_SPARE, MAX_SPARES, Spares, let_go


def imported_anew() -> types.ModuleType:
    """Import the module once more, as a Python in which something is missing would."""
    spec = importlib.util.find_spec("ipcpy.protocol.data.spares")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_buffer_of_another_size_and_a_very_large_one_are_not_used_again() -> None:
    spares = Spares()
    spares.keep(bytearray(1_000))
    spares.keep(bytearray(MAX_SPARE + 1))
    assert spares.take(1_001) is None and spares.take(MAX_SPARE + 1) is None
    assert spares.take(1_000) == bytes(1_000)


def test_what_is_kept_to_be_used_again_is_bounded_whoever_it_is_of() -> None:
    spares = Spares()
    for _ in range(20):
        spares.keep(bytearray(MAX_SPARE))
    for _ in range(1_000):
        spares.keep(bytearray(1))
    taken = 0
    while spares.take(MAX_SPARE) is not None:
        taken += 1
    assert taken * MAX_SPARE <= MAX_SPARES
    while spares.take(1) is not None:
        taken += 1
    assert taken <= MAX_KEPT


def test_where_references_are_not_counted_no_buffer_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys, "getrefcount")  # as on PyPy
    spares = imported_anew().Spares()
    spares.keep(bytearray(100_000))
    assert spares.take(100_000) is None


@pytest.mark.parametrize("enabled", [False, True])
def test_where_threads_run_at_the_same_time_no_buffer_is_used_again(
    monkeypatch: pytest.MonkeyPatch, enabled: bool
) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: enabled, raising=False)  # from Python 3.13 on
    spares = imported_anew().Spares()
    spares.keep(bytearray(100_000))
    assert (spares.take(100_000) is not None) == enabled


@pytest.mark.parametrize("counted", [False, True])
def test_a_buffer_grows_once_its_views_are_let_go(monkeypatch: pytest.MonkeyPatch, counted: bool) -> None:
    module = types.SimpleNamespace(let_go=let_go)
    if not counted:
        monkeypatch.delattr(sys, "getrefcount")
        module = imported_anew()
    buffer = bytearray(100)
    views = [memoryview(buffer)[:10], memoryview(buffer)[10:]]
    still_named = [] if counted else views[:]  # as where a collector takes its time
    module.let_go(views)
    buffer += b"more"
    assert not views and len(buffer) == 104 and len(still_named) in (0, 2)
