"""docs/tutorial.md: its programs are saved and its commands typed as it says, and print what it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tutorial import File, Reader, Typed, pattern, steps

DOCUMENT = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text(encoding="utf-8")
HOSTS = {"robot": 1, "laptop": 2}


def follow(spawn, folder):
    for module in ("numpy", "mcap", "tomli_w"):
        pytest.importorskip(module, reason=f"the tutorial installs it, here it is not: {module}")
    reader = Reader(spawn, folder)
    for step in steps(DOCUMENT):
        reader.do(step)
    reader.end()
    assert len(reader.done) == sum(isinstance(step, Typed) for step in steps(DOCUMENT)) > 30


@pytest.mark.timeout(180)
def test_all_of_it_works_on_one_computer(spawn, tmp_path):
    follow(lambda host, words, env: spawn(words, env=env, cwd=tmp_path), tmp_path)


@pytest.mark.timeout(180)
def test_all_of_it_works_on_two_computers(lan, tmp_path):
    hosts = lan(2)

    def spawn(host, words, env):
        there = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(tmp_path), *words]
        return hosts.spawn(HOSTS[host], there, env=env)

    follow(spawn, tmp_path)


def test_a_document_is_read_as_files_and_terminals():
    document = (
        "```python\n# a.py\nprint(1)\n```\ntext\n```console\nrobot$ python a.py\n1\nlaptop$ ipcpy list\n...\n```\n"
    )
    assert list(steps(document)) == [
        File("a.py", "# a.py\nprint(1)\n"),
        Typed("robot", "python a.py", ("1",)),
        Typed("laptop", "ipcpy list", ("...",)),
    ]


@pytest.mark.parametrize(
    ("line", "printed", "fits"),
    [
        ("30.0 Hz ...", "29.97 Hz of 30 promised", True),
        ("camera  msgpack  1", "camera msgpack    1", True),
        ("gz: 0.12", "gz: hello", False),
        ("the arm (1)", "the arm [1]", False),
    ],
)
def test_numbers_and_blanks_may_differ_and_nothing_else(line, printed, fits):
    import re

    assert bool(re.search(pattern(line), printed)) == fits
