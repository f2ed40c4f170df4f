"""Compiles fast/ into the wheel where that is possible; else the wheel is pure Python, and does the same.

Read by hatchling. Pure, with a line in the verbose log: without a C compiler or where it fails, on Windows, on 32-bit
and big-endian processors, with anything but CPython with its GIL, and with IPCPY_PURE=1. IPCPY_PURE=0 asks for the
compiled part: then whatever hinders it is an error, with what the compiler said. The one binary (abi3) serves Python
3.11 and all later ones.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import zlib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "_ipcpy_fast"


class Compile(BuildHookInterface[Any]):
    """Adds the compiled part to a wheel, also to that of an editable installation."""

    _folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say so in the wheel's tag; or leave everything as it is.

        Raises:
            RuntimeError: it cannot be compiled, and IPCPY_PURE=0 asks for it.
        """
        reason = why_not()
        if not reason:
            self._folder = tempfile.TemporaryDirectory(prefix="ipcpy-build-")
            reason, library = compiled(Path(self.root), Path(self._folder.name))
        if reason:
            if os.environ.get("IPCPY_PURE") == "0":
                raise RuntimeError(f"IPCPY_PURE=0 asks for the compiled part of ipcpy, but {reason}")
            self.app.display_info(f"ipcpy: pure Python, which does the same: {reason.splitlines()[0]}")
            return
        kind = "force_include_editable" if version == "editable" else "force_include"
        build_data[kind][str(library)] = library.name
        build_data["pure_python"] = False
        # hatchling names an editable wheel py3-none-any whatever we say: nobody keeps or passes on such a wheel
        build_data["tag"] = f"cp311-abi3-{re.sub('[-.]', '_', sysconfig.get_platform())}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was compiled: the wheel has it."""
        if self._folder is not None:
            self._folder.cleanup()


def why_not() -> str:
    """Say why nothing is compiled here; empty if it is to be tried."""
    if os.environ.get("IPCPY_PURE", "0") not in ("", "0"):
        return "IPCPY_PURE is set"
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "this is not CPython with its GIL"
    if os.name == "nt" or sys.byteorder != "little" or sys.maxsize < 2**32:
        return "it is for POSIX and 64-bit little-endian processors"
    return ""


def compiled(root: Path, folder: Path) -> tuple[str, Path]:
    """Compile all of fast/ into a folder; return why that failed, with what the compiler said, and the library."""
    # A process of its own: setuptools lets the compiler print wherever it likes.
    run = subprocess.run(
        [sys.executable, __file__, str(root), str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    library = folder / f"{NAME}.abi3.so"
    if run.returncode == 0 and library.exists():
        return "", library
    return f"it could not be compiled\n{run.stdout}", library


def fingerprint(sources: Path) -> str:
    """Return what tells these sources from others; ipcpy/fast.py computes the same."""
    check = 0
    for path in sorted(sources.glob("*.[ch]")):
        check = zlib.crc32(path.read_bytes(), check)
    return f"{check:08x}"


def compile_with_setuptools(root: Path, folder: Path) -> None:
    """Compile, and link, with the compiler and options that Python itself was built with, or those of CC and CFLAGS."""
    from setuptools import Distribution, Extension

    version = re.search(r'__version__ = "(.+)"', (root / "ipcpy" / "version.py").read_text(encoding="utf-8"))
    assert version
    level = [] if "-O" in os.environ.get("CFLAGS", "") else ["-O2"]
    extension = Extension(
        NAME,
        sorted(map(str, (root / "fast").glob("*.c"))),
        define_macros=[
            ("Py_LIMITED_API", "0x030b0000"),
            ("IPCPY_VERSION", f'"{version[1]}"'),
            ("IPCPY_SOURCES", f'"{fingerprint(root / "fast")}"'),
        ],
        extra_compile_args=["-std=c11", "-fvisibility=hidden", *level],
        libraries=[] if sys.platform == "darwin" else ["dl"],
        py_limited_api=True,
    )
    command = Distribution({"ext_modules": [extension]}).get_command_obj("build_ext")
    command.build_lib = str(folder)
    command.build_temp = str(folder / "objects")
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    compile_with_setuptools(Path(sys.argv[1]), Path(sys.argv[2]))
