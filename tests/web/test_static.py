"""The files of the page, as text: nothing comes from the internet, nothing becomes HTML, each says what it knows."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "ipcpy/web/static"
UPLOT = STATIC / "vendor/uplot"
SCRIPTS = sorted(STATIC.glob("*.js"))
ALL = sorted(path for path in STATIC.rglob("*") if path.is_file())

# What makes elements, or code, of text.
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|setHTML|document\.write|createContextualFragment|DOMParser|srcdoc"
    r"|\beval\b|new Function|javascript:|setTimeout\(\s*[\"'`]"
)


def test_the_files_are_found():
    assert {"dom.js", "graph.js", "main.js", "plots.js"} <= {path.name for path in SCRIPTS}


@pytest.mark.parametrize("path", [*SCRIPTS, UPLOT / "uPlot.esm.js"], ids=lambda path: path.name)
def test_no_script_makes_html_or_code_of_text(path):
    assert FORBIDDEN.findall(path.read_text(encoding="utf-8")) == []


def test_the_page_has_no_script_and_no_style_inside_so_that_its_policy_can_forbid_both():
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script[^>]*>", text) == ['<script type="module" src="static/main.js">']
    assert '<script type="module" src="static/main.js"></script>' in text
    assert "<style" not in text
    assert re.findall(r"\s(?:style|on\w+)=", text) == []


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md" or path.name == "LICENSE":
        return
    addresses = set(re.findall(r"""(?:["'(=]\s*)((?:https?:)?//[\w.][^"'\s)]*)""", text))
    assert addresses - {"http://www.w3.org/2000/svg"} == set()
    assert "@import" not in text


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_each_script_is_one_concept_and_says_what_it_knows(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 400
    assert max(map(len, lines)) <= 124
    head = "\n".join(lines[: next(n for n, line in enumerate(lines) if not line.startswith("//"))])
    assert len(head.split()) >= 5


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_what_a_script_imports_is_there_and_is_used(path):
    text = path.read_text(encoding="utf-8")
    found = re.findall(r'^import (?:\{ (.+?) \}|(\w+)) from "(\./.+?)";$', text, re.MULTILINE)
    assert len(found) == len(re.findall(r"^import ", text, re.MULTILINE))
    for names, name, where in found:
        target = (path.parent / where).resolve()
        assert target.is_file()
        for each in (names or name).split(", "):
            assert len(re.findall(rf"\b{each}\b", text)) > 1, f"{each} is imported and not used"
            if names:
                exported = rf"^export (?:class|const|async function|function\*?) {each}\b"
                assert re.search(exported, target.read_text(encoding="utf-8"), re.MULTILINE), f"{where} has no {each}"


def test_the_bundled_uplot_is_the_one_that_its_note_names_with_its_licence():
    kept = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in UPLOT.iterdir()}
    assert kept.pop("README.md")
    assert kept == {
        "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
        "uPlot.esm.js": "5dd9b3281aa64b461b42d9945f6adb2649d346502b12281a9ae0d46599a80eba",
        "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    }
    assert "uPlot 1.6.32" in (UPLOT / "README.md").read_text(encoding="utf-8")
    assert "MIT" in (UPLOT / "LICENSE").read_text(encoding="utf-8")
