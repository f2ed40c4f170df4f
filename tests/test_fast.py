"""The compiled part is used where it is, and nobody needs it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from ipcpy import checksum, fast
from ipcpy.version import __version__

TOLD = "import ipcpy.fast as fast; print(fast.COMPILED, fast.why_pure)"


def told(**environment: str) -> str:
    """Return what a new program says of the compiled part."""
    run = subprocess.run(
        [sys.executable, "-c", TOLD], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


def test_without_the_compiled_part_where_that_is_asked() -> None:
    assert told(IPCPY_PURE="1") == "False IPCPY_PURE is set"


@pytest.mark.parametrize("value", ["", "0"])
def test_what_is_there_is_used(value: str) -> None:
    assert told(IPCPY_PURE=value).partition(" ")[0] == str(_there())


def _there() -> bool:
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return gil and importlib.util.find_spec("_ipcpy_fast") is not None


@pytest.mark.skipif("CI" not in os.environ, reason="only CI has to have it")
@pytest.mark.skipif(os.environ.get("IPCPY_PURE", "0") not in ("", "0"), reason="IPCPY_PURE is set")
@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
@pytest.mark.skipif(sys.implementation.name != "cpython", reason="it is for CPython")
def test_ci_tests_the_compiled_part() -> None:
    assert fast.COMPILED, fast.why_pure


def test_what_runs_is_said_in_a_line() -> None:
    begun = "compiled; " if fast.COMPILED else f"pure Python: {fast.why_pure}; "
    assert fast.implementation().startswith(f"{begun}CRC-32 of {checksum.LIBRARY}")


# -- builds that do not fit --------------------------------------------------------------------------------------------


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A compiled part, made up, that fits the sources beside ipcpy."""
    module = types.ModuleType("_ipcpy_fast")
    vars(module).update(VERSION=__version__, SOURCES=fast._fingerprint("installed"))
    monkeypatch.setitem(sys.modules, "_ipcpy_fast", module)
    monkeypatch.delenv("IPCPY_PURE", raising=False)
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        pytest.skip("this Python runs without its GIL")
    return module


def test_one_that_fits_is_used(build: types.ModuleType) -> None:
    assert fast._load() == (build, "")


def test_one_of_another_version_is_not_used(build: types.ModuleType) -> None:
    build.VERSION = "2026.1.1"
    module, why = fast._load()
    assert module is None and "another version" in why and "pip install -e ." in why


@pytest.mark.parametrize("sources", ["00000000", None])
def test_one_of_other_sources_is_not_used(
    build: types.ModuleType, monkeypatch: pytest.MonkeyPatch, sources: str | None
) -> None:
    monkeypatch.setattr(fast, "_fingerprint", lambda otherwise: "12345678")
    if sources is None:
        del build.SOURCES  # older than fingerprints
    else:
        build.SOURCES = sources
    module, why = fast._load()
    assert module is None and "another version" in why


def test_one_without_sources_beside_it_is_used(
    build: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fast, "__file__", f"{tmp_path}/ipcpy/fast.py")  # as installed from a wheel
    build.SOURCES = "00000000"
    assert fast._load() == (build, "")


def test_what_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    (tmp_path / "_ipcpy_fast.abi3.so").write_bytes(b"")
    run = subprocess.run(
        [sys.executable, "-c", TOLD],
        env={**os.environ, "IPCPY_PURE": "0", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    if sys.platform == "linux" and getattr(sys, "_is_gil_enabled", lambda: True)():
        assert run.stdout.startswith("False the compiled part cannot be loaded: ")


def test_a_missing_one_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "_ipcpy_fast", None)
    monkeypatch.delenv("IPCPY_PURE", raising=False)
    module, why = fast._load()
    assert module is None and why in (
        "ipcpy was installed without its compiled part",
        "this Python runs without its GIL",
    )
