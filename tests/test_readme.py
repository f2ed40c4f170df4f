"""The README's Python blocks run as they stand."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_first_two_blocks_talk_to_each_other(spawn):
    subscriber = spawn(BLOCKS[1], env={"PYTHONUNBUFFERED": "1"})
    publisher = spawn(BLOCKS[0])
    subscriber.wait_line(r"^0\.12 1 \d+$")
    publisher.succeed()


def test_the_third_block_runs(spawn):
    assert spawn(BLOCKS[2]).succeed() == "2.0\n"


def test_code_that_runs_comes_within_fifteen_lines():
    assert "publish" in "\n".join(README.splitlines()[:15])
    assert len(BLOCKS) == 3


def test_the_versions_that_pip_brings_are_those_that_are_asked_for():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for dependency in project["dependencies"]:
        assert dependency.replace(">=", " ≥ ") in README
