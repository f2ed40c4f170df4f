"""Wheels are built with the compiled part where that can be compiled, and without a word as pure Python elsewhere."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import tools

pytest.importorskip("hatchling", reason="needs hatchling, which builds the package")
pytest.importorskip("setuptools", reason="needs setuptools, which knows how to compile")

ROOT = Path(__file__).parents[1]
BUILD = "import sys, hatchling.build as build; print(getattr(build, sys.argv[1])(sys.argv[2]))"
LIBRARY = "_ipcpy_fast.abi3.so"

spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
assert spec and spec.loader
hatch_build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hatch_build)


def can_compile() -> None:
    """Skip the test where nothing can be compiled."""
    tools.need("cc")
    if reason := hatch_build.why_not():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is in the source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    subprocess.run([sys.executable, "-c", BUILD, "build_sdist", str(folder)], cwd=ROOT, check=True, capture_output=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


class Built:
    """A wheel built from a tree.

    Attributes:
        names: the files in it.
        said: what was printed besides its name.
    """

    def __init__(self, tree: Path, folder: Path, **environment: str) -> None:
        left = folder / "tmp"
        left.mkdir()
        own = {name: value for name, value in os.environ.items() if name not in ("CC", "CFLAGS", "IPCPY_PURE")}
        run = subprocess.run(
            [sys.executable, "-c", BUILD, "build_wheel", str(folder)],
            cwd=tree,
            env={**own, "TMPDIR": str(left), **environment},
            capture_output=True,
            text=True,
        )
        assert not [*left.iterdir()], "something was left behind"
        self.failed = run.returncode != 0
        self.said = run.stderr
        if not self.failed:
            *lines, name = run.stdout.splitlines()
            self.said += "\n".join(lines)
            self.path = folder / name
            self.names = zipfile.ZipFile(self.path).namelist()

    @property
    def tag(self) -> str:
        return self.path.stem.split("-", 2)[2]


# -- pure --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"IPCPY_PURE": "1"}, "IPCPY_PURE is set"),
        ({"CC": "false"}, "it could not be compiled"),
        ({"CC": "/no/such/compiler"}, "it could not be compiled"),
        ({"PATH": "/nonexistent"}, "it could not be compiled"),
        ({"CFLAGS": "-no-such-option-of-a-compiler=1 -Werror"}, "it could not be compiled"),
    ],
    ids=["asked for", "broken", "missing", "no PATH", "refuses"],
)
def test_without_a_compiler_the_wheel_is_pure_and_only_a_line_says_so(tree, tmp_path, environment, reason):
    built = Built(tree, tmp_path, **environment)
    assert built.tag == "py3-none-any"
    assert LIBRARY not in built.names and "ipcpy/fast.py" in built.names
    if not hatch_build.why_not():
        assert built.said.strip() == f"ipcpy: pure Python, which does the same: {reason}"


@pytest.mark.parametrize("environment", [{"CC": "false"}, {"PATH": "/nonexistent"}])
def test_who_asks_for_the_compiled_part_is_told_why_there_is_none(tree, tmp_path, environment):
    built = Built(tree, tmp_path, IPCPY_PURE="0", **environment)
    assert built.failed
    assert "IPCPY_PURE=0 asks for the compiled part of ipcpy, but " in built.said
    if not hatch_build.why_not():
        assert "Error" in built.said.partition("it could not be compiled")[2], "what the compiler said"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda patch: patch.setenv("IPCPY_PURE", "yes"), "IPCPY_PURE is set"),
        (lambda patch: patch.setattr(hatch_build.os, "name", "nt"), "POSIX"),
        (lambda patch: patch.setattr(sys, "byteorder", "big"), "little-endian"),
        (lambda patch: patch.setattr(sys, "maxsize", 2**31 - 1), "64-bit"),
        (lambda patch: patch.setattr(sys.implementation, "name", "pypy"), "not CPython"),
        (lambda patch: patch.setattr(sysconfig, "get_config_var", lambda name: 1), "its GIL"),
    ],
    ids=["asked for", "Windows", "s390x", "armv7", "PyPy", "free-threaded"],
)
def test_where_nothing_is_tried(monkeypatch, change, reason):
    monkeypatch.delenv("IPCPY_PURE", raising=False)
    with monkeypatch.context() as patch:
        change(patch)
        said = hatch_build.why_not()
    assert reason in said


# -- compiled ----------------------------------------------------------------------------------------------------------


def test_with_a_compiler_the_wheel_is_for_all_pythons_from_3_11_on(tree, tmp_path):
    can_compile()
    built = Built(tree, tmp_path, IPCPY_PURE="0")
    assert built.tag.startswith("cp311-abi3-"), built.said
    assert built.names.count(LIBRARY) == 1
    assert not built.said
    zipfile.ZipFile(built.path).extractall(tmp_path / "there")
    run = subprocess.run(
        [sys.executable, "-c", "from ipcpy import fast; print(fast.__file__, fast.COMPILED, fast.why_pure)"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "there"), "IPCPY_PURE": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.stdout.split() == [str(tmp_path / "there" / "ipcpy" / "fast.py"), "True"], run.stderr


def test_an_editable_installation_has_it_too_and_nothing_is_left_behind(monkeypatch):
    can_compile()
    monkeypatch.setenv("IPCPY_PURE", "0")
    hook = hatch_build.Compile(str(ROOT), {}, None, None, "", "wheel")
    data = {"force_include": {}, "force_include_editable": {}}
    hook.initialize("editable", data)
    ((path, name),) = data["force_include_editable"].items()
    assert name == LIBRARY and Path(path).exists() and not data["force_include"]
    assert not data["pure_python"]
    hook.finalize("editable", data, "")
    assert not Path(path).parent.exists()


def test_the_sources_are_told_from_others_as_ipcpy_does(tmp_path):
    from ipcpy import fast

    assert fast._fingerprint("not beside") == hatch_build.fingerprint(ROOT / "fast")
    (tmp_path / "a.c").write_text("a")
    before = hatch_build.fingerprint(tmp_path)
    (tmp_path / "b.h").write_text("b")
    assert before != hatch_build.fingerprint(tmp_path) != "00000000"


# -- both kinds pass the check of CI -----------------------------------------------------------------------------------


def check(path: Path, kind: str) -> str:
    command = [sys.executable, str(ROOT / ".ci" / "check_wheel.py"), str(path), kind]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stderr.strip()


def test_a_pure_wheel_is_told_from_a_compiled_one(tree, tmp_path):
    built = Built(tree, tmp_path, IPCPY_PURE="1")
    assert check(built.path, "pure") == ""
    assert check(built.path, "compiled") == f"missing: {LIBRARY}\nthe tag is not cp311-abi3: {built.path.name}"


def test_a_compiled_wheel_is_told_from_a_pure_one(tree, tmp_path):
    can_compile()
    built = Built(tree, tmp_path, IPCPY_PURE="0")
    assert check(built.path, "compiled") == ""
    assert check(built.path, "pure") == f"too much: {LIBRARY}\nthe tag is not py3-none-any: {built.path.name}"
