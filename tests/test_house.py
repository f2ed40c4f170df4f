"""The house stays in order: a test file for each module at the same path, rooms that say what they are, no giants."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent / "ipcpy"
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py") if path.name != "__init__.py")
FOLDERS = sorted(path.parent for path in ROOT.rglob("__init__.py"))

LINES, CLASS, FUNCTION = 400, 280, 50

# Modules without a test file of their own, and why.
NO_TESTS = {
    "__main__.py": "runs main(), which tests/cli/test_program.py does as a process",
    "cli/__main__.py": "runs main(), which tests/cli/test_program.py does as a process",
}

# Test files that belong to no module, and what they test.
NO_MODULE = {
    "protocol/test_document.py": "docs/protocol.md against the code",
    "subscribing/test_compiled.py": "what the compiled part takes, against its twins in inbound.py and reader.py",
    "subscribing/test_placed.py": "fast/placed.c, against its twin in inbound.py",
    "subscribing/test_batching.py": "fast/batching.c, against its twins in inbound.py, flow.py and inbox.py",
    "protocol/data/test_datapath.py": "both halves of the data path, in any weather",
    "protocol/data/test_large.py": "the same with large messages, and sockets that cannot hold them",
    "protocol/link/test_link_hostile.py": "test_link.py, hostile peers",
    "protocol/link/test_link_losses.py": "test_link.py, bad networks",
    "cli/test_doctor_lan.py": "test_doctor.py, on broken networks",
    "discovery/test_mdns_avahi.py": "test_mdns.py, beside another implementation",
    "publishing/test_direct.py": "publish of the compiled part, beside Python's",
    "publishing/test_sent.py": "fast/sent.c, against its twin in accounts.py",
    "sealing/test_attacks.py": "all of it, against a man who has what was sent, and no key",
    "sealing/test_runs.py": "fast/sealedruns.c and fast/sealedgathering.c, against their twins",
    "subscribing/test_handlers.py": "publish and recv, and a signal handler that does either amid them",
    "web/test_page.py": "the page of static/, in a browser",
    "web/test_page_hostile.py": "the same where it is hard",
    "web/test_page_scripts.py": "the pure ones among its scripts, in a browser",
    "web/test_static.py": "the files of the page, as text",
}
TOOLS = {"cli", "overview", "top", "viewers", "web"}
WHOLE = {"support", "system"}  # folders whose tests are of the harness, and of whole programs
AT_THE_TOP = {
    "benchmarks",
    "crowd",
    "examples",
    "hatch_build",
    "house",
    "imports",
    "public_names",
    "readme",
    "tutorial",
}


def definitions(path: Path) -> Iterator[tuple[str, ast.AST, int]]:
    """Return classes and functions with their kind and number of lines."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            yield "class", node, node.end_lineno - node.lineno + 1
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield "function", node, node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_has_a_test_file_at_the_same_path(path):
    expected = TESTS / path.with_name(f"test_{path.name}")
    if str(path) in NO_TESTS:
        assert not expected.exists(), f"{path} has tests now: take it out of NO_TESTS"
    else:
        assert expected.exists(), f"write {expected.relative_to(TESTS.parent)}, or say in NO_TESTS why there is none"
        assert "def test_" in expected.read_text(encoding="utf-8")


def test_where_to_look_names_what_is_there():
    text = (TESTS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text[text.index("### Where to look") : text.index("## Tests")]
    named = set(re.findall(r"`(\w+/[\w/]+\.py)`", table))
    assert len(named) > 20
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_a_test_file_belongs_to_a_module_or_says_to_what():
    strangers = []
    for path in sorted(TESTS.rglob("test_*.py")):
        where = path.relative_to(TESTS)
        module = where.with_name(where.name.removeprefix("test_"))
        if where.parts[0] in WHOLE or module in MODULES or str(where) in NO_MODULE:
            continue
        if len(where.parts) == 1 and module.stem in AT_THE_TOP:
            continue
        strangers.append(str(where))
    assert not strangers, "these tests belong to no module; move them, or say in NO_MODULE what they test"


def test_what_is_excepted_is_there():
    assert [path for path in NO_TESTS if not (ROOT / path).exists()] == []
    assert [path for path in NO_MODULE if not (TESTS / path).exists()] == []
    assert [name for name in AT_THE_TOP if not (TESTS / f"test_{name}.py").exists()] == []


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_nothing_grows_without_bound(path):
    lines = len((ROOT / path).read_text(encoding="utf-8").splitlines())
    assert lines <= LINES, f"{path} has {lines} lines; is it still one concept?"
    bounds = {"class": CLASS, "function": FUNCTION}
    giants = [f"{kind} {node.name}: {size} lines" for kind, node, size in definitions(path) if size > bounds[kind]]
    assert not giants, f"{path}: {', '.join(giants)}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_says_what_it_knows(path):
    assert ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT.parent)))
def test_a_folder_says_what_lives_there(folder):
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert text and len(text.split()) >= 8, "a sentence on what lives there, and what never does"


@pytest.mark.parametrize("path", [*MODULES, *(folder.relative_to(ROOT) / "__init__.py" for folder in FOLDERS)], ids=str)
def test_one_dialect(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    wrong = {
        "docstrings say Return, not Give": re.search(r'"""Give (?!up)', text) is not None,
        "imports within the package are relative": "\nfrom ipcpy" in text or "\nimport ipcpy\n" in text,
        "the logger is called log": "_log = logging" in text,
        "an error is called error": " as exc:" in text,
        "constants are written without Final": re.search(r"\bFinal\b", text),
        "dice are a Random of one's own: the shared one is the program's to seed": "\nimport random\n" in text,
    }
    if path.parts[0] in TOOLS:  # which use the public names, like any other program
        wrong.pop("imports within the package are relative")
    assert not [what for what, found in wrong.items() if found]
